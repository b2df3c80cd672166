"""Progress of long work: a bar with rate and time left in a terminal, plain lines elsewhere."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_LINE_EVERY_S = 30.0
logger = logging.getLogger(__name__)


@cache
def error_console() -> "Console":
    """The one console on standard error: bars and log lines that share it do not overwrite each other."""
    from rich.console import Console

    return Console(stderr=True)


_bars = True


def without_bars() -> None:
    """From now on this process shows lines alone: bars of several would overwrite each other."""
    global _bars
    _bars = False


class Progress:
    """Counts finished units; every half a minute, and at the end of what took longer, a line says so."""

    def __init__(self, description: str, total: float | None, unit: str) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._done, self._note = 0.0, ""
        self._start = self._last_line = time.monotonic()

    def advance(self, count: float = 1, note: str = "") -> None:
        """`count` more units are done; `note` is shown beside the count."""
        self._done += count
        self._note = note
        if time.monotonic() - self._last_line >= _LINE_EVERY_S:
            self._report()

    def close(self) -> None:
        """No more will come."""
        if self._last_line > self._start:
            self._report()

    def _rate(self) -> float:
        return self._done / max(time.monotonic() - self._start, 1e-9)

    def _report(self) -> None:
        self._last_line = time.monotonic()
        rate = self._rate()
        total = f"/{self._total:,.0f}" if self._total else ""
        left = f", {_duration((self._total - self._done) / rate)} left" if self._total and rate else ""
        logger.info(
            "%s: %s%s %s, %s%s%s",
            self._description,
            f"{self._done:,.0f}",
            total,
            self._unit,
            _shown_rate(rate, self._unit),
            left,
            f", {self._note}" if self._note else "",
        )


class _TerminalProgress(Progress):
    def __init__(self, description: str, total: float | None, unit: str) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bar

        super().__init__(description, total, unit)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            *([TimeRemainingColumn(), TextColumn("left")] if total else [TimeElapsedColumn()]),
            TextColumn("{task.fields[note]}"),
            transient=True,
            console=error_console(),
        )
        self._task = self._bar.add_task(description, total=total, rate="", note="")
        self._bar.start()

    def advance(self, count: float = 1, note: str = "") -> None:
        self._done += count
        self._bar.update(self._task, advance=count, note=note, rate=_shown_rate(self._rate(), self._unit))

    def close(self) -> None:
        self._bar.stop()


@contextmanager
def progress(description: str, total: float | None = None, unit: str = "steps") -> Iterator[Progress]:
    """Show progress of one piece of long work on standard error."""
    kind = _TerminalProgress if _bars and error_console().is_terminal else Progress
    shown = kind(description, total, unit)
    try:
        yield shown
    finally:
        shown.close()


def _shown_rate(rate: float, unit: str) -> str:
    return f"{rate:,.1f} {unit}/s" if rate >= 1 or not rate else f"{1 / rate:,.1f} s/{unit.removesuffix('s')}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
