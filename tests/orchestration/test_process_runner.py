"""A stage's process: what it says, how it ends, and that nothing of it stays behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dags.runners.base import Ended, reason_of
from dags.runners.process import StageProcess

_SPAWNS_AND_SLEEPS = """\
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()} {child.pid}")
print("ready", file=sys.stderr, flush=True)
time.sleep(600)
"""


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(pids: list[int], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while any(map(is_running, pids)):
        assert time.monotonic() < deadline, f"still running: {pids}"
        time.sleep(0.05)


def test_lines_come_as_they_are_written() -> None:
    lines: list[str] = []
    program = "import sys; print('a'); print('ü', file=sys.stderr); print('b'); sys.exit(5)"
    ended = StageProcess(lines.append).run([sys.executable, "-X", "utf8", "-c", program])
    assert ended == Ended(5, "ü")
    assert lines == ["ü"]


def test_a_flood_on_both_streams_does_not_block() -> None:
    program = "import sys\nfor _ in range(20000): print('x' * 99); print('y' * 99, file=sys.stderr)"
    lines: list[str] = []
    ended = StageProcess(lines.append).run([sys.executable, "-c", program])
    assert (ended.code, len(lines)) == (0, 20000)
    assert len(ended.said) < 10_000  # only the end is kept


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_stop_ends_the_stage_and_what_it_started(tmp_path: Path) -> None:
    place = tmp_path / "pids"
    process = StageProcess(lambda line: threading.Thread(target=process.stop).start())
    started = time.monotonic()
    ended = process.run([sys.executable, "-c", _SPAWNS_AND_SLEEPS, str(place)])
    assert ended.code == -signal.SIGTERM
    assert time.monotonic() - started < 20
    wait_until_gone([int(pid) for pid in place.read_text().split()])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_error_in_the_caller_ends_the_stage(tmp_path: Path) -> None:
    def give_up(line: str) -> None:
        raise TimeoutError(line)

    place = tmp_path / "pids"
    with pytest.raises(TimeoutError, match="ready"):
        StageProcess(give_up).run([sys.executable, "-c", _SPAWNS_AND_SLEEPS, str(place)])
    wait_until_gone([int(pid) for pid in place.read_text().split()])


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
def test_a_killed_worker_leaves_no_stage_behind(tmp_path: Path) -> None:
    place = tmp_path / "pids"
    worker = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from dags.runners.process import StageProcess as P; P(print).run(sys.argv[1:])",
            *(sys.executable, "-c", _SPAWNS_AND_SLEEPS, str(place)),
        ]
    )
    deadline = time.monotonic() + 30
    while not (place.exists() and place.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker.kill()
    worker.wait()
    stage, child = (int(pid) for pid in place.read_text().split())
    wait_until_gone([stage])
    os.kill(child, signal.SIGKILL)  # its own children are a stage's own business: ours have none


@pytest.mark.parametrize(
    ("code", "errors", "reason"),
    [
        (
            3,
            "10:00:00 prepare: rows 12\n10:00:01 prepare: GateFailed: a\n  b",
            "GateFailed: a\n  b (exit code 3)",
        ),
        (1, "Fatal Python error", "Fatal Python error (exit code 1)"),
        (6, "", "no message (exit code 6)"),
        (143, "10:00:00 prepare: epoch 3", "ended by SIGTERM (exit code 143)"),
        (-9, "10:00:00 prepare: epoch 3", "ended by SIGKILL (exit code -9)"),
    ],
)
def test_the_reason_is_the_last_message(code: int, errors: str, reason: str) -> None:
    assert reason_of("prepare", Ended(code, errors)) == reason
