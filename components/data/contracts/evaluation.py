"""The contract of the evaluation artifact."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from components.core.columns import CHAMPION_VALUE, METRIC, NUM_USERS, USER, USER_ID, VALUE, K
from components.core.recipe import EvaluateParams
from components.core.stage import Validation
from components.data.contracts.dataset import raw_id_type
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.expectations import between, in_set, not_null, row_count, unique
from components.data.document import read_keys
from components.metrics.ranking import METRICS

_NUM_RELEVANT = "num_relevant"
_CHAMPION = "champion_"
_TOLERANCE = 1e-9  # of a mean, summed in another order
_METRICS_SCHEMA = pa.schema(
    [
        (METRIC, pa.string()),
        (K, pa.int32()),
        (VALUE, pa.float64()),
        (NUM_USERS, pa.int64()),
        (CHAMPION_VALUE, pa.float64()),
    ]
)


def validate(output: Path, params: EvaluateParams, inputs: Mapping[str, Path], docs: Path) -> Validation:
    """Check metrics, means against users, and the verdict against its own numbers.

    Raises:
        GateFailedError: an expectation failed.
    """
    exam = Examination("evaluation", output, docs)
    verdict = exam.document("verdict.json", _read_verdict)
    metrics = exam.table("metrics.parquet", _METRICS_SCHEMA).to_pandas()
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
    scores = [column for column in per_user.columns if "@" in column]
    exam.expect("per_user.parquet", per_user, [
        row_count(1),
        unique(USER),
        unique(USER_ID),
        not_null(USER_ID),
        between(_NUM_RELEVANT, 1, None),
        *(not_null(column) for column in scores),
        *(between(column, 0, 1) for column in scores),
    ])  # fmt: skip
    exam.require()  # what follows compares them
    names = [f"{metric}@{k}" for metric, k in zip(metrics[METRIC], metrics[K], strict=True)]
    means = dict(zip(names, metrics[VALUE], strict=True))
    champion = dict(zip(names, metrics[CHAMPION_VALUE], strict=True))
    exam.facts("metrics.parquet", _means_facts(per_user, means, champion))
    exam.facts("verdict.json", _verdict_facts(verdict, means, champion, params))
    exam.facts("report.html", {"bytes": (_size(output / "report.html"), 1, None)})
    return exam.finish()


def _read_verdict(path: Path) -> dict[str, Any]:
    keys = ("promote", "reason", "metric", "margin", "challenger", "champion", "champion_version", "floors")
    document = read_keys(path, keys)
    for floor in document["floors"].values():
        if floor.keys() != {"value", "floor", "passed"}:
            raise ValueError(f"got a floor with {sorted(floor)}")
    return document


def _per_user_schema(found: pa.Schema) -> pa.Schema:
    head = [(USER, pa.int32()), (USER_ID, raw_id_type(found, USER_ID)), (_NUM_RELEVANT, pa.int32())]
    return pa.schema([*head, *((name, pa.float64()) for name in found.names if "@" in name)])


def _means_facts(
    per_user: pd.DataFrame, means: Mapping[str, float], champion: Mapping[str, float]
) -> dict[str, Fact]:
    """The means are those of the users, for the challenger and for the champion if there is one."""
    facts = {f"mean {name}": _near(value, _mean(per_user, name)) for name, value in means.items()}
    for name, value in champion.items():
        if not np.isnan(value) or f"{_CHAMPION}{name}" in per_user:
            facts[f"champion's mean {name}"] = _near(value, _mean(per_user, f"{_CHAMPION}{name}"))
    return facts


def _mean(per_user: pd.DataFrame, column: str) -> float | None:
    return float(per_user[column].mean()) if column in per_user else None


def _near(value: float, expected: float | None) -> Fact:
    if expected is None:
        return (None, 0, 1)
    return (value, expected - _TOLERANCE, expected + _TOLERANCE)


def _verdict_facts(
    verdict: Mapping[str, Any],
    means: Mapping[str, float],
    champion: Mapping[str, float],
    params: EvaluateParams,
) -> dict[str, Fact]:
    metric, promotion = verdict["metric"], params.promotion
    floors = verdict["floors"]
    broken = [name for name, floor in floors.items() if floor["value"] < floor["floor"]]
    wrong = [name for name, floor in floors.items() if floor["passed"] != (name not in broken)]
    beaten = verdict["champion"] is None or verdict["challenger"] - verdict["champion"] > verdict["margin"]
    promote = not broken and beaten
    facts: dict[str, Fact] = {
        "is about the recipe's metric": (metric == promotion.metric, 1, 1),
        "margin": (verdict["margin"], promotion.margin, promotion.margin),
        "floors that are not the recipe's": (
            len(floors.keys() ^ promotion.floors.keys())
            + sum(
                floors[name]["floor"] != floor for name, floor in promotion.floors.items() if name in floors
            ),
            0,
            0,
        ),
        "floors judged wrongly": (len(wrong), 0, 0),
        "promote": (verdict["promote"], promote, promote),
        "challenger": _near(verdict["challenger"], means.get(metric)),
    }
    if verdict["champion"] is not None:
        facts["champion"] = _near(verdict["champion"], champion.get(metric))
    return facts


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
