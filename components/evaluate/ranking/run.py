"""Evaluate: the test, once; the champion and baselines on the same users; the decision and its report."""

import logging
from collections.abc import Mapping
from pathlib import Path

from components.core.errors import GateFailedError
from components.core.recipe import EvaluateParams
from components.core.stage import Context
from components.core.verdict import VERDICT_FILE, Verdict
from components.data.document import write_document
from components.data.parquet import write_table
from components.evaluate.ancestry import CHALLENGER, champion_version, read_ancestry
from components.evaluate.ranking import tables
from components.evaluate.ranking.judging import grade_all, reach_verdict
from components.evaluate.ranking.report import Findings, render
from components.evaluate.ranking.scoring import read_exam
from components.rec.allocator import keep_large_buffers
from components.rec.data import choose_device

logger = logging.getLogger(__name__)


def run(
    params: EvaluateParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> Mapping[str, float]:
    """Rank all items for all test users, compare, decide, and write it down.

    Raises:
        GateFailedError: the model is below a floor; everything is written nevertheless.
        InvalidInputError: there is nothing to test on, or the inputs do not belong together.
    """
    keep_large_buffers()
    lineage = read_ancestry(inputs)
    exam = read_exam(inputs["dataset"], params.evaluation.mask, choose_device(params.device))
    grades = grade_all(params, inputs, exam)
    logger.info("%d test users, %d items: %s", len(exam.users), len(exam.item_ids), _line(grades.means))
    verdict = reach_verdict(grades, champion_version(params, inputs))

    write_table(tables.metrics(grades), output / "metrics.parquet")
    write_table(tables.per_user(grades), output / "per_user.parquet")
    write_table(tables.slices(verdict), output / "slices.parquet")
    write_table(tables.beyond_accuracy(verdict), output / "beyond_accuracy.parquet")
    if grades.sampled:
        write_table(tables.sampled(grades), output / "sampled.parquet")
    write_document(verdict.document(), output / VERDICT_FILE)
    write_document(lineage, output / "lineage.json")
    findings = Findings(
        params=params,
        verdict=verdict,
        lineage=lineage,
        metrics=grades.metrics,
        sampled=grades.sampled,
        inputs=inputs,
    )
    (output / "report.html").write_text(render(findings), encoding="utf-8")
    logger.info("%s: %s", "promote" if verdict.promote else "do not promote", verdict.reason)
    _require_floors(verdict)
    sampled = {f"sampled_{name}": value for name, value in grades.sampled.get(CHALLENGER, {}).items()}
    return {**grades.means, **sampled, "promote": float(verdict.promote)}


def _require_floors(verdict: Verdict) -> None:
    broken = [
        f"promotion.floors.{name}: got {floor.value:.6g}, need at least {floor.floor:g}"
        for name, floor in verdict.floors.items()
        if not floor.passed
    ]
    if broken:
        told = "model quality: the model is not good enough\n" + "\n".join(broken)
        raise GateFailedError(told, verdict.gates)


def _line(means: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in means.items())
