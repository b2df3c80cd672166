"""From grades to the evaluation artifact: the verdict, its tables and its page."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from components.core.errors import GateFailedError
from components.core.verdict import VERDICT_FILE, ExampleVerdict, Limit
from components.data.document import write_document
from components.data.parquet import write_table
from components.evaluate.ancestry import champion_version, read_ancestry
from components.evaluate.classification import tables
from components.evaluate.classification.judging import Grades, reach_verdict
from components.evaluate.classification.report import Findings
from components.evaluate.classification.slices import Slice

logger = logging.getLogger(__name__)


def conclude(
    grades: Grades,
    slices: Iterable[Slice],
    inputs: Mapping[str, Path],
    output: Path,
    render: Callable[[Findings], str],
) -> dict[str, float]:
    """Compare, decide, and write it down.

    Args:
        render: the page, as the task has it.

    Raises:
        GateFailedError: the model is outside of a limit; everything is written nevertheless.
        InvalidInputError: the inputs do not belong together.
    """
    lineage, params = read_ancestry(inputs), grades.params
    logger.info("%d test examples: %s", len(grades.exam), _line(grades.values))
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
