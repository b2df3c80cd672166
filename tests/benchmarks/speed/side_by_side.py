"""Competitors measured in turns, each in a process of its own.

A process of its own, because the allocator's setting holds for a whole process and peers are measured
with and without it; in turns (A, B, C, A, B, C, …), because a machine's speed drifts.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import final

from components.rec.allocator import keep_large_buffers

Work = Callable[[], float]  # does some work and says how much it was
Build = Callable[[], Work]  # must be importable: a function, or a `functools.partial` of one


@final
class _Process:
    """One competitor, waiting for its turn."""

    def __init__(self, build: Build, *, tuned: bool) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._here, there = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(there, build, tuned), daemon=True)
        self._process.start()
        there.close()
        self._here.recv()  # built

    def turn(self) -> float:
        """Work per second."""
        self._here.send(True)
        rate: float = self._here.recv()
        return rate

    def __enter__(self) -> "_Process":
        return self

    def __exit__(self, *_: object) -> None:
        self._here.send(False)
        self._process.join()


def rates(
    competitors: Mapping[str, Build], *, rounds: int = 3, tuned: Callable[[str], bool] = lambda _: False
) -> dict[str, float]:
    """Median work per second of each competitor over `rounds` turns, after one that is not counted.

    Args:
        tuned: whose process gets the allocator's setting before anything is built.
    """
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(_Process(build, tuned=tuned(name)))
            for name, build in competitors.items()
        }
        measured: dict[str, list[float]] = {name: [] for name in processes}
        for _ in range(rounds + 1):
            for name, process in processes.items():
                measured[name].append(process.turn())
    return {name: statistics.median(values[1:]) for name, values in measured.items()}


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Markdown; all columns but the first to the right."""
    ruler = ("---",) + ("---:",) * (len(header) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ruler, *rows))


def number(value: float) -> str:
    """Three digits that count."""
    if value >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


def _serve(connection: Connection, build: Build, tuned: bool) -> None:
    if tuned:
        keep_large_buffers()
    work = build()
    connection.send(True)
    while connection.recv():
        start = time.perf_counter()
        amount = work()
        connection.send(amount / (time.perf_counter() - start))
