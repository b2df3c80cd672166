"""Evaluate: the test, once; the champion on the same users; the decision and its report."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import pyarrow as pa

from components.core import columns
from components.core.errors import GateFailedError
from components.core.lineage import read_lineage
from components.core.manifest import Manifest
from components.core.recipe import EvaluateParams
from components.core.stage import Context
from components.data.document import write_document
from components.data.parquet import write_table
from components.evaluate.report import Findings, render
from components.evaluate.scoring import (
    Exam,
    Metrics,
    answer,
    answer_by_popularity,
    answer_of_champion,
    grade,
    read_exam,
)
from components.metrics.comparison import check_floors, decide
from components.rec.data import choose_device
from components.registry.champion import find_champion

logger = logging.getLogger(__name__)
_CHAMPION = "champion"


@final
@dataclass(frozen=True, kw_only=True)
class _Grades:
    challenger: Metrics
    champion: Metrics | None
    popularity: Metrics


def run(
    params: EvaluateParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> Mapping[str, float]:
    """Rank all items for all test users, compare, decide, and write it down.

    Raises:
        GateFailedError: the model is below a floor; everything is written nevertheless.
        InvalidInputError: there is nothing to test on, or the inputs do not belong together.
    """
    manifests = read_lineage({name: path for name, path in inputs.items() if name != _CHAMPION})
    champion = read_lineage({_CHAMPION: inputs[_CHAMPION]})[_CHAMPION] if _CHAMPION in inputs else None
    exam = read_exam(inputs["dataset"], params.evaluation.mask, choose_device(params.device))
    grades = _grade(params, inputs, exam)
    means = _means(grades.challenger)
    logger.info("%d test users, %d items: %s", len(exam.users), len(exam.item_ids), _line(means))
    verdict = _verdict(params, grades, _champion_version(params, champion))
    lineage = _lineage(manifests, champion)

    write_table(_metrics_table(grades, len(exam.users)), output / "metrics.parquet")
    write_table(_per_user_table(grades, exam), output / "per_user.parquet")
    write_document(verdict, output / "verdict.json")
    write_document(lineage, output / "lineage.json")
    findings = Findings(
        params=params,
        verdict=verdict,
        lineage=lineage,
        challenger=grades.challenger,
        champion=grades.champion,
        popularity=grades.popularity,
        inputs=inputs,
    )
    (output / "report.html").write_text(render(findings), encoding="utf-8")
    logger.info("%s: %s", "promote" if verdict["promote"] else "do not promote", verdict["reason"])
    _require_floors(verdict["floors"])
    return {**means, "promote": float(verdict["promote"])}


def _grade(params: EvaluateParams, inputs: Mapping[str, Path], exam: Exam) -> _Grades:
    ks, block = params.evaluation.ks, params.evaluation.user_block
    k = max(ks)
    champion = None
    if _CHAMPION in inputs:
        champion = grade(answer_of_champion(inputs[_CHAMPION], exam, k, block), exam, ks)
    return _Grades(
        challenger=grade(answer(inputs["model"], exam, k, block), exam, ks),
        champion=champion,
        popularity=grade(answer_by_popularity(exam, k, block), exam, ks),
    )


def _champion_version(params: EvaluateParams, compared: Manifest | None) -> str | None:
    """The registered version that was compared with; None where it is not the champion's model, and
    then `register` asks for another evaluation."""
    if compared is None:
        return None
    current = find_champion(params)
    return current.version if current and current.model_sha256 == compared.sha256 else None


def _verdict(params: EvaluateParams, grades: _Grades, champion_version: str | None) -> dict[str, Any]:
    metric, margin = params.promotion.metric, params.promotion.margin
    means = _means(grades.challenger)
    floors = check_floors(means, params.promotion.floors)
    champion = grades.champion
    decision = decide(
        metric, margin, floors, grades.challenger[metric], None if champion is None else champion[metric]
    )
    return {
        "promote": decision.promote,
        "reason": decision.reason,
        "metric": metric,
        "margin": margin,
        "challenger": means[metric],
        "champion": None if champion is None else _means(champion)[metric],
        "champion_version": champion_version,
        "floors": {
            name: {"value": floor.value, "floor": floor.floor, "passed": floor.passed}
            for name, floor in floors.items()
        },
    }


def _require_floors(floors: Mapping[str, Mapping[str, Any]]) -> None:
    broken = [
        f"promotion.floors.{name}: got {floor['value']:.6g}, need at least {floor['floor']:g}"
        for name, floor in floors.items()
        if not floor["passed"]
    ]
    if broken:
        raise GateFailedError("model quality: the model is not good enough\n" + "\n".join(broken))


def _lineage(manifests: Mapping[str, Manifest], champion: Manifest | None) -> dict[str, str]:
    """Content hash of everything that this evaluation rests on, down to the raw data."""
    raw = {
        "source" if name == "source" else f"source_{name}": entry.sha256
        for name, entry in sorted(manifests["interactions"].inputs.items())
    }
    artifacts = {name: manifests[name].sha256 for name in ("interactions", "dataset", "policy", "model")}
    return {**raw, **artifacts, **({_CHAMPION: champion.sha256} if champion else {})}


def _metrics_table(grades: _Grades, num_users: int) -> pa.Table:
    champion = {} if grades.champion is None else _means(grades.champion)
    means = _means(grades.challenger)
    parts = [name.partition("@") for name in means]
    return pa.table(
        {
            columns.METRIC: pa.array([metric for metric, _, _ in parts], pa.string()),
            columns.K: pa.array([int(k) for _, _, k in parts], pa.int32()),
            columns.VALUE: pa.array(list(means.values()), pa.float64()),
            columns.NUM_USERS: pa.array([num_users] * len(means), pa.int64()),
            columns.CHAMPION_VALUE: pa.array([champion.get(name) for name in means], pa.float64()),
        }
    )


def _per_user_table(grades: _Grades, exam: Exam) -> pa.Table:
    users = exam.users.cpu().numpy()
    table = {
        columns.USER: pa.array(users, pa.int32()),
        columns.USER_ID: exam.user_ids.take(pa.array(users)),
        "num_relevant": pa.array(exam.num_relevant_Q, pa.int32()),
        **grades.challenger,
        **{f"{_CHAMPION}_{name}": value for name, value in (grades.champion or {}).items()},
    }
    return pa.table(table)


def _means(metrics: Metrics) -> dict[str, float]:
    return {name: float(value.mean()) for name, value in metrics.items()}


def _line(means: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in means.items())
