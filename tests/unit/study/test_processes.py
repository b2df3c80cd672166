"""Processes that are killed, interrupted and left behind."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from components.core.errors import ConflictError
from components.study.processes import in_turns, side_by_side

CALLER = """
import sys
from components.study.processes import side_by_side
from tests.unit.study.test_processes import linger
if __name__ == "__main__":
    calls = {number: (linger, (sys.argv[1], number)) for number in range(6)}
    for key, done in side_by_side(calls, jobs=2):
        print(key, done.exception())
"""


def double(number: int) -> int:
    return 2 * number


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def threads() -> str:
    return os.environ["OMP_NUM_THREADS"]


def taken_by_others(number: int, patient: bool) -> tuple[int, bool]:
    """Odd numbers are, at first."""
    if number % 2 and not patient:
        raise ConflictError("somebody is at it")
    return number, patient


def linger(folder: str, number: int) -> None:
    """Says that it began, and takes its time."""
    (Path(folder) / f"{number}").write_text(str(os.getpid()))
    time.sleep(60)


def test_every_call_is_made_and_one_that_is_killed_fails_no_other_that_waits() -> None:
    calls = {0: (double, (1,)), 1: (die, ()), 2: (double, (2,)), 3: (double, (3,))}
    done = dict(side_by_side(calls, jobs=1))
    assert isinstance(done[1].exception(), BrokenProcessPool)
    assert {key: done[key].result() for key in (0, 2, 3)} == {0: 2, 2: 4, 3: 6}


def test_what_others_are_at_is_waited_for_when_nothing_else_is_left() -> None:
    calls = {number: (taken_by_others, (number,)) for number in (1, 2, 3, 4)}
    done = [(key, future.result()) for key, future in in_turns(calls, jobs=1)]
    assert done == [(2, (2, False)), (4, (4, False)), (1, (1, True)), (3, (3, True))]


def test_processes_have_no_more_threads_than_the_user_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    ((_, done),) = side_by_side({0: (threads, ())}, jobs=1)
    assert done.result() == "1"
    assert os.environ["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_caller(tmp_path: Path, number: signal.Signals) -> None:
    """And no call that waited begins."""
    caller = tmp_path / "caller.py"
    caller.write_text(CALLER)
    folder = tmp_path / "began"
    folder.mkdir()
    run = subprocess.Popen(
        [sys.executable, str(caller), str(folder)],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        stderr=subprocess.PIPE,
    )
    until = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2:
        assert time.monotonic() < until
        time.sleep(0.05)
    run.send_signal(number)
    run.communicate(timeout=60)
    children = [int(file.read_text() or 0) for file in folder.iterdir()]
    assert len(children) == 2
    until = time.monotonic() + 60
    while any(_lives(child) for child in children):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert len(list(folder.iterdir())) == 2


def _lives(process: int) -> bool:
    """Zombies, whom nobody has taken leave of, do not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
