"""The contract of the evaluation artifact."""

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pyarrow as pa

from components.core.columns import (
    CHAMPION_VALUE,
    MEASURE,
    METRIC,
    MODEL,
    NEW,
    NUM_RELEVANT,
    NUM_TAIL,
    NUM_TRAIN,
    NUM_USERS,
    SLICE,
    USER,
    USER_ID,
    USERS,
    VALUE,
    K,
)
from components.core.recipe import EvaluateParams
from components.core.recipe.ranking_judgement import BaselineName
from components.core.stage import Validation
from components.core.verdict import VERDICT_FILE, BeyondAccuracy, Comparison, SliceResult, Verdict
from components.data.contracts.agreement import TOLERANCE, near
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.expectations import between, in_set, not_null, row_count, unique
from components.data.contracts.vocabulary import raw_id_type
from components.data.evaluation import BEYOND_ACCURACY, METRICS_SCHEMA, SAMPLED, SLICES
from components.metrics.beyond_accuracy import MEASURES
from components.metrics.decision import LEARNED, promoted
from components.metrics.promotion import floors, judge
from components.metrics.ranking import METRICS

_CHAMPION = "champion_"
_NEW, _LIGHT, _HEAVY = "new_users", "light_users", "heavy_users"


def validate(output: Path, params: EvaluateParams, inputs: Mapping[str, Path], docs: Path) -> Validation:
    """Check metrics, means against users, and the verdict against its own numbers.

    Raises:
        GateFailedError: an expectation failed.
    """
    exam = Examination("evaluation", output, docs)
    verdict = exam.document(VERDICT_FILE, Verdict.read)
    metrics = exam.table("metrics.parquet", METRICS_SCHEMA).to_pandas()
    slices = exam.table("slices.parquet", SLICES)
    beyond = exam.table("beyond_accuracy.parquet", BEYOND_ACCURACY)
    per_user = exam.table("per_user.parquet", _per_user_schema).to_pandas()
    num_metrics = len(METRICS) * len(params.evaluation.ks)
    exam.expect("metrics.parquet", metrics, [
        row_count(num_metrics, num_metrics),
        unique(METRIC, K),
        in_set(METRIC, METRICS),
        in_set(K, params.evaluation.ks),
        *(not_null(column) for column in (METRIC, K, VALUE)),
        between(VALUE, 0, 1),
        between(CHAMPION_VALUE, 0, 1),
        in_set(NUM_USERS, [len(per_user)]),
    ])  # fmt: skip
    compared = tuple(f"{baseline}_" for baseline in get_args(BaselineName))
    scores = [name for name in per_user.columns if "@" in name and not name.startswith(compared)]
    exam.expect("per_user.parquet", per_user, [
        row_count(1),
        unique(USER),
        unique(USER_ID),
        not_null(USER_ID),
        between(NUM_RELEVANT, 1, None),
        between(NUM_TRAIN, 0, None),
        between(NUM_TAIL, 0, None),
        *(not_null(column) for column in scores),
        *(between(column, 0, 1) for column in scores),
    ])  # fmt: skip
    exam.expect("slices.parquet", slices.to_pandas(), [
        unique(SLICE, METRIC),
        *(not_null(column) for column in (SLICE, METRIC, USERS)),
        between(USERS, 0, len(per_user)),
    ])  # fmt: skip
    exam.expect("beyond_accuracy.parquet", beyond.to_pandas(), [
        row_count(*(len(MEASURES) * len(params.evaluation.ks),) * 2),
        unique(MEASURE, K),
        in_set(MEASURE, MEASURES),
        in_set(K, params.evaluation.ks),
        *(between(model, 0, 1) for model in BeyondAccuracy.model_fields),
    ])  # fmt: skip
    if params.evaluation.sampled is not None:
        sampled = exam.table("sampled.parquet", SAMPLED)
        exam.expect("sampled.parquet", sampled.to_pandas(), [
            row_count(*(4 * len(params.evaluation.ks),) * 2),
            unique(MODEL, METRIC, K),
            in_set(MODEL, ("challenger", "popularity")),
            in_set(METRIC, ("hit_ratio", "ndcg")),
            in_set(K, params.evaluation.ks),
            not_null(VALUE),
            between(VALUE, 0, 1),
        ])  # fmt: skip
    exam.require()  # what follows compares them
    names = [f"{metric}@{k}" for metric, k in zip(metrics[METRIC], metrics[K], strict=True)]
    means = dict(zip(names, metrics[VALUE], strict=True))
    champion = dict(zip(names, metrics[CHAMPION_VALUE], strict=True))
    exam.facts("metrics.parquet", _means_facts(per_user, means, champion))
    exam.facts("comparisons", _comparison_facts(verdict, per_user))
    exam.facts("slices.parquet", _slice_facts(verdict, slices, per_user))
    exam.facts(VERDICT_FILE, _verdict_facts(verdict, means, champion, beyond, params))
    exam.facts("report.html", {"bytes": (_size(output / "report.html"), 1, None)})
    exam.tell(verdict.gates)
    return exam.finish()


def _per_user_schema(found: pa.Schema) -> pa.Schema:
    head = [(USER, pa.int32()), (USER_ID, raw_id_type(found, USER_ID))]
    counts = [(name, pa.int32()) for name in (NUM_RELEVANT, NUM_TRAIN, NUM_TAIL)]
    scores = [(name, pa.float64()) for name in found.names if "@" in name]
    return pa.schema([*head, *counts, (NEW, pa.bool_()), *scores])


def _means_facts(
    per_user: pd.DataFrame, means: Mapping[str, float], champion: Mapping[str, float]
) -> dict[str, Fact]:
    """The means are those of the users, for the challenger and for the champion if there is one."""
    facts = {f"mean {name}": near(value, _mean(per_user, name)) for name, value in means.items()}
    for name, value in champion.items():
        if not np.isnan(value) or f"{_CHAMPION}{name}" in per_user:
            facts[f"champion's mean {name}"] = near(value, _mean(per_user, f"{_CHAMPION}{name}"))
    return facts


def _mean(per_user: pd.DataFrame, column: str) -> float | None:
    return float(per_user[column].mean()) if column in per_user else None


def _comparison_facts(verdict: Verdict, per_user: pd.DataFrame) -> dict[str, Fact]:
    """Every comparison's numbers are those of the users."""
    return {
        f"{other}: metrics with wrong numbers": (
            sum(_wrong(found, per_user, name, f"{other}_{name}") for name, found in metrics.items()), 0, 0
        )
        for other, metrics in verdict.comparisons.items()
    }  # fmt: skip


def _wrong(found: Comparison, per_user: pd.DataFrame, name: str, other: str) -> bool:
    if not {name, other} <= set(per_user.columns):
        return True
    ours, theirs = per_user[name], per_user[other]
    counts = [int((ours > theirs).sum()), int((ours == theirs).sum()), int((ours < theirs).sum())]
    means = [ours.mean(), theirs.mean(), (ours - theirs).mean()]
    told = [found.challenger, found.other, found.difference]
    return (
        not np.allclose(told, means, rtol=0, atol=TOLERANCE)
        or [found.better, found.equal, found.worse] != counts
        or not theirs.between(0, 1).all()
        or not found.low <= found.high
    )


def _slice_facts(verdict: Verdict, slices: pa.Table, per_user: pd.DataFrame) -> dict[str, Fact]:
    """The table is the verdict's; slices that per_user.parquet tells have its users and means. (What of the
    tail was found stands in no other table.)"""
    rows = [SliceResult.model_validate(row) for row in slices.to_pylist()]
    facts: dict[str, Fact] = {"rows that are not the verdict's": (rows != list(verdict.slices), 0, 0)}
    members = {_NEW: per_user[NEW].fillna(False).astype(bool), "tail_items": per_user[NUM_TAIL] > 0}
    low, high = np.quantile(per_user[NUM_TRAIN], [0.25, 0.75], method="inverted_cdf")
    members |= {_LIGHT: per_user[NUM_TRAIN] <= low}
    members |= {_HEAVY: (per_user[NUM_TRAIN] >= high) & ~members[_LIGHT]}
    for found in rows:
        member = members[found.slice]
        facts[f"{found.slice}: users with {found.metric}"] = (found.users, *(int(member.sum()),) * 2)
        if found.slice != "tail_items" and found.users:
            mean = _mean(per_user[member], found.metric)
            facts[f"{found.slice}: mean {found.metric}"] = near(found.challenger, mean)
    return facts


def _verdict_facts(
    verdict: Verdict,
    means: Mapping[str, float],
    champion: Mapping[str, float],
    beyond: pa.Table,
    params: EvaluateParams,
) -> dict[str, Fact]:
    """It is about the recipe's question; its gates follow from its numbers, and it from its gates."""
    metric, promotion = verdict.metric, params.promotion
    gates = judge(promotion, means, verdict.comparisons, verdict.slices, verdict.beyond_accuracy)
    told = [gate for gate in verdict.gates if gate.name != LEARNED]
    measured = {
        f"{row.pop(MEASURE)}@{row.pop(K)}": BeyondAccuracy.model_validate(row) for row in beyond.to_pylist()
    }
    facts: dict[str, Fact] = {
        "is about the recipe's metric": (metric == promotion.metric, 1, 1),
        "margin": (verdict.margin, promotion.margin, promotion.margin),
        "confidence": (verdict.confidence, promotion.confidence, promotion.confidence),
        "resamples": (verdict.resamples, promotion.resamples, promotion.resamples),
        "floors are the recipe's, judged": (verdict.floors == floors(promotion, means), 1, 1),
        "gates that do not follow from the numbers": (
            sum(one != other for one, other in zip_longest(told, gates)),
            0,
            0,
        ),
        "beyond accuracy is the table's": (verdict.beyond_accuracy == measured, 1, 1),
        "promote": (verdict.promote, *(promoted(verdict.gates),) * 2),
        "challenger": near(verdict.challenger, means.get(metric)),
    }
    if verdict.champion is not None:
        facts["champion"] = near(verdict.champion, champion.get(metric))
    return facts


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
