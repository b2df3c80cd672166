"""The evaluation artifact's tables."""

import numpy as np
import pyarrow as pa

from components.core import columns
from components.core.verdict import ExampleVerdict
from components.data.example_evaluation import CALIBRATION, METRICS_SCHEMA, SLICES, per_example_schema
from components.evaluate.ancestry import CHALLENGER, CHAMPION
from components.evaluate.classification.judging import Grades
from components.metrics.classification import Floats, judged_classes, reliability


def metrics(verdict: ExampleVerdict) -> pa.Table:
    """Every metric of every model, one row a metric."""
    rows = [
        {
            columns.METRIC: name,
            columns.VALUE: found.challenger,
            columns.NUM_EXAMPLES: verdict.num_examples,
            columns.CHAMPION_VALUE: found.champion,
            columns.PRIOR_VALUE: found.prior,
        }
        for name, found in verdict.metrics.items()
    ]
    return pa.Table.from_pylist(rows, schema=METRICS_SCHEMA)


def per_example(grades: Grades) -> pa.Table:
    """One row a test example, with the probabilities of every class."""
    exam, champion = grades.exam, grades.probabilities.get(CHAMPION)
    table = [
        pa.array(exam.row_N, pa.int64()),
        pa.array(exam.label_N, pa.int32()),
        _vectors(grades.probabilities[CHALLENGER]),
        *([] if champion is None else [_vectors(champion)]),
    ]
    return pa.table(table, schema=per_example_schema(len(exam.classes), champion=champion is not None))


def slices(verdict: ExampleVerdict) -> pa.Table:
    """The verdict's slices."""
    return pa.Table.from_pylist([found.model_dump() for found in verdict.slices], schema=SLICES)


def calibration(grades: Grades) -> pa.Table:
    """What was said and what happened, one row for each model, judged class and bin with examples."""
    exam, rows = grades.exam, []
    for model, probability_NC in grades.probabilities.items():
        for place in judged_classes(len(exam.classes)):
            bins = reliability(probability_NC[:, place], exam.label_N == place)
            for b, (examples, predicted, observed) in enumerate(zip(*bins, strict=True)):
                if examples:
                    rows.append(
                        {
                            columns.MODEL: model,
                            columns.CLASS: exam.classes[place],
                            columns.BIN: b,
                            columns.EXAMPLES: examples,
                            columns.MEAN_PROBABILITY: predicted / examples,
                            columns.OBSERVED: observed / examples,
                        }
                    )
    return pa.Table.from_pylist(rows, schema=CALIBRATION)


def _vectors(value_NC: Floats) -> pa.FixedSizeListArray:
    flat = pa.array(np.ascontiguousarray(value_NC).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, value_NC.shape[1])
