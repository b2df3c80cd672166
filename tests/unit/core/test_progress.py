import io
import logging

import pytest

from components.core import progress as module
from components.core.progress import error_console, progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when it is told to."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger=module.__name__)
    return lambda: [record.getMessage() for record in caplog.records]


def test_a_plain_line_every_half_minute_with_rate_and_time_left(clock, lines):
    with progress("search", 1000, "users") as shown:
        for second in range(1, 101):
            clock[0] = second
            shown.advance(10, note=f"loss {second}")
    assert lines() == [
        "search: 300/1,000 users, 10.0 users/s, 1 min 10 s left, loss 30",
        "search: 600/1,000 users, 10.0 users/s, 40 s left, loss 60",
        "search: 900/1,000 users, 10.0 users/s, 10 s left, loss 90",
        "search: 1,000/1,000 users, 10.0 users/s, 0 s left, loss 100",
    ]


def test_short_work_says_nothing(clock, lines):
    with progress("ingest", unit="rows") as shown:
        clock[0] = 29
        shown.advance(5)
    assert lines() == []


def test_without_a_total_and_slowly(clock, lines):
    with progress("ingest", unit="files") as shown:
        clock[0] = 40
        shown.advance(4)
    assert lines()[0] == "ingest: 4 files, 10.0 s/file"


def test_a_bar_in_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setattr("sys.stderr", terminal)
    error_console.cache_clear()
    with progress("epoch 1/2", 20, "users") as shown:
        shown.advance(20, note="loss 0.5")
    error_console.cache_clear()
    for part in ("epoch 1/2", "20/20", "users/s", "left", "loss 0.5"):
        assert part in terminal.getvalue()


def test_what_was_done_is_said_when_the_work_fails(clock, lines):
    def work():
        with progress("search", 10) as shown:
            clock[0] = 31
            shown.advance(3)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert len(lines()) == 2
