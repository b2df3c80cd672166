"""Evaluate: the test, once; the champion and the prior on the same examples; the decision and its report."""

import logging
from collections.abc import Mapping
from pathlib import Path

from components.core.errors import GateFailedError
from components.core.recipe import EvaluateClassifierParams
from components.core.stage import Context
from components.core.verdict import VERDICT_FILE, ExampleVerdict, Limit
from components.data.document import write_document
from components.data.parquet import write_table
from components.evaluate.ancestry import champion_version, read_ancestry
from components.evaluate.classification import tables
from components.evaluate.classification.exam import read_exam
from components.evaluate.classification.judging import grade_all, reach_verdict
from components.evaluate.classification.report import Findings, render
from components.evaluate.classification.slices import read_slices

logger = logging.getLogger(__name__)


def run(
    params: EvaluateClassifierParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> Mapping[str, float]:
    """Ask for the probabilities of all test examples, compare, decide, and write it down.

    Raises:
        GateFailedError: the model is outside of a limit; everything is written nevertheless.
        InvalidInputError: there is nothing to test on, the inputs do not belong together, or the champion is
            a model of something else.
    """
    lineage = read_ancestry(inputs)
    exam = read_exam(inputs["dataset"])
    grades = grade_all(params, inputs, exam)
    logger.info("%d test examples: %s", len(exam), _line(grades.values))
    slices = read_slices(params, exam, inputs)
    verdict = reach_verdict(grades, slices, champion_version(params, inputs))

    write_table(tables.metrics(verdict), output / "metrics.parquet")
    write_table(tables.per_example(grades), output / "per_example.parquet")
    write_table(tables.slices(verdict), output / "slices.parquet")
    write_table(tables.calibration(grades), output / "calibration.parquet")
    write_document(verdict.document(), output / VERDICT_FILE)
    write_document(lineage, output / "lineage.json")
    findings = Findings(params=params, verdict=verdict, lineage=lineage, grades=grades, inputs=inputs)
    (output / "report.html").write_text(render(findings), encoding="utf-8")
    logger.info("%s: %s", "promote" if verdict.promote else "do not promote", verdict.reason)
    _require_limits(verdict)
    return {**grades.values, "promote": float(verdict.promote)}


def _require_limits(verdict: ExampleVerdict) -> None:
    broken = [
        f"promotion.limits.{name}: got {limit.value:.6g}, need {_allowed(limit)}"
        for name, limit in verdict.limits.items()
        if not limit.passed
    ]
    if broken:
        told = "model quality: the model is not good enough\n" + "\n".join(broken)
        raise GateFailedError(told, verdict.gates)


def _allowed(limit: Limit) -> str:
    ends = [f"at least {limit.min:g}"] if limit.min is not None else []
    return " and ".join([*ends, *([f"at most {limit.max:g}"] if limit.max is not None else [])])


def _line(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in values.items())
