"""What a run came to: the model version, its metrics, the report."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from components.core.errors import IntegrityError
from components.core.recipe import Recipe
from components.core.runs import StageRecord
from components.core.store import join, open_store


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of a run.

    Attributes:
        metrics: of the test, by name such as `ndcg@20` or `auc`.
        report: URI of the page; None where nothing was evaluated.
        reason: of the decision.
        version: of the registered model; None where it was not registered.
        promoted: whether this version was made the champion in the run.
        waiting: whether it may become champion, and nobody has decided in the run.
    """

    model: str
    metrics: dict[str, float]
    report: str | None
    reason: str
    version: str | None
    promoted: bool
    waiting: bool

    @classmethod
    def of(cls, recipe: Recipe, records: Sequence[StageRecord]) -> Self:
        """Read it from the artifacts that a run's stages have left.

        Raises:
            IntegrityError: an artifact is gone.
        """
        finished = {record.stage: record for record in records if record.uri}
        evaluated, registered = finished.get("evaluate"), finished.get("register")
        verdict = _read(evaluated, "verdict.json")
        registration = _read(registered, "registration.json")
        promotion = _read(finished.get("promote"), "promotion.json")
        promoted = promotion.get("promoted", registration.get("promoted", False))
        metrics = dict(evaluated.metrics or {}) if evaluated else {}
        return cls(
            model=registration.get("model", recipe.model_name),
            metrics={name: value for name, value in sorted(metrics.items()) if name != "promote"},
            report=join(evaluated.uri, "report.html") if evaluated else None,
            reason=verdict.get("reason", ""),
            version=registration.get("version"),
            promoted=promoted,
            waiting=bool(registration and verdict.get("promote")) and not promoted and not promotion,
        )

    def headline(self) -> str:
        """One sentence: which version, and whether it is in use."""
        if self.version is None:
            return f"No version of {self.model} was registered."
        became = "made champion" if self.promoted else "registered as challenger"
        if self.waiting:
            became += f", and has won: `recloop promote {self.model} --why …` makes it champion"
        elif not self.promoted:
            became += ", not as champion"
        return f"Version {self.version} of {self.model} was {became}."

    def pairs(self) -> dict[str, str]:
        """What stands below the headline."""
        return {
            **({"reason": self.reason} if self.reason else {}),
            **{name: f"{value:.4f}" for name, value in self.metrics.items()},
            **({"report": self.report} if self.report else {}),
        }


def _read(record: StageRecord | None, name: str) -> dict[str, Any]:
    if record is None:
        return {}
    place = join(record.uri, name)
    try:
        document: dict[str, Any] = json.loads(open_store(place).read_bytes(place))
    except FileNotFoundError as error:
        raise IntegrityError(f"{place}: is gone; run the recipe again") from error
    return document
