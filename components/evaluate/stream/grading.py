"""What the models said of the tail of a stream."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from components.core.columns import PROBABILITIES, ROW, TIMESTAMP
from components.core.errors import InvalidInputError
from components.core.recipe import EvaluateStreamParams
from components.data.document import read_document
from components.data.parquet import TableFile, read_table
from components.evaluate.ancestry import CHALLENGER, CHAMPION, CHAMPION_DATASET
from components.evaluate.classification.exam import Exam
from components.evaluate.classification.judging import Grades, Name
from components.evaluate.classification.scoring import answer
from components.metrics.classification import Floats


def grade_tail(params: EvaluateStreamParams, inputs: Mapping[str, Path], exam: Exam) -> Grades:
    """The challenger has learned from each interaction after it said something of it; the champion stays as
    it is served."""
    found: dict[Name, Floats] = {CHALLENGER: _said(inputs["model"], exam)}
    if CHAMPION in inputs:
        batch_size = params.evaluation.batch_size
        found[CHAMPION] = answer(CHAMPION, inputs[CHAMPION], inputs["interactions"], exam, batch_size)
    found["prior"] = np.broadcast_to(exam.prior_C, found[CHALLENGER].shape)
    return Grades(params=params, exam=exam, probabilities=found, learned=_learned_share(inputs))


def _said(model: Path, exam: Exam) -> Floats:
    table = read_table(model / "predictions.parquet")
    if not np.array_equal(table[ROW].to_numpy(), exam.row_N):
        raise InvalidInputError(
            f"model: has predictions of {table.num_rows:,} interactions, which are not the dataset's tail of "
            f"{len(exam):,}"
        )
    vectors = table[PROBABILITIES].combine_chunks()
    probability_NC: Floats = vectors.flatten().to_numpy().reshape(len(exam), -1)
    return probability_NC


def _learned_share(inputs: Mapping[str, Path]) -> float | None:
    """The share of the tail that is not after everything that the champion has learned from; None where
    nobody can tell."""
    if CHAMPION_DATASET not in inputs:
        return None
    until = read_document(inputs[CHAMPION_DATASET] / "preparation.json")["last_timestamp"]
    return float((TableFile(inputs["dataset"] / "test.parquet").values(TIMESTAMP) <= until).mean())
