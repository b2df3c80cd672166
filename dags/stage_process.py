"""A stage's command as a child process: its lines as they come, its last word, and a clean end."""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_KEPT_LINES = 60  # of standard error, to find the reason of a failure in
_GRACE_S = 20.0  # between asking a stage to end and ending it; Airflow itself waits 60 s
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


@dataclass
class StageProcess:
    """Runs one command at a time. The command gets a process group of its own, so that what it starts
    ends with it, and it is told to end when this process is killed.

    Attributes:
        on_line: called with every line that the command writes to standard error.
    """

    on_line: Callable[[str], None]
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    def run(self, command: Sequence[str]) -> tuple[int, str, str]:
        """The exit code, the last line on standard output, and the end of standard error."""
        kept: deque[str] = deque(maxlen=_KEPT_LINES)
        with tempfile.TemporaryFile("w+") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
            try:
                for line in self._process.stderr or ():
                    kept.append(line.rstrip("\n"))
                    self.on_line(kept[-1])
                code = self._process.wait()
            finally:
                self.stop()  # a timeout or a signal can leave the loop early
            output.seek(0)
            lines = output.read().splitlines()
        return code, lines[-1] if lines else "", "\n".join(kept)

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


def reason_of(stage: str, code: int, errors: str) -> str:
    """Why a stage failed, in one message with the exit code.

    What it logged last, with the lines that belong to it and without the time; if a signal ended it, its
    last line says nothing of that.
    """
    number = -code if code < 0 else code - 128
    if number in {entry.value for entry in signal.Signals}:
        return f"ended by {signal.Signals(number).name} (exit code {code})"
    start = re.compile(rf"^\d\d:\d\d:\d\d {re.escape(stage)}: ", re.MULTILINE)
    said = (start.split(errors)[-1] if start.search(errors) else errors[-2000:]).strip()
    return f"{said or 'no message'} (exit code {code})"


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _die_with_parent() -> None:
    # A worker killed outright cannot stop its stage, and an orphan would hold the artifact's lock
    # against the retry.
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
