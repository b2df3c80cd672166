"""A process that decides on the toy model's champion, and may be slow or killed before any of its steps.

    python decide.py JSON

A step is the question to the version, or a write: of a ledger's entry, of the alias, of a tag. `kill` is the
number of the step before which the process dies, `slow` of that before which it sleeps.
Standard output is a JSON object: the steps that were taken, and the error, if there was one.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow

from components.core.errors import RecloopError
from components.core.store import LocalStore
from components.registry import promotion
from components.registry.connection import connect
from components.registry.decision import Decision
from components.registry.ledger import Ledger
from components.registry.promotion import Succession

told: dict[str, Any] = json.loads(sys.argv[1])
steps: list[str] = []


def watch(owner: Any, name: str, said: str) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def step(*arguments: Any, **named: Any) -> Any:
        if said == "entry" and not named.get("if_absent"):
            return original(*arguments, **named)
        steps.append(said)
        if told.get("kill") == len(steps):
            os.kill(os.getpid(), signal.SIGKILL)
        if told.get("slow") == len(steps):
            time.sleep(1)
        return original(*arguments, **named)

    setattr(owner, name, step)


connect(told["tracking_uri"])
promotion.probe = lambda *_: None  # type: ignore[assignment]
watch(promotion, "probe", "probe")
if told["ledgers"].startswith("s3://"):
    from components.core.s3 import S3Store

    watch(S3Store, "write_bytes", "entry")
else:
    watch(LocalStore, "write_bytes", "entry")
watch(mlflow.MlflowClient, "set_registered_model_alias", "alias")
watch(mlflow.MlflowClient, "set_model_version_tag", "version")
watch(mlflow.MlflowClient, "set_registered_model_tag", "head")
if told.get("start"):  # both are ready before either begins
    ready = Path(told["start"])
    (ready / str(os.getpid())).touch()
    while len(list(ready.iterdir())) < 2:
        time.sleep(0.01)
if told.get("unlocked"):  # as if everybody had lost the turn and not seen it

    @contextmanager
    def turn(_: Ledger) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(check=lambda: None)

    Ledger.turn = turn  # type: ignore[assignment,method-assign]
error = ""
try:
    succession = Succession("toy", told["tracking_uri"], told["ledgers"])
    decision = Decision(who=told["who"], why="because", key=told.get("key", ""))
    if told["action"] == "promote":
        succession.promote(told["version"], decision)
    else:
        succession.rollback(told.get("version"), decision)
except RecloopError as failure:
    error = f"{type(failure).__name__}: {failure}"
print(json.dumps({"steps": steps, "error": error}))
