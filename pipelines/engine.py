"""This machine's container engine, as KFP's local runner uses it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound
from docker.types import Mount
from kfp import local
from kfp.local import docker_task_handler

from components.catalog import STAGES
from components.core.containers import STOP_GRACE_S, container_of
from components.core.errors import InfrastructureError, InvalidInputError
from components.core.recipe import Recipe
from components.core.recipe.containers import PASSED_ON
from components.core.recipe.reading import source_locations

_RECLOOP = ("RECLOOP_HOME", "RECLOOP_WORKSPACE")
_GLOB = frozenset("*?[")


def check_engine(recipe: Recipe) -> None:
    """Find out before any work whether there is an engine with the images.

    Raises:
        InfrastructureError: no engine answers.
        InvalidInputError: it does not have an image.
    """
    missing = set()
    try:
        engine = docker.from_env()
        for image in {container_of(recipe, spec).image for spec in STAGES}:
            try:
                engine.images.get(image)
            except ImageNotFound:
                missing.add(image)
    except DockerException as error:
        raise InfrastructureError(
            f"the container engine at {os.environ.get('DOCKER_HOST', 'its default place')} cannot be used: "
            f"{error}; is it running, and does DOCKER_HOST name it?"
        ) from error
    if missing:
        raise InvalidInputError(
            f"the container engine has no image {', '.join(sorted(missing))}; build it with `make images`, "
            "pull it, or name another in orchestration.images"
        )


def docker_runner(recipe: Recipe, network: str, environment: Mapping[str, str]) -> local.DockerRunner:
    """KFP's runner; containers get our settings by name, and the directories that the recipe names under
    the same paths, as the user whose directories they are."""
    docker_task_handler.run_docker_container = run_container
    names = (*PASSED_ON, *_RECLOOP, *recipe.orchestration.docker.environment)
    return local.DockerRunner(
        network_mode=network,
        environment={name: os.environ[name] for name in names if name in os.environ} | dict(environment),
        mounts=[Mount(place, place, type="bind") for place in directories(recipe)],
        user=f"{os.getuid()}:{os.getgid()}",
    )


def run_container(
    client: docker.DockerClient,
    image: str,
    command: Sequence[str],
    volumes: Mapping[str, Any],
    **options: Any,
) -> int:
    """Run a container to its end, print what it says; its exit code.

    In the place of KFP's own, whose containers remove themselves: it takes one that is gone before it looks
    for a success, whatever it ended with.
    """
    container = client.containers.create(image, command, volumes=volumes, **options)
    try:
        container.start()
        for text in container.logs(stream=True, follow=True):
            print(text.decode(errors="replace"), end="")
        return int(container.wait()["StatusCode"])
    except KeyboardInterrupt:
        container.stop(timeout=STOP_GRACE_S)
        raise
    finally:
        container.remove(force=True)


def directories(recipe: Recipe) -> list[str]:
    """The directories of this machine that stages read and write."""
    places = (recipe.workspace_uri, *source_locations(recipe).values())
    return sorted({_directory(Path(place)) for place in places if "://" not in place})


def _directory(path: Path) -> str:
    while _GLOB & set(str(path)) or not path.is_dir():
        path = path.parent
    return str(path)
