"""From probabilities to a verdict: every model on the same examples, the comparisons, and the gates."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, final, get_args

import numpy as np

from components.core.gates import Gate
from components.core.hashing import derive_seed
from components.core.recipe import EvaluateClassifierParams, EvaluateStreamParams
from components.core.recipe.example_judgement import ExampleMetric
from components.core.verdict import ExampleMeasure, ExampleOther, ExampleSlice, ExampleVerdict
from components.evaluate.ancestry import CHALLENGER, CHAMPION
from components.evaluate.classification.exam import Exam
from components.evaluate.classification.learned import learned_share
from components.evaluate.classification.scoring import answer
from components.evaluate.classification.slices import Slice
from components.metrics import example_promotion as rule
from components.metrics.classification import Floats, measure, per_example
from components.metrics.decision import learned, promoted
from components.metrics.example_comparison import METRICS, compare, compare_slice

Name = Literal["challenger", "champion", "prior"]


@final
@dataclass(frozen=True, kw_only=True)
class Grades:
    """What all models made of an exam.

    Attributes:
        probabilities: model → (N, C); `champion` only where there is one. `prior` says the shares of train's
            classes of every example.
        learned: share of the test examples that the champion has been trained on; None where nobody can tell.
        lineage: gates over where the model comes from.
    """

    params: EvaluateClassifierParams | EvaluateStreamParams
    exam: Exam
    probabilities: Mapping[Name, Floats]
    learned: float | None
    lineage: tuple[Gate, ...] = ()

    @property
    def others(self) -> dict[ExampleOther, Floats]:
        """The models that the challenger is compared with."""
        return {name: found for name, found in self.probabilities.items() if name != CHALLENGER}

    @cached_property
    def metrics(self) -> dict[ExampleMetric, ExampleMeasure]:
        """Every metric of every model."""
        found = {name: measure(one, self.exam.label_N) for name, one in self.probabilities.items()}
        return {
            metric: ExampleMeasure(**{name: values[metric] for name, values in found.items()})
            for metric in get_args(ExampleMetric)
            if metric in found[CHALLENGER]
        }

    @property
    def values(self) -> dict[str, float]:
        """The challenger's."""
        return {name: found.challenger for name, found in self.metrics.items()}


def grade_all(params: EvaluateClassifierParams, inputs: Mapping[str, Path], exam: Exam) -> Grades:
    """Ask challenger, champion and prior about the same examples."""
    interactions, batch_size = inputs["interactions"], params.evaluation.batch_size
    found: dict[Name, Floats] = {CHALLENGER: answer("model", inputs["model"], interactions, exam, batch_size)}
    if CHAMPION in inputs:
        found[CHAMPION] = answer(CHAMPION, inputs[CHAMPION], interactions, exam, batch_size)
    found["prior"] = np.broadcast_to(exam.prior_C, found[CHALLENGER].shape)
    return Grades(
        params=params,
        exam=exam,
        probabilities=found,
        learned=learned_share(exam, inputs) if CHAMPION in inputs else None,
    )


def reach_verdict(grades: Grades, slices: Iterable[Slice], champion_version: str | None) -> ExampleVerdict:
    """Compare, and apply the rule."""
    promotion, metrics, values = grades.params.promotion, grades.metrics, grades.values
    comparisons = compare(
        grades.probabilities[CHALLENGER],
        grades.others,
        grades.exam.label_N,
        confidence=promotion.confidence,
        resamples=promotion.resamples,
        seed=derive_seed(grades.params.seed, "evaluate", "bootstrap"),
    )
    measured = [result for found in slices for result in _results(grades, found)]
    gates = rule.judge(promotion, values, comparisons, measured)
    if CHAMPION in comparisons:
        gates.append(learned(grades.learned, "test examples"))
    gates += grades.lineage
    return ExampleVerdict(
        task=grades.params.task,
        promote=promoted(gates),
        reason=rule.reason(promotion, comparisons, gates),
        rule="champion" if CHAMPION in comparisons else "first",
        metric=promotion.metric,
        margin=promotion.margin,
        confidence=promotion.confidence,
        resamples=promotion.resamples,
        challenger=metrics[promotion.metric].challenger,
        champion=metrics[promotion.metric].champion,
        champion_version=champion_version,
        comparisons=comparisons,
        gates=tuple(gates),
        classes=grades.exam.classes,
        num_examples=len(grades.exam),
        limits=rule.limits(promotion, values),
        metrics=metrics,
        slices=tuple(measured),
    )


def _results(grades: Grades, found: Slice) -> Iterator[ExampleSlice]:
    """Both metrics of a slice; nothing is known of one without examples."""
    label_N = grades.exam.label_N[found.member_N]
    ours, theirs = (
        grades.probabilities[name][found.member_N] if name in grades.probabilities else None
        for name in (CHALLENGER, CHAMPION)
    )
    assert ours is not None
    values = per_example(ours, label_N) if len(label_N) else {}
    compared = (
        compare_slice(ours, theirs, label_N, confidence=grades.params.promotion.confidence)
        if theirs is not None and len(label_N)
        else {}
    )
    for metric in METRICS:
        against = compared.get(metric)
        yield ExampleSlice(
            field=found.field,
            value=found.value,
            examples=len(label_N),
            metric=metric,
            challenger=float(values[metric].mean()) if metric in values else None,
            champion=against.other if against else None,
            difference=against.difference if against else None,
            low=against.low if against else None,
            high=against.high if against else None,
        )
