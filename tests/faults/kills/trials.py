"""A trial: a run that is killed, perhaps more than once, and then one that is left alone."""

import random
import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from components.core.errors import RecloopError
from tests.faults.kills.aftermath import aftermath
from tests.faults.kills.nights import night
from tests.faults.kills.points import killing, names_in, telling

_SIGNALS = (signal.SIGKILL, signal.SIGTERM)
_MEMORY = (16, 1024)  # MiB that a run may take more, at least and at most


@final
@dataclass(frozen=True)
class Death:
    """How a run ends.

    Attributes:
        point: its number among those that the run passes.
        after: seconds.
        memory: bytes that it gets.
    """

    kind: str
    signal: int = signal.SIGKILL
    point: int | None = None
    after: float | None = None
    memory: int | None = None

    def of(self, place: Path) -> int:
        """Run and die; the exit code."""
        happens = None if self.point is None else killing(self.point, self.signal)
        timed = None if self.after is None else (self.after, self.signal)
        return night(place, happens, killed_after=timed, memory=self.memory)


@final
@dataclass(frozen=True)
class Outcome:
    """What a trial came to.

    Attributes:
        died: exit codes of the runs that were to die; some finish first.
        fault: what is wrong with the end; empty where nothing is.
    """

    deaths: Sequence[Death]
    died: Sequence[int]
    fault: str


@final
class Undisturbed:
    """A run that nothing happened to: its end, its points, and how long it took."""

    def __init__(self, place: Path) -> None:
        place.mkdir(parents=True)
        log = place / "points"
        code = night(place, telling(log))
        assert code == 0, (place / "log").read_text()
        self.points = list(names_in(log))
        self.end: dict[str, Any] = aftermath(place)


def at_points(points: Sequence[str]) -> Iterator[Death]:
    """One for every point."""
    for number, name in enumerate(points):
        yield Death(name, point=number)


def at_random(number: int, points: Sequence[str], seconds: float, draw: random.Random) -> Iterator[Death]:
    """As many as asked for, in turn: at any time, by either signal; for want of memory; told to stop at a
    point."""
    for place in range(number):
        if place % 3 == 0:
            yield Death("at any time", draw.choice(_SIGNALS), after=draw.uniform(0, seconds))
        elif place % 3 == 1:
            yield Death("out of memory", memory=draw.randint(*_MEMORY) << 20)
        else:
            point = draw.randrange(len(points))
            yield Death(f"told to stop {points[point]}", signal.SIGTERM, point=point)


def attempt(deaths: Sequence[Death], place: Path, undisturbed: Undisturbed) -> Outcome:
    """Die, then run once more and compare; `place` is removed where all is well."""
    died = [death.of(place) for death in deaths]
    code = night(place)
    fault = "" if code == 0 else f"the run that was left alone ended with {code}"
    if not fault:
        try:
            end = aftermath(place)
        except RecloopError as error:
            fault = str(error)
        else:
            fault = "; ".join(_differences(undisturbed.end, end))
    if not fault:
        shutil.rmtree(place)
    return Outcome(deaths, died, fault)


def _differences(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    for part, value in expected.items():
        if isinstance(value, dict):
            yield from _differences(value, found[part])
            yield from (f"{name} besides" for name in found[part].keys() - value.keys())
        elif found.get(part) != value:
            yield f"{part}: {found.get(part)!r} instead of {value!r}"
