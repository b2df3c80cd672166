"""What the models said of the tail of a stream."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from components.core.columns import PROBABILITIES, ROW, TIMESTAMP
from components.core.errors import InvalidInputError
from components.core.gates import Gate
from components.core.manifest import read_manifest
from components.core.recipe import EvaluateStreamParams
from components.data.document import read_document
from components.data.parquet import TableFile, read_table
from components.evaluate.ancestry import CHALLENGER, CHAMPION, CHAMPION_DATASET
from components.evaluate.classification.exam import Exam
from components.evaluate.classification.judging import Grades, Name
from components.evaluate.classification.scoring import answer
from components.metrics.classification import Floats
from components.metrics.decision import LINEAGE


def grade_tail(params: EvaluateStreamParams, inputs: Mapping[str, Path], exam: Exam) -> Grades:
    """The challenger has learned from each interaction after it said something of it; the champion stays as
    it is served."""
    found: dict[Name, Floats] = {CHALLENGER: _said(inputs["model"], exam)}
    if CHAMPION in inputs:
        _require_thresholds(inputs)
        batch_size = params.evaluation.batch_size
        found[CHAMPION] = answer(CHAMPION, inputs[CHAMPION], inputs["interactions"], exam, batch_size)
    found["prior"] = np.broadcast_to(exam.prior_C, found[CHALLENGER].shape)
    return Grades(
        params=params,
        exam=exam,
        probabilities=found,
        learned=_learned_share(inputs),
        lineage=(_goes_on(inputs),),
    )


def _goes_on(inputs: Mapping[str, Path]) -> Gate:
    """Whether nothing that the champion knows gets lost: the model goes on from it; or from nobody, and then
    nothing was left out of what was delivered."""
    began = read_document(inputs["model"] / "training.json")["began"]
    until = read_document(inputs["dataset"] / "preparation.json")["learned_until"]
    now = read_manifest(str(inputs[CHAMPION])).sha256 if CHAMPION in inputs else None
    passed, told = True, "the model began with nothing, and nothing was left out for it"
    if began["champion_sha256"] is not None:
        passed = began["champion_sha256"] == now
        told = "the model goes on from the champion"
        if not passed:
            told = (
                "the model goes on from a version that is champion no more: prepare the delivery again, with "
                "`--set prepare.attempt=2` (or the next number that was not used yet)"
            )
    elif until is not None:
        passed = False
        told = (
            "the model began with nothing, but what a champion had learned was left out for it: with "
            "`training.warm_start: none` it gets everything that is delivered"
        )
    return Gate(name=LINEAGE, subject="lineage", severity="hold", passed=passed, told=told)


def _require_thresholds(inputs: Mapping[str, Path]) -> None:
    ours = read_document(inputs["dataset"] / "preparation.json")["thresholds"]
    theirs = read_document(inputs[CHAMPION] / "training.json").get("thresholds")
    if ours != theirs:
        raise InvalidInputError(
            f"champion: its classes begin at the thresholds {theirs}, those of the dataset at {ours}; they "
            "cannot be compared. Name another `registry.model`, or delete the alias 'champion'"
        )


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
