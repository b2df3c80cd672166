"""This machine's container engine, as KFP's local runner uses it."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound
from docker.types import Mount
from kfp import local
from kfp.local import docker_task_handler

from components.catalog import STAGES
from components.core.containers import OVERTIME_S, STOP_GRACE_S, USER, bounded, container_of
from components.core.disk import binds, hand_over, user_on_disk
from components.core.errors import InfrastructureError, InvalidInputError
from components.core.recipe import Recipe
from components.core.recipe.containers import PASSED_ON
from components.core.runs import runs_place
from components.core.store import join
from pipelines import RUN_ID

_RECLOOP = ("RECLOOP_HOME", "RECLOOP_WORKSPACE")


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
    """KFP's runner; containers get our settings by name and the directories that the recipe names, are never
    root's, and may do nothing but their work.

    Raises:
        InvalidInputError: the workspace cannot be written by the user that they run as.
    """
    engine = recipe.orchestration.docker
    own = f"{os.getuid()}:{os.getgid()}" if os.getuid() else f"{USER}:{USER}"
    user = engine.user or user_on_disk(recipe, own) or own
    hand_over(recipe, [join(runs_place(recipe), "run")])
    docker_task_handler.run_docker_container = partial(
        run_container,
        user=user,
        labels={"recloop.recipe": recipe.name, "recloop.run": environment[RUN_ID]},
        timeout_s=recipe.orchestration.stage_timeout_s + OVERTIME_S,
    )
    names = (*PASSED_ON, *_RECLOOP, *engine.environment)
    given = binds(recipe, recipe.locations().values())
    return local.DockerRunner(
        network_mode=network,
        environment={name: os.environ[name] for name in names if name in os.environ} | dict(environment),
        mounts=[Mount(str(b.place), str(b.place), type="bind", read_only=b.read_only) for b in given],
    )


def run_container(
    client: docker.DockerClient,
    image: str,
    command: Sequence[str],
    volumes: Mapping[str, Any],
    *,
    user: str,
    labels: Mapping[str, str],
    timeout_s: int,
    mounts: Sequence[Mount],
    **options: Any,
) -> int:
    """Run a container to its end, print what it says; its exit code.

    In the place of KFP's own, whose containers remove themselves: it takes one that is gone before it looks
    for a success, whatever it ended with.
    """
    for place in volumes:
        _hand_over(Path(place), user)
    container = client.containers.create(
        image,
        bounded(command, timeout_s),
        labels=dict(labels),
        volumes=volumes,
        mounts=[Mount("/tmp", None, type="volume"), *mounts],  # noqa: S108  # of the container
        user=user,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        **options,
    )
    try:
        container.start()
        for text in container.logs(stream=True, follow=True):
            print(text.decode(errors="replace"), end="")
        return int(container.wait()["StatusCode"])
    except KeyboardInterrupt:
        container.stop(timeout=STOP_GRACE_S)
        raise
    finally:
        container.remove(force=True, v=True)


def _hand_over(place: Path, user: str) -> None:
    """What KFP has made for a task's outputs is to be its user's, where root runs us."""
    if os.geteuid() == 0:
        owner = [int(part) for part in user.split(":")]
        for path in (place, *place.rglob("*")):
            os.chown(path, owner[0], owner[-1], follow_symlinks=False)
