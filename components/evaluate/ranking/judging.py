"""From lists to a verdict: every model on the same questions, the comparisons, and the gates."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, final

import numpy as np
from torch import Tensor

from components.core.hashing import derive_seed
from components.core.recipe import EvaluateParams
from components.core.verdict import BeyondAccuracy, Other, SliceResult, Verdict
from components.evaluate.ancestry import CHALLENGER, CHAMPION, CHAMPION_DATASET
from components.evaluate.ranking.baselines import answer_by_item_knn, answer_by_popularity
from components.evaluate.ranking.sampled import grade_sampled
from components.evaluate.ranking.scoring import (
    Exam,
    answer,
    answer_of_champion,
    grade,
    known_to,
    learned_share,
)
from components.evaluate.ranking.slices import Slices, grade_tail, measure, read_slices
from components.metrics import promotion as rule
from components.metrics.beyond_accuracy import beyond_accuracy
from components.metrics.comparison import Metrics, compare
from components.metrics.decision import learned, promoted

Name = Literal["challenger", "champion", "popularity", "item_knn"]


@final
@dataclass(frozen=True, kw_only=True)
class Grades:
    """What all models made of an exam.

    Attributes:
        lists: model → (Q, K) rankings; `champion` only where there is one.
        metrics: model → metric → value of each user.
        sampled: model → metric → mean among sampled items, where the recipe asks for it.
        learned: share of the test pairs that the champion has been trained on; None where nobody can tell.
    """

    params: EvaluateParams
    exam: Exam
    lists: Mapping[Name, Tensor]
    metrics: Mapping[Name, Metrics]
    slices: Slices
    learned: float | None
    sampled: Mapping[str, Mapping[str, float]]

    @property
    def others(self) -> dict[Other, Metrics]:
        """The metrics of the models that the challenger is compared with."""
        return {name: metrics for name, metrics in self.metrics.items() if name != CHALLENGER}

    @cached_property
    def means(self) -> dict[str, float]:
        """The challenger's."""
        return {name: float(value_Q.mean()) for name, value_Q in self.metrics[CHALLENGER].items()}


def grade_all(params: EvaluateParams, inputs: Mapping[str, Path], exam: Exam) -> Grades:
    """Ask challenger, champion and baselines the same questions."""
    ks, block = params.evaluation.ks, params.evaluation.user_block
    k = max(ks)
    lists: dict[Name, Tensor] = {CHALLENGER: answer(inputs["model"], exam, k, block)}
    known_Q = learned = None
    if CHAMPION in inputs:
        lists[CHAMPION] = answer_of_champion(inputs[CHAMPION], exam, k, block)
        known_Q = known_to(inputs[CHAMPION], exam)
        if CHAMPION_DATASET in inputs:
            learned = learned_share(exam, inputs[CHAMPION_DATASET])
    lists["popularity"] = answer_by_popularity(exam, k)
    lists["item_knn"] = answer_by_item_knn(exam, k)
    sampled = params.evaluation.sampled
    return Grades(
        params=params,
        exam=exam,
        lists=lists,
        metrics={name: grade(top_QK, exam, ks) for name, top_QK in lists.items()},
        slices=read_slices(exam, known_Q),
        learned=learned,
        sampled={} if sampled is None else grade_sampled(sampled, ks, inputs["model"], exam, params.seed),
    )


def reach_verdict(grades: Grades, champion_version: str | None) -> Verdict:
    """Compare, and apply the rule."""
    promotion, metric = grades.params.promotion, grades.params.promotion.metric
    comparisons = compare(
        grades.metrics[CHALLENGER],
        grades.others,
        confidence=promotion.confidence,
        resamples=promotion.resamples,
        seed=derive_seed(grades.params.seed, "evaluate", "bootstrap"),
    )
    slices = _slices(grades)
    beyond = _beyond_accuracy(grades)
    gates = rule.judge(promotion, grades.means, comparisons, slices, beyond)
    if CHAMPION in comparisons:
        gates.append(learned(grades.learned, "test pairs"))
    return Verdict(
        promote=promoted(gates),
        reason=rule.reason(promotion, comparisons, gates),
        rule="champion" if CHAMPION in comparisons else "first",
        metric=metric,
        margin=promotion.margin,
        confidence=promotion.confidence,
        resamples=promotion.resamples,
        num_users=len(grades.exam.users),
        challenger=grades.means[metric],
        champion=comparisons[CHAMPION][metric].other if CHAMPION in comparisons else None,
        champion_version=champion_version,
        floors=rule.floors(promotion, grades.means),
        comparisons=comparisons,
        slices=tuple(slices),
        beyond_accuracy=beyond,
        gates=tuple(gates),
    )


def _slices(grades: Grades) -> list[SliceResult]:
    ks = grades.params.evaluation.ks
    tails = {
        name: grade_tail(grades.lists[name], grades.exam, grades.slices, ks)
        for name in grades.lists.keys() & {CHALLENGER, CHAMPION}
    }
    return measure(
        grades.params,
        grades.slices,
        grades.metrics[CHALLENGER],
        grades.metrics.get(CHAMPION),
        (tails[CHALLENGER], tails.get(CHAMPION)),
    )


def _beyond_accuracy(grades: Grades) -> dict[str, BeyondAccuracy]:
    num_train_I = grades.exam.popularity_I.cpu().numpy().astype(np.int64)
    num_users = int((grades.exam.train.counts > 0).sum())
    found = {
        name: beyond_accuracy(top_QK.cpu().numpy(), num_train_I, num_users, grades.params.evaluation.ks)
        for name, top_QK in grades.lists.items()
    }
    return {
        measure: BeyondAccuracy(**{name: values[measure] for name, values in found.items()})
        for measure in found[CHALLENGER]
    }
