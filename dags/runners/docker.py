"""A stage's command in a container of a Docker-compatible engine."""

import codecs
import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, final

from airflow.providers.docker.exceptions import DockerContainerFailedException
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
from docker import APIClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import DeviceRequest, Mount
from requests import RequestException

from components.core.containers import (
    OVERTIME_S,
    STOP_GRACE_S,
    Container,
    bounded,
    container_of,
    labels_of,
)
from components.core.disk import binds, hand_over, user_on_disk
from components.core.errors import InfrastructureError, InvalidInputError, RecloopError
from components.core.recipe import Recipe
from components.core.recipe.containers import PASSED_ON
from components.core.runs import Invocation
from dags.runners.base import KILLED, Ended, Lines, Runner, execute

_GIB = 2**30
_CPU_PERIOD_US = 100_000
_DEFAULT_URL = "unix:///var/run/docker.sock"


@final
class DockerRunner(Runner):
    """Runs stages in containers that may do nothing but their work: not root, no capabilities, no new
    privileges, a read-only root with a disk-backed /tmp, bounded memory and CPU.

    A workspace on disk is mounted at its own path, and so, read-only, is a source on disk: the engine
    must see the same paths as the worker.
    """

    def __init__(self, recipe: Recipe, on_line: Callable[[str], None]) -> None:
        self._recipe, self._on_line = recipe, on_line
        self._operator: StageContainer | None = None

    def run(self, invocation: Invocation, context: Context) -> Ended:
        recipe, spec = self._recipe, invocation.spec
        docker, given = recipe.orchestration.docker, container_of(recipe, spec)
        url = docker.url or os.environ.get("DOCKER_HOST") or _DEFAULT_URL
        with _speaking_to(url):
            operator = self._operator = StageContainer(
                task_id=spec.name,
                image=given.image,
                command=bounded(invocation.command(), recipe.orchestration.stage_timeout_s + OVERTIME_S),
                container_name=container_name(invocation),
                labels=labels_of(recipe, spec, context["run_id"]),
                docker_url=url,
                docker_conn_id=docker.connection,
                network_mode=docker.network,
                mounts=_mounts(recipe, invocation),
                shm_size=int(given.shm_gib * _GIB) if given.shm_gib else None,
                mem_limit=int(given.memory_gib * _GIB),
                cpus=given.cpu,
                device_requests=_devices(given.gpus),
                on_line=self._on_line,
            )
            image = operator.find_image(f"orchestration.images.{spec.image}")
            operator.user = docker.user or user_on_disk(recipe, image["Config"].get("User") or "0")
            hand_over(recipe, [invocation.record, invocation.output])
            digest = given.digest or (image.get("RepoDigests") or [image["Id"]])[0].rpartition("@")[2]
            operator.set_environment(_environment(docker.environment, given, digest))
            ended: Ended = execute(operator, context)
        return ended

    def stop(self) -> None:
        if self._operator is not None:
            self._operator.on_kill()


class StageContainer(DockerOperator):  # type: ignore[misc]  # Airflow's types are not checked here
    """DockerOperator, confined, and with an orderly end.

    What it logs is the stage's standard error, line by line, through `on_line`.

    Returns: `Ended`.
    """

    def __init__(self, *, on_line: Callable[[str], None], **kwargs: Any) -> None:
        super().__init__(
            # its own removal would kill a stage that is to save itself
            auto_remove="never",
            mount_tmp_dir=False,
            do_xcom_push=False,
            **kwargs,
        )
        self._lines = Lines(on_line)

    def set_environment(self, environment: Mapping[str, str]) -> None:
        """What is neither logged nor shown."""
        self._private_environment = dict(environment)

    @cached_property
    def cli(self) -> APIClient:
        """The engine's client, which adds to a container what DockerOperator has no parameters for."""
        try:
            client: APIClient = self.hook.api_client
        except APIError as error:  # the hook logs in to the registry
            kind = InfrastructureError if error.is_server_error() else InvalidInputError
            raise kind(
                f"orchestration.docker.connection: the engine at {self.docker_url} cannot log in with "
                f"{self.docker_conn_id!r}: {error.explanation or error}"
            ) from error
        configure, create, attach = client.create_host_config, client.create_container, client.attach
        client.create_host_config = lambda **given: configure(**given, **self._confinement())
        # whoever stops it, or the machine: an engine's own grace is 10 s, or none
        client.create_container = lambda **given: create(**given, stop_timeout=STOP_GRACE_S)
        client.attach = lambda **given: self._pass_on(attach(**{**given, "stdout": False}))
        return client

    def _confinement(self) -> dict[str, Any]:
        return {
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "memswap_limit": self.mem_limit,  # as much as the memory: no swap
            "cpu_period": _CPU_PERIOD_US,
            "cpu_quota": int(self.cpus * _CPU_PERIOD_US),
        }

    def _pass_on(self, stream: Iterable[bytes]) -> Iterator[bytes]:
        rest = ""
        for text in codecs.iterdecode(stream, "utf-8", errors="replace"):
            *lines, rest = (rest + text).split("\n")
            for line in lines:
                self._lines.add(line.rstrip("\r"))
        if rest:
            self._lines.add(rest)
        yield from ()  # DockerOperator would keep every line

    def find_image(self, key: str) -> dict[str, Any]:
        """What the engine knows of the image; pulled if it is not there.

        Raises:
            InvalidInputError: it is neither there nor in a registry; `key` is where the recipe names it.
        """
        try:
            found: dict[str, Any] = self.cli.inspect_image(self.image)
        except ImageNotFound:
            self.log.info("pulling %s", self.image)
            said = list(self.cli.pull(self.image, stream=True, decode=True))
            try:
                found = self.cli.inspect_image(self.image)
            except ImageNotFound:
                reason = next((entry["error"] for entry in said if "error" in entry), "no such image")
                raise InvalidInputError(
                    f"{key}: the engine at {self.docker_url} has no {self.image!r} and cannot pull it "
                    f"({reason}); `make images` builds this version's, or name another in the recipe"
                ) from None
        return found

    def execute(self, context: Context) -> Ended:
        """Run the container to its end, and remove it."""
        self._remove()  # an earlier try's, whose worker died
        try:
            with contextlib.suppress(DockerContainerFailedException):  # its state says more
                super().execute(context)
            state = self.cli.inspect_container(self.container_name)["State"]
        except NotFound:
            if self.container is None or not self._is_gone():  # an image, a network
                raise
            return Ended(KILLED, self._lines.last, "the container was removed from outside")
        finally:  # also after a timeout
            self._remove()
        allowed = f"{self.mem_limit / _GIB:g} GiB (orchestration.resources.{self.task_id}.memory_gib)"
        cause = f"out of memory: it was allowed {allowed}" if state.get("OOMKilled") else ""
        return Ended(state["ExitCode"], self._lines.last, cause)

    def on_kill(self) -> None:
        """Stop the stage. The engine goes on with it should Airflow end this process meanwhile."""
        with contextlib.suppress(NotFound):
            self.cli.stop(self.container_name, timeout=STOP_GRACE_S)

    def _is_gone(self) -> bool:
        try:
            self.cli.inspect_container(self.container_name)
        except NotFound:
            return True
        return False

    def _remove(self) -> None:
        with contextlib.suppress(NotFound):
            if self.cli.inspect_container(self.container_name)["State"]["Running"]:
                self.log.info("stopping the container %s", self.container_name)
                self.cli.stop(self.container_name, timeout=STOP_GRACE_S)
            self.cli.remove_container(self.container_name, v=True, force=True)


def container_name(invocation: Invocation) -> str:
    """The same for every try of a stage in a run, and for no other."""
    place = hashlib.sha256(f"{invocation.record} {invocation.output}".encode()).hexdigest()[:12]
    return f"recloop-{invocation.spec.name}-{place}"


def _devices(gpus: int) -> list[DeviceRequest] | None:
    return [DeviceRequest(count=gpus, capabilities=[["gpu"]])] if gpus else None


def _environment(more: Iterable[str], given: Container, digest: str) -> dict[str, str]:
    passed = {name: os.environ[name] for name in (*PASSED_ON, *more) if name in os.environ}
    return {"OMP_NUM_THREADS": str(given.threads), **passed, "RECLOOP_IMAGE_DIGEST": digest}


def _mounts(recipe: Recipe, invocation: Invocation) -> list[Mount]:
    """A volume of its own for /tmp, the workspace and, read-only, raw inputs outside it."""
    raw = {entry.name for entry in invocation.spec.inputs if entry.artifact is None}
    given = binds(recipe, [uri for name, uri in invocation.inputs.items() if name in raw])
    scratch = Mount("/tmp", None, type="volume")  # noqa: S108  # of the container
    return [scratch, *(Mount(str(b.place), str(b.place), type="bind", read_only=b.read_only) for b in given)]


@contextlib.contextmanager
def _speaking_to(url: str) -> Iterator[None]:
    """Turn the engine's errors into ours."""
    try:
        yield
    except RecloopError:
        raise
    except AirflowNotFoundException as error:
        raise InvalidInputError(f"orchestration.docker.connection: {error}") from error
    except APIError as error:
        kind = InvalidInputError if error.status_code in {400, 404} else InfrastructureError
        raise kind(f"the engine at {url} refused: {error.explanation or error}") from error
    except (AirflowException, DockerException, RequestException) as error:
        raise InfrastructureError(
            f"no container engine answers at {url} ({error}); it is named by orchestration.docker.url, "
            "else by $DOCKER_HOST"
        ) from error
