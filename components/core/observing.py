"""Who is told what a stage does: lineage, metrics. Each observer is on where one of its variables is set in
the environment; none can fail a stage, or delay it by more than `WAIT_S`."""

import logging
import os
import queue
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, final

from components.core.runs import StageRecord
from components.core.stage import StageSpec
from components.core.strategy import load_object

logger = logging.getLogger(__name__)
WAIT_S: Final = 5.0  # for all observers together, when a stage has ended
# lazy path of an observer → the variables that switch it on
OBSERVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "components.telemetry.lineage:Lineage": (
        "OPENLINEAGE_URL",
        "OPENLINEAGE_CONFIG",
        "OPENLINEAGE__TRANSPORT",
        "OPENLINEAGE__TRANSPORT__TYPE",
    ),
    "components.telemetry.metrics:Metrics": ("PROMETHEUS_PUSHGATEWAY_URL",),
}
_RECORD = re.compile(r"(?:^|/)(?P<recipe>[^/]+)/runs/(?P<run>[^/]+)/\d+-[a-z]+\.json$")


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A stage at work, as its observers know it.

    Attributes:
        inputs: input name → URI, as the command named them.
        place: URI of its record, which tells the recipe and the run; None outside of any run.
    """

    spec: StageSpec
    inputs: Mapping[str, str]
    place: str | None
    started: datetime

    @property
    def recipe(self) -> str | None:
        """Name of the recipe; None outside of any run."""
        return self._part("recipe")

    @property
    def run_id(self) -> str | None:
        """The run's id, as it stands in paths; None outside of any run."""
        return self._part("run")

    def _part(self, name: str) -> str | None:
        found = _RECORD.search(self.place or "")
        return found[name] if found else None


class Observer(Protocol):
    """Made when a stage starts, and asked from one thread alone. Whatever it raises is logged."""

    def __init__(self, watched: Watched) -> None: ...

    def began(self) -> None:
        """The stage starts."""

    def ended(self, record: StageRecord) -> None:
        """It has ended, well or not."""


@final
class Observation:
    """Begins with a stage, and ends with its record."""

    def __init__(self, watched: Watched) -> None:
        self._tellers = [
            _Teller(path, watched)
            for path, variables in OBSERVERS.items()
            if any(os.environ.get(name) for name in variables)
        ]
        for teller in self._tellers:
            teller.start()

    def end(self, record: StageRecord) -> None:
        """Tell the observers, and give them a moment."""
        for teller in self._tellers:
            teller.records.put(record)
        until = time.monotonic() + WAIT_S
        for teller in self._tellers:
            teller.join(max(0.0, until - time.monotonic()))
            if teller.is_alive():
                logger.warning("%s does not answer; not waited for", teller.name)


@final
class _Teller(threading.Thread):
    """One observer of one stage. A daemon: nobody waits for it when the process ends."""

    def __init__(self, path: str, watched: Watched) -> None:
        super().__init__(name=path.partition(":")[0].rpartition(".")[2], daemon=True)
        self._path, self._watched = path, watched
        self.records: queue.SimpleQueue[StageRecord] = queue.SimpleQueue()

    def run(self) -> None:
        try:
            observer: Observer = load_object(self._path)(self._watched)
        except Exception as error:
            logger.warning("%s is left out: %s", self.name, _told(error))
            return
        try:
            observer.began()
        except Exception as error:
            logger.warning("%s was not told of the start: %s", self.name, _told(error))
        record = self.records.get()
        try:
            observer.ended(record)
        except Exception as error:
            logger.warning("%s was not told of the end: %s", self.name, _told(error))


def _told(error: Exception) -> str:
    first, *_ = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {first}"
