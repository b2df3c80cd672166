"""`python -m dags.up`: Airflow (scheduler, DAG processor, triggerer, API server with the UI) and the MLflow
UI on this machine, until Ctrl-C."""

import argparse
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core.errors import InfrastructureError, InvalidInputError, RecloopError
from components.core.recipe.base import default_tracking_uri, default_workspace
from dags import HOME
from dags.local import QUIET, environment, initialize
from dags.rest import PASSWORDS

USER = "admin"
_START_S = 300.0
_STOP_S = 20.0


@dataclass(frozen=True)
class Service:
    """One process; what it says goes to its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes or a service ends."""
    parser = argparse.ArgumentParser(prog="python -m dags.up", description=__doc__)
    parser.add_argument("--airflow-home", type=Path, default=HOME / ".airflow", metavar="DIRECTORY")
    parser.add_argument("--airflow-port", type=int, default=8080, metavar="PORT")
    parser.add_argument("--mlflow-port", type=int, default=5000, metavar="PORT")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell put us aside
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    services: list[Service] = []
    try:
        serve(options.airflow_home.absolute(), options.airflow_port, options.mlflow_port, services)
    except RecloopError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopping")
    finally:
        stop(services)
    return 0


def serve(home: Path, airflow_port: int, mlflow_port: int, services: list[Service]) -> None:
    """Start everything, say where it is, and wait; fills `services` with what has been started.

    Raises:
        InvalidInputError: a port is taken.
        InfrastructureError: a service ended, or nothing answers in time.
    """
    for port in (airflow_port, mlflow_port):
        _check_free(port)
    settings = environment(home, airflow_port)
    os.environ.update({**QUIET, **settings})
    initialize(home)
    _write_password(home / PASSWORDS)

    def start(name: str, *command: str) -> None:
        services.append(_start(name, [sys.executable, "-m", *command], settings, home / "services"))

    # the API server reads logs where they lie; a log server would listen on every interface
    start("scheduler", "airflow", "scheduler", "--skip-serve-logs")
    start("triggerer", "airflow", "triggerer", "--skip-serve-logs")
    start("dag-processor", "airflow", "dag-processor")
    start("api-server", "airflow", "api-server")
    tracking = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not tracking.startswith("http"):
        start("mlflow", *_mlflow(tracking, mlflow_port))
        tracking = f"http://localhost:{mlflow_port}"
    print(f"starting; what each service says is in {home / 'services'}", flush=True)
    _wait_until_healthy(airflow_port, services)
    print(
        f"Airflow  http://localhost:{airflow_port}  user {USER}, password in {home / PASSWORDS}\n"
        f"MLflow   {tracking}\nCtrl-C stops everything.",
        flush=True,
    )
    while True:
        _check_alive(services)
        time.sleep(1)


def stop(services: Sequence[Service]) -> None:
    """End every service with what it started."""
    for service in services:
        _signal(service, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    for service in services:
        with contextlib.suppress(subprocess.TimeoutExpired):
            service.process.wait(max(0.0, deadline - time.monotonic()))
        _signal(service, signal.SIGKILL)  # the group: whatever has outlived its leader
        service.process.wait()


def _signal(service: Service, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(service.process.pid, number)


def _start(name: str, command: Sequence[str], settings: Mapping[str, str], logs: Path) -> Service:
    log = logs / f"{name}.log"
    logs.mkdir(exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=settings,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end them in order
        )
    return Service(name, process, log)


def _mlflow(tracking_uri: str, port: int) -> list[str]:
    if not tracking_uri:
        workspace = default_workspace()
        tracking_uri = default_tracking_uri(workspace)
        Path(workspace).mkdir(parents=True, exist_ok=True)
    where = ["--backend-store-uri", tracking_uri, "--host", "127.0.0.1", "--port", str(port)]
    return ["mlflow", "server", *where, "--workers", "1"]


def _write_password(path: Path) -> None:
    if path.exists():
        return
    # Airflow would make one too, but prints it into its log.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({USER: secrets.token_urlsafe(16)}, file)


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise InvalidInputError(
                f"port {port}: {error.strerror}; choose others with AIRFLOW_PORT and MLFLOW_PORT"
            ) from error


def _check_alive(services: Sequence[Service]) -> None:
    for service in services:
        code = service.process.poll()
        if code is not None:
            raise InfrastructureError(f"{service.name} ended with exit code {code}; see {service.log}")


def _wait_until_healthy(port: int, services: Sequence[Service]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        _check_alive(services)
        health = _health(port)
        if all(health.get(part, {}).get("status") == "healthy" for part in ("scheduler", "dag_processor")):
            return
        time.sleep(1)
    raise InfrastructureError(f"Airflow is not ready after {_START_S:.0f} s; see {services[0].log.parent}")


def _health(port: int) -> Mapping[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/monitor/health", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except OSError:
        return {}


if __name__ == "__main__":
    sys.exit(main())
