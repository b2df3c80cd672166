"""Competitors measured in turns, each in a process of its own.

A process of its own, because the allocator's setting holds for a whole process and peers are measured
with and without it; in turns (A, B, C, A, B, C, …), because a machine's speed drifts.
"""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import final
from unittest.mock import patch

from components.rec.allocator import keep_large_buffers

Work = Callable[[], float]  # does a little work and says how much it was


@final
@dataclass(frozen=True)
class Competitor:
    """Who takes part.

    Attributes:
        build: prepares everything; importable: a function, or a `functools.partial` of one.
        tuned: whether the allocator is set before anything is built.
        environment: variables of its process.
    """

    build: Callable[[], Work]
    tuned: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


@final
class _Process:
    """One competitor, waiting for its turn."""

    def __init__(self, competitor: Competitor, seconds: float) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._here, there = spawn.Pipe()
        arguments = (there, competitor.build, competitor.tuned, seconds)
        self._process = spawn.Process(target=_serve, args=arguments, daemon=True)
        with patch.dict(os.environ, competitor.environment):
            self._process.start()
        there.close()
        self._answer()  # built

    def turn(self) -> float:
        """Work per second."""
        self._here.send(True)
        return self._answer()

    def _answer(self) -> float:
        try:
            return float(self._here.recv())
        except EOFError:
            raise SystemExit("a competitor failed; its traceback is above") from None

    def __enter__(self) -> "_Process":
        return self

    def __exit__(self, *_: object) -> None:
        self._here.close()
        self._process.join(timeout=10)


def rates(
    competitors: Mapping[str, Competitor], *, rounds: int = 3, seconds: float = 2.0
) -> dict[str, float]:
    """Median work per second of each competitor over `rounds` turns of about `seconds`, after one that is
    not counted."""
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(_Process(competitor, seconds))
            for name, competitor in competitors.items()
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
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 1000 else f"{value:.3g}"


def _serve(connection: Connection, build: Callable[[], Work], tuned: bool, seconds: float) -> None:
    if tuned:
        keep_large_buffers()
    work = build()
    connection.send(0.0)
    while True:
        try:
            connection.recv()
        except EOFError:
            return
        amount, start = 0.0, time.perf_counter()
        while (taken := time.perf_counter() - start) < seconds:
            amount += work()
        connection.send(amount / taken)
