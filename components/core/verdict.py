"""The verdict over a model: the document `verdict.json` of an evaluation."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field

from components.core.gates import Gate
from components.core.recipe.classification import ClassificationMetric
from components.core.recipe.example_judgement import ExampleMetric
from components.core.recipe.judgement import Task
from components.core.recipe.ranking_judgement import SliceName
from components.core.strategy import Config

VERDICT_FILE: Final = "verdict.json"
REST: Final = ("other", "out of vocabulary", "missing")  # slices of a field that are no value of its own
Other = Literal["champion", "popularity", "item_knn"]
ExampleOther = Literal["champion", "prior"]


class AnyComparison(Config):
    """One metric of the challenger and of another model, over the same test."""

    challenger: float
    other: float
    difference: float = Field(description="challenger − other")
    low: float = Field(description="ends of the interval of the difference")
    high: float
    p_value: float = Field(description="of the paired test that there is no difference, two-sided")


class AnyVerdict(Config):
    """Whether to promote, and all that it rests on; what the tasks share.

    Attributes:
        rule: `first` where there was no champion to compare with, else `champion`.
        metric: the one that decides; challenger, champion: its values.
        champion_version: registered version that was compared with; None where the champion that was given
            is not the registered one.
        comparisons: other model → metric → what was found; narrowed by the task.
        gates: every check; the challenger is promoted if none has stopped or held.
    """

    task: Task
    promote: bool
    reason: str
    rule: Literal["first", "champion"]
    metric: str
    margin: float
    confidence: float
    resamples: int
    challenger: float
    champion: float | None
    champion_version: str | None
    comparisons: Mapping[Any, Mapping[Any, AnyComparison]]
    gates: tuple[Gate, ...]

    def document(self) -> dict[str, Any]:
        """As plain JSON values; gates with their outcome."""
        return {**self.model_dump(mode="json"), "gates": [gate.document() for gate in self.gates]}

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `verdict.json`; a document that is none of this task is a ValueError."""
        return cls.parse(path.read_bytes())

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Read its text."""
        document = json.loads(text)
        for gate in document.get("gates", ()):
            gate.pop("outcome", None)
        return cls.model_validate(document)


# -- ranking ---------------------------------------------------------------------------------------------


class Comparison(AnyComparison):
    """Means over the test users, paired by user."""

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


class Verdict(AnyVerdict):
    """Of a model that ranks."""

    task: Literal["ranking"] = "ranking"
    num_users: int
    floors: dict[str, Floor]
    comparisons: dict[Other, dict[str, Comparison]]
    slices: tuple[SliceResult, ...]
    beyond_accuracy: dict[str, BeyondAccuracy]


# -- classification --------------------------------------------------------------------------------------


class ExampleComparison(AnyComparison):
    """A metric over the test examples, paired by example. Of log loss a difference below 0 is a lead."""


class ExampleSlice(Config):
    """One metric over the test examples with one value of a field; None where it is undefined, or nothing to
    compare."""

    field: str
    value: str = Field(description="or other, out of vocabulary, missing")
    examples: int
    metric: ClassificationMetric
    challenger: float | None
    champion: float | None = None
    difference: float | None = Field(default=None, description="challenger − champion")
    low: float | None = None
    high: float | None = None


class ExampleMeasure(Config):
    """One metric over all test examples, for every model that was asked."""

    challenger: float
    champion: float | None = None
    prior: float


class Limit(Config):
    """A range that a metric must lie in."""

    value: float
    min: float | None
    max: float | None
    passed: bool


class ExampleVerdict(AnyVerdict):
    """Of a model that classifies, also of one that follows a stream."""

    task: Literal["classification", "stream"] = "classification"
    classes: tuple[str, ...]
    num_examples: int
    limits: dict[ExampleMetric, Limit]
    metrics: dict[ExampleMetric, ExampleMeasure]
    comparisons: dict[ExampleOther, dict[ClassificationMetric, ExampleComparison]]
    slices: tuple[ExampleSlice, ...]


_VERDICTS: Final[Mapping[str, type[AnyVerdict]]] = {
    "ranking": Verdict,
    "classification": ExampleVerdict,
    "stream": ExampleVerdict,
}


def parse_verdict(text: bytes) -> AnyVerdict:
    """The verdict of any task; that of a ranking where it names none.

    Raises:
        ValueError: it is none.
    """
    task = json.loads(text).get("task", "ranking")
    if task not in _VERDICTS:
        raise ValueError(f"task: got {task!r}, need one of {sorted(_VERDICTS)}")
    return _VERDICTS[task].parse(text)


def read_verdict(path: Path) -> AnyVerdict:
    """Read `verdict.json` of any task; raises like `parse_verdict`."""
    return parse_verdict(path.read_bytes())
