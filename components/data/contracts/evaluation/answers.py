"""What the models said of the test examples, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.core.columns import (
    BIN,
    CHAMPION_PROBABILITIES,
    CHAMPION_VALUE,
    CLASS,
    EXAMPLES,
    LABEL,
    MEAN_PROBABILITY,
    METRIC,
    MODEL,
    OBSERVED,
    PRIOR_VALUE,
    PROBABILITIES,
    VALUE,
)
from components.core.verdict import ExampleMeasure, ExampleVerdict
from components.data.contracts.agreement import TOLERANCE, near
from components.data.contracts.examination import Fact
from components.metrics.classification import Floats, judged_classes, measure, reliability

_ONE: Final = 1e-6  # by which probabilities may fail to add up to 1


@final
@dataclass(frozen=True)
class Answers:
    """What the models said: labels, and model → (N, C) probabilities."""

    label_N: NDArray[np.int64]
    probabilities: Mapping[str, Floats]

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Model → metric → its value."""
        return {name: measure(one, self.label_N) for name, one in self.probabilities.items()}


def read_answers(per_example: pa.Table, num_classes: int) -> Answers:
    """From `per_example.parquet`."""
    columns = {"challenger": PROBABILITIES, "champion": CHAMPION_PROBABILITIES}
    return Answers(
        per_example[LABEL].to_numpy().astype(np.int64),
        {
            model: per_example[column].combine_chunks().flatten().to_numpy().reshape(-1, num_classes)
            for model, column in columns.items()
            if column in per_example.schema.names
        },
    )


def probability_facts(answers: Answers, num_classes: int) -> dict[str, Fact]:
    """Of every class there are examples, and probabilities are such."""
    count_C = np.bincount(answers.label_N.clip(0), minlength=num_classes)
    facts: dict[str, Fact] = {"examples of the rarest class": (int(count_C.min()), 1, None)}
    for model, probability_NC in answers.probabilities.items():
        sound_N = (np.abs(probability_NC.sum(axis=1) - 1) <= _ONE) & (probability_NC >= 0).all(axis=1)
        facts[f"{model}: examples without probabilities"] = (int((~sound_N).sum()), 0, 0)
    return facts


def metric_facts(verdict: ExampleVerdict, metrics: pa.Table, answers: Answers) -> dict[str, Fact]:
    """The table and the verdict tell what the examples do. (What the prior says stands in no table.)"""
    told = {
        row[METRIC]: ExampleMeasure(
            challenger=row[VALUE], champion=row[CHAMPION_VALUE], prior=row[PRIOR_VALUE]
        )
        for row in metrics.to_pylist()
    }
    found = answers.metrics
    facts: dict[str, Fact] = {
        "metrics are the verdict's": (told == verdict.metrics, 1, 1),
        "metrics are those that there are": (told.keys() == found["challenger"].keys(), 1, 1),
    }
    for name, measured in told.items():
        facts[name] = near(measured.challenger, found["challenger"].get(name))
        if verdict.rule == "champion":
            facts[f"champion's {name}"] = near(measured.champion, found["champion"].get(name))
    return facts


def calibration_facts(verdict: ExampleVerdict, calibration: pa.Table, answers: Answers) -> dict[str, Fact]:
    """Every bin is what the examples say."""
    told = {
        (row[MODEL], row[CLASS], row[BIN]): (row[EXAMPLES], row[MEAN_PROBABILITY], row[OBSERVED])
        for row in calibration.to_pylist()
    }
    facts: dict[str, Fact] = {}
    for model, probability_NC in answers.probabilities.items():
        wrong = 0
        for place in judged_classes(len(verdict.classes)):
            bins = reliability(probability_NC[:, place], answers.label_N == place)
            for b, (examples, predicted, observed) in enumerate(zip(*bins, strict=True)):
                found = told.get((model, verdict.classes[place], b))
                expected = (examples, predicted / examples, observed / examples) if examples else None
                wrong += not _same(found, expected)
        facts[f"{model}: wrong bins"] = (wrong, 0, 0)
    return facts


def _same(one: tuple[float, ...] | None, other: tuple[float, ...] | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.allclose(one, other, rtol=0, atol=TOLERANCE))
