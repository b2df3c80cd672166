"""The contract of the evaluation artifact of a classifier."""

from collections.abc import Mapping
from itertools import groupby, zip_longest
from pathlib import Path

import pyarrow as pa

from components.core.columns import (
    BIN,
    CHAMPION_VALUE,
    CLASS,
    EXAMPLES,
    FIELD,
    LABEL,
    MEAN_PROBABILITY,
    METRIC,
    MODEL,
    NUM_EXAMPLES,
    OBSERVED,
    PRIOR_VALUE,
    ROW,
    VALUE,
)
from components.core.recipe import EvaluateClassifierParams, EvaluateStreamParams
from components.core.stage import Validation
from components.core.verdict import VERDICT_FILE, ExampleSlice, ExampleVerdict
from components.data.contracts.agreement import near
from components.data.contracts.evaluation.answers import (
    calibration_facts,
    metric_facts,
    probability_facts,
    read_answers,
)
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.expectations import between, in_set, not_null, row_count, unique
from components.data.example_evaluation import CALIBRATION, METRICS_SCHEMA, SLICES, per_example_schema
from components.metrics.classification import BINS
from components.metrics.decision import LEARNED, LINEAGE, promoted
from components.metrics.example_comparison import METRICS
from components.metrics.example_promotion import judge, limits

AnyParams = EvaluateClassifierParams | EvaluateStreamParams


def validate(output: Path, params: AnyParams, inputs: Mapping[str, Path], docs: Path) -> Validation:
    """Check probabilities, every number that follows from them, and the verdict against its own numbers.

    Raises:
        GateFailedError: an expectation failed.
    """
    exam = Examination("evaluation", output, docs)
    verdict = exam.document(VERDICT_FILE, ExampleVerdict.read)
    compared, num_classes = verdict.rule == "champion", len(verdict.classes)
    per_example = exam.table("per_example.parquet", per_example_schema(num_classes, champion=compared))
    metrics = exam.table("metrics.parquet", METRICS_SCHEMA)
    slices = exam.table("slices.parquet", SLICES)
    calibration = exam.table("calibration.parquet", CALIBRATION)
    _expect_tables(exam, verdict, per_example, metrics, slices, calibration)
    answers = read_answers(per_example, num_classes)
    exam.facts("probabilities", probability_facts(answers, num_classes))
    exam.require()  # what follows measures them
    exam.facts("metrics.parquet", metric_facts(verdict, metrics, answers))
    exam.facts("comparisons", _comparison_facts(verdict))
    exam.facts("slices.parquet", _slice_facts(verdict, slices))
    exam.facts("calibration.parquet", calibration_facts(verdict, calibration, answers))
    exam.facts(VERDICT_FILE, _verdict_facts(verdict, params))
    exam.facts("report.html", {"bytes": (_size(output / "report.html"), 1, None)})
    exam.tell(verdict.gates)
    return exam.finish()


def _expect_tables(
    exam: Examination,
    verdict: ExampleVerdict,
    per_example: pa.Table,
    metrics: pa.Table,
    slices: pa.Table,
    calibration: pa.Table,
) -> None:
    num_examples, num_classes = per_example.num_rows, len(verdict.classes)
    exam.expect("per_example.parquet", per_example.select([ROW, LABEL]).to_pandas(), [
        row_count(1),
        unique(ROW),
        between(ROW, 0, None),
        not_null(LABEL),
        between(LABEL, 0, num_classes - 1),
    ])  # fmt: skip
    exam.expect("metrics.parquet", metrics.to_pandas(), [
        unique(METRIC),
        *(not_null(column) for column in (METRIC, VALUE, PRIOR_VALUE)),
        *(between(column, 0, None) for column in (VALUE, CHAMPION_VALUE, PRIOR_VALUE)),
        in_set(NUM_EXAMPLES, [num_examples]),
    ])  # fmt: skip
    exam.expect("slices.parquet", slices.to_pandas(), [
        unique(FIELD, VALUE, METRIC),
        *(not_null(column) for column in (FIELD, VALUE, METRIC, EXAMPLES)),
        in_set(METRIC, METRICS),
        between(EXAMPLES, 0, num_examples),
    ])  # fmt: skip
    exam.expect("calibration.parquet", calibration.to_pandas(), [
        unique(MODEL, CLASS, BIN),
        *(not_null(column) for column in CALIBRATION.names),
        in_set(CLASS, verdict.classes),
        between(BIN, 0, BINS - 1),
        between(EXAMPLES, 1, num_examples),
        *(between(column, 0, 1) for column in (MEAN_PROBABILITY, OBSERVED)),
    ])  # fmt: skip


def _comparison_facts(verdict: ExampleVerdict) -> dict[str, Fact]:
    """Every comparison is one of the metrics, and with whom the rule says."""
    others = {"champion", "prior"} if verdict.rule == "champion" else {"prior"}
    facts: dict[str, Fact] = {"models are those of the rule": (verdict.comparisons.keys() == others, 1, 1)}
    for other, metrics in verdict.comparisons.items():
        facts[f"{other}: all metrics"] = (metrics.keys() == set(METRICS), 1, 1)
        for name, found in metrics.items():
            means = verdict.metrics[name]
            facts[f"{other}: {name}"] = near(found.other, getattr(means, other))
            facts[f"{other}: challenger's {name}"] = near(found.challenger, means.challenger)
            facts[f"{other}: difference in {name}"] = near(found.difference, found.challenger - found.other)
            facts[f"{other}: interval of {name}"] = (found.high - found.low, 0, None)
    return facts


def _slice_facts(verdict: ExampleVerdict, slices: pa.Table) -> dict[str, Fact]:
    """The table is the verdict's; the slices of a field hold every example, and where they hold each once,
    their log losses add up to the one over all."""
    rows = [ExampleSlice.model_validate(row) for row in slices.to_pylist()]
    facts: dict[str, Fact] = {"rows that are not the verdict's": (rows != list(verdict.slices), 0, 0)}
    overall = verdict.metrics["logloss"]
    measured = [found for found in rows if found.metric == "logloss"]
    for field, group in groupby(measured, key=lambda found: found.field):
        found = [one for one in group if one.examples]
        total = sum(one.examples for one in found)
        facts[f"{field}: examples"] = (total, verdict.num_examples, None)
        if total == verdict.num_examples:
            ours = sum(one.examples * (one.challenger or 0.0) for one in found) / total
            facts[f"{field}: log loss"] = near(ours, overall.challenger)
            if overall.champion is not None:
                theirs = sum(one.examples * (one.champion or 0.0) for one in found) / total
                facts[f"{field}: champion's log loss"] = near(theirs, overall.champion)
    return facts


def _verdict_facts(verdict: ExampleVerdict, params: AnyParams) -> dict[str, Fact]:
    """It is about the recipe's question; its gates follow from its numbers, and it from its gates."""
    promotion = params.promotion
    values: dict[str, float] = {name: found.challenger for name, found in verdict.metrics.items()}
    gates = judge(promotion, values, verdict.comparisons, verdict.slices)
    told = [gate for gate in verdict.gates if gate.name not in {LEARNED, LINEAGE}]
    decides = verdict.metrics[promotion.metric]
    return {
        "is about the recipe's metric": (verdict.metric == promotion.metric, 1, 1),
        "margin": (verdict.margin, promotion.margin, promotion.margin),
        "confidence": (verdict.confidence, promotion.confidence, promotion.confidence),
        "resamples": (verdict.resamples, promotion.resamples, promotion.resamples),
        "limits are the recipe's, judged": (verdict.limits == limits(promotion, values), 1, 1),
        "gates that do not follow from the numbers": (
            sum(one != other for one, other in zip_longest(told, gates)), 0, 0
        ),
        "promote": (verdict.promote, *(promoted(verdict.gates),) * 2),
        "challenger and champion are the metrics'": (
            (verdict.challenger, verdict.champion) == (decides.challenger, decides.champion), 1, 1
        ),
    }  # fmt: skip


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
