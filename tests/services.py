"""Servers and images that tests of several rooms use: real processes, started once a session."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

_PROJECT = Path(__file__).parents[1]
_START_S = 90.0


@dataclass(frozen=True)
class S3Server:
    """An S3 server on this machine.

    Attributes:
        environment: the variables of the standard AWS chain that lead to it.
    """

    endpoint: str
    environment: Mapping[str, str]

    def bucket(self, name: str) -> str:
        """Make a bucket; its name."""
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.environment["AWS_DEFAULT_REGION"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket=name)
        return name


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A moto server in a process of its own."""
    port = free_port()
    log = tmp_path_factory.mktemp("s3") / "server.log"
    endpoint = f"http://127.0.0.1:{port}"
    environment = {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with serving([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], endpoint, log):
        yield S3Server(endpoint, environment)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of an MLflow server on SQLite, which keeps artifacts for its clients."""
    port = free_port()
    place = tmp_path_factory.mktemp("mlflow")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{place}/mlflow.db", "--workers", "1"]
    command += ["--artifacts-destination", str(place / "artifacts")]
    uri = f"http://127.0.0.1:{port}"
    with serving(command, f"{uri}/health", place / "server.log"):
        yield uri


@pytest.fixture(scope="session")
def engine() -> str:
    """The URL of a Docker-compatible engine."""
    url = os.environ.get("DOCKER_HOST")
    if not url:
        pytest.skip("DOCKER_HOST does not name a container engine")
    return url


@pytest.fixture(scope="session")
def images(engine: str) -> Mapping[str, str]:
    """Image name → tag of the images of this checkout."""
    built = subprocess.run(
        ["make", "images"], cwd=_PROJECT, capture_output=True, text=True, env={**os.environ, "TAG": "test"}
    )
    assert built.returncode == 0, built.stdout[-4000:] + built.stderr[-4000:]
    return {name: f"recloop-{name}:test" for name in ("data", "training", "airflow", "mlflow")}


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(command: Sequence[str], url: str, log: Path) -> Iterator[None]:
    """A server process while a `with` block lasts, once it answers at `url`."""
    settings = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # its workers take 2 GiB
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, env=settings
        )
    try:
        deadline = time.monotonic() + _START_S
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command} does not serve: {log.read_text()[-2000:]}")
            time.sleep(0.2)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310  # our own servers
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
