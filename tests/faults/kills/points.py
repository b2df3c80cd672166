"""Where a run can be killed: before and after everything that it leaves behind."""

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow.pyfunc
from mlflow import MlflowClient

from components.core import store
from components.core.checkpoint import Checkpoint
from components.core.manifest import MANIFEST
from components.core.store import LocalStore
from components.registry.ledger import Ledger

_MLFLOW = (
    "create_experiment",
    "create_registered_model",
    "create_model_version",
    "log_artifact",
    "log_batch",
    "set_model_version_tag",
    "set_registered_model_alias",
    "set_registered_model_tag",
    "set_terminated",
    "update_model_version",
)


def watch(happens: Callable[[str], None]) -> None:
    """From now on every point of this process is told when it is passed.

    Args:
        happens: gets names such as `before manifest` and `after move alias`.
    """
    _wrap(LocalStore, "write_bytes", lambda _, uri, *__, **___: f"write {_kind(uri)}", happens)
    _wrap(LocalStore, "upload", lambda _, __, uri: f"upload {_artifact(uri)}", happens)
    _wrap(LocalStore, "delete", lambda _, uri: f"delete {_artifact(uri)}", happens)
    _wrap(LocalStore, "scratch", lambda _, uri: f"make scratch of {_artifact(uri)}", happens)
    _wrap(store.shutil, "move", lambda source, _: f"move {Path(source).name}", happens)
    _wrap(Checkpoint, "save", lambda *_: "save checkpoint", happens)
    _wrap(Checkpoint, "discard", lambda *_: "discard checkpoint", happens)
    _wrap(Ledger, "append", lambda *_, **__: "append to ledger", happens)
    _wrap(mlflow, "start_run", lambda *_, **__: "start MLflow run", happens)
    _wrap(mlflow.pyfunc, "log_model", lambda *_, **__: "log model", happens)
    for name in _MLFLOW:
        _wrap(MlflowClient, name, lambda *_, _name=name, **__: _name.replace("_", " "), happens)


def killing(number: int, signal: int) -> Callable[[str], None]:
    """At the so manieth point (from 0) the process gets a signal."""
    passed = iter(range(number + 1))

    def happens(_: str) -> None:
        if next(passed, None) == number:
            os.kill(os.getpid(), signal)

    return happens


def telling(place: Path) -> Callable[[str], None]:
    """Names are written down, one a line."""

    def happens(name: str) -> None:
        with place.open("a") as file:
            file.write(f"{name}\n")

    return happens


def _wrap(owner: Any, name: str, told: Callable[..., str], happens: Callable[[str], None]) -> None:
    inner = getattr(owner, name)

    @functools.wraps(inner)
    def outer(*arguments: Any, **named: Any) -> Any:
        said = told(*arguments, **named)
        happens(f"before {said}")
        answer = inner(*arguments, **named)
        happens(f"after {said}")
        return answer

    setattr(owner, name, outer)


def _kind(uri: str) -> str:
    name = Path(uri).name
    if name == MANIFEST:
        return "manifest"
    if name == "latest.json":
        return "checkpoint's pointer"
    return "ledger entry" if "ledger" in uri else name if name.startswith(".") else "record"


def _artifact(uri: str) -> str:
    parts = Path(uri).parts
    return next((part.partition(".")[2] for part in parts if ".checkpoint" in part), Path(uri).parent.name)


def names_in(place: Path) -> Iterator[str]:
    """What `telling` wrote."""
    yield from place.read_text().splitlines()
