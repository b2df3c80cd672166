"""What every runner does."""

import contextvars
import re
import signal
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

from airflow.sdk import BaseOperator, Context
from airflow.sdk.bases.operator import ExecutorSafeguard

from components.core.runs import Invocation

KILLED = 137  # where nobody saw the exit code: the container or pod is gone
KILLED = 137  # where nobody saw the exit code: the container or pod is gone
_KEPT_LINES = 60


@dataclass(frozen=True)
class Ended:
    """How a stage's command ended.

    Attributes:
        code: its exit code; negative or above 128: a signal.
        said: the last lines of what it wrote to standard error, to find a reason in when it left no record.
        cause: what ended it, where its engine or cluster knows.
    """

    code: int
    said: str = ""
    cause: str = ""


class Runner(ABC):
    """Runs one stage's command to its end, passing its lines on to the task's log as they come.

    What the stage came to is in its record (`invocation.record`), not here.
    """

    @abstractmethod
    def run(self, invocation: Invocation, context: Context) -> Ended:
        """Run the command.

        Raises:
            InfrastructureError: it could not be run at all; a retry may.
            InvalidInputError: it can never run this way; says what to change.
        """

    @abstractmethod
    def stop(self) -> None:
        """End the command: politely, then for good. Airflow calls it from a signal's handler."""


@final
@dataclass
class Lines:
    """Passes lines on and keeps the last ones."""

    on_line: Callable[[str], None]
    _kept: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES), init=False)

    def add(self, line: str) -> None:
        self._kept.append(line)
        self.on_line(line)

    @property
    def last(self) -> str:
        return "\n".join(self._kept)


def execute(operator: BaseOperator, context: Context) -> Any:
    """What `operator.execute` returns, called within another operator's."""
    inside = contextvars.copy_context()
    inside.run(ExecutorSafeguard.tracker.set, operator)  # as Airflow's task runner does; else it warns
    return inside.run(operator.execute, context)


def reason_of(stage: str, ended: Ended) -> str:
    """Why a stage failed that left no record, in one message with the exit code.

    What it said last, with the lines that belong to it and without the time; if a signal ended it, its
    last line says nothing of that.
    """
    number = -ended.code if ended.code < 0 else ended.code - 128
    if ended.cause:
        return f"{ended.cause} (exit code {ended.code})"
    if number in {entry.value for entry in signal.Signals}:
        return f"ended by {signal.Signals(number).name} (exit code {ended.code})"
    start = re.compile(rf"^\d\d:\d\d:\d\d {re.escape(stage)}: ", re.MULTILINE)
    said = (start.split(ended.said)[-1] if start.search(ended.said) else ended.said[-2000:]).strip()
    return f"{said or 'no message'} (exit code {ended.code})"
