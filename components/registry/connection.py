"""A quiet MLflow client, and its errors in our words."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.core.errors import InfrastructureError
from components.core.importing import importing

_SQLITE = "sqlite:///"
_QUIET = {
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # else a fresh database tells of its migrations
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # whoever started us retries as well, with backoff
    "GIT_PYTHON_REFRESH": "quiet",
}


def connect(tracking_uri: str) -> Any:
    """An `MlflowClient` for runs and registered models at `tracking_uri`; an SQLite file is made where there
    is none.

    Settings that the environment makes for MLflow are left as they are.

    Raises:
        InfrastructureError: the database cannot be reached, or made.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with importing():  # making a client imports what its kind of server needs
        import mlflow

        for name in ("mlflow", "alembic"):  # someone may have imported mlflow before us
            logging.getLogger(name).setLevel(os.environ["MLFLOW_LOGGING_LEVEL"].upper())
        # the last retry's error tells it all
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        with reaching(tracking_uri):
            if is_new(tracking_uri):
                _make(Path(_sqlite_file(tracking_uri)))
            return mlflow.MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def _make(file: Path) -> None:
    """A whole database or none: MLflow makes its tables one by one, and a file in which they are half made it
    can never use."""
    import mlflow

    unfinished = Path(f"{file}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with Path(f"{file}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the system lets go when we die
            if file.exists():  # by whoever held the lock before us
                return
            for stale in (unfinished, Path(f"{unfinished}-journal")):
                stale.unlink(missing_ok=True)
            mlflow.MlflowClient(tracking_uri=f"{_SQLITE}{unfinished}")
            unfinished.rename(file)
    except OSError as error:
        raise InfrastructureError(f"{file}: cannot be made: {error.strerror or error}") from error


@contextmanager
def default_server(tracking_uri: str) -> Iterator[None]:
    """Within the block MLflow's module-level functions work on `tracking_uri`.

    They keep it in the environment, where it must not stay: other recipes look for their default there.
    """
    import mlflow

    names = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
    before = {name: os.environ.get(name) for name in names}
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def is_new(tracking_uri: str) -> bool:
    """Whether `tracking_uri` is an SQLite file that nobody has made yet."""
    if not tracking_uri.startswith(_SQLITE):
        return False
    return not os.path.exists(_sqlite_file(tracking_uri))


def artifact_root(tracking_uri: str, experiment: str) -> str | None:
    """Where an experiment's artifacts go: beside an SQLite file; a server decides for itself (None)."""
    if not tracking_uri.startswith(_SQLITE):
        return None
    beside = os.path.dirname(os.path.abspath(_sqlite_file(tracking_uri)))
    return f"{beside}/mlflow/{experiment}"


def _sqlite_file(tracking_uri: str) -> str:
    path, _, _ = tracking_uri.removeprefix(_SQLITE).partition("?")
    return path


@contextmanager
def reaching(tracking_uri: str) -> Iterator[None]:
    """Turn what MLflow's server, its database or its network raise into InfrastructureError.

    Values that MLflow refuses stay what they are: sending them again would not help.
    """
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError) as error:
        if getattr(error, "error_code", None) == "INVALID_PARAMETER_VALUE":
            raise
        first, *_ = str(error).splitlines() or [type(error).__name__]
        told = "cannot be reached" if "Max retries exceeded" in first else first
        raise InfrastructureError(f"MLflow at {tracking_uri}: {told}") from error
