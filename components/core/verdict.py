"""The verdict over a model: the document `verdict.json` of an evaluation."""

import json
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field

from components.core.gates import Gate
from components.core.recipe.judgement import SliceName
from components.core.strategy import Config

VERDICT_FILE: Final = "verdict.json"
Other = Literal["champion", "popularity", "item_knn"]


class Comparison(Config):
    """One metric of the challenger and of another model, paired by user."""

    challenger: float = Field(description="mean over the users")
    other: float = Field(description="mean over the same users")
    difference: float
    low: float = Field(description="ends of the interval of the difference")
    high: float
    p_value: float = Field(description="of the paired test that there is no difference, two-sided")
    better: int = Field(description="users by the sign of their own difference")
    equal: int
    worse: int


class SliceResult(Config):
    """One metric over a slice of the users; None where there is nobody to measure, or nothing to compare."""

    slice: SliceName
    metric: str
    users: int
    challenger: float | None
    champion: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None


class BeyondAccuracy(Config):
    """One measure of the lists as a whole, for every model that was asked."""

    challenger: float
    champion: float | None = None
    popularity: float
    item_knn: float


class Floor(Config):
    """A value that a metric must reach."""

    value: float
    floor: float
    passed: bool


class Verdict(Config):
    """Whether to promote, and all that it rests on.

    Attributes:
        rule: `first` where there was no champion to compare with, else `champion`.
        challenger, champion: means of the metric that decides.
        champion_version: registered version that was compared with; None where the champion that was given
            is not the registered one.
        gates: every check; the challenger is promoted if none has stopped or held.
    """

    promote: bool
    reason: str
    rule: Literal["first", "champion"]
    metric: str
    margin: float
    confidence: float
    resamples: int
    num_users: int
    challenger: float
    champion: float | None
    champion_version: str | None
    floors: dict[str, Floor]
    comparisons: dict[Other, dict[str, Comparison]]
    slices: tuple[SliceResult, ...]
    beyond_accuracy: dict[str, BeyondAccuracy]
    gates: tuple[Gate, ...]

    def document(self) -> dict[str, Any]:
        """As plain JSON values; gates with their outcome."""
        return {**self.model_dump(mode="json"), "gates": [gate.document() for gate in self.gates]}

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `verdict.json`; a document that is none is a ValueError."""
        return cls.parse(path.read_bytes())

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Read its text."""
        document = json.loads(text)
        for gate in document.get("gates", ()):
            gate.pop("outcome", None)
        return cls.model_validate(document)
