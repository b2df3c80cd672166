"""A stage's command as a child process: its lines as they come, and a clean end."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import final

from airflow.sdk import Context

from components.core.runs import Invocation
from dags.runners.base import Ended, Lines, Runner

_GRACE_S = 20.0  # between asking a stage to end and ending it
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


@final
class ProcessRunner(Runner):
    """Runs stages with this Python, beside the task."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._process = StageProcess(on_line)

    def run(self, invocation: Invocation, context: Context) -> Ended:
        return self._process.run(invocation.command(sys.executable))

    def stop(self) -> None:
        self._process.stop()


@dataclass
class StageProcess:
    """Runs one command at a time. The command gets a process group of its own, so that what it starts
    ends with it, and it is told to end when this process is killed.

    Attributes:
        on_line: called with every line that the command writes to standard error.
    """

    on_line: Callable[[str], None]
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    def run(self, command: Sequence[str]) -> Ended:
        """Run a command to its end. What it writes to standard output is nobody's."""
        lines = Lines(self.on_line)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        try:
            for line in self._process.stderr or ():
                lines.add(line.rstrip("\n"))
            code = self._process.wait()
        finally:
            self.stop()  # a timeout or a signal can leave the loop early
        return Ended(code, lines.last)

    def stop(self) -> None:
        """End the command and all that it started: politely, then for good."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        _signal_group(process.pid, signal.SIGTERM)
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _die_with_parent() -> None:
    # A worker killed outright cannot stop its stage, and an orphan would hold the artifact's lock
    # against the retry.
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
