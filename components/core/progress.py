"""Progress of long work: a bar with rate and time left in a terminal, plain lines elsewhere."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LINE_EVERY_S = 30.0
logger = logging.getLogger(__name__)


class Progress:
    """Counts finished units. `note` is shown beside the count."""

    def __init__(self, description: str, total: float | None, unit: str) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._done = 0.0
        self._start = self._last_line = time.monotonic()

    def advance(self, count: float = 1, note: str = "") -> None:
        """`count` more units are done."""
        self._done += count
        now = time.monotonic()
        if now - self._last_line >= _LINE_EVERY_S:
            self._last_line = now
            self._report(now, note)

    def _report(self, now: float, note: str) -> None:
        rate = self._done / max(now - self._start, 1e-9)
        total = f"/{self._total:,.0f}" if self._total else ""
        left = f", {(self._total - self._done) / rate:,.0f} s left" if self._total and rate else ""
        logger.info(
            "%s: %s%s %s, %s %s/s%s%s",
            self._description,
            f"{self._done:,.0f}",
            total,
            self._unit,
            f"{rate:,.1f}",
            self._unit,
            left,
            f", {note}" if note else "",
        )


class _TerminalProgress(Progress):
    def __init__(self, description: str, total: float | None, unit: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        super().__init__(description, total, unit)
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            transient=True,
            console=Console(stderr=True),
        )
        self._task = self.bar.add_task(description, total=total, rate="", note="")

    def advance(self, count: float = 1, note: str = "") -> None:
        self._done += count
        rate = self._done / max(time.monotonic() - self._start, 1e-9)
        self.bar.update(self._task, advance=count, note=note, rate=f"{rate:,.1f} {self._unit}/s")


@contextmanager
def progress(description: str, total: float | None = None, unit: str = "steps") -> Iterator[Progress]:
    """Show progress of one piece of long work on standard error."""
    if not sys.stderr.isatty():
        yield Progress(description, total, unit)
        return
    shown = _TerminalProgress(description, total, unit)
    with shown.bar:
        yield shown
