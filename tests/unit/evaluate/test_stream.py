"""What the evaluation of a stream reads of the model: what was said of the tail, and the slices of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.core.errors import InvalidInputError
from components.core.recipe import EvaluateStreamParams
from components.core.recipe.stream_judgement import TIMES, StreamEvaluation, StreamPromotion
from components.data.document import read_document, write_document
from components.data.parquet import write_table
from components.evaluate.classification.exam import read_exam
from components.evaluate.stream.grading import grade_tail
from components.evaluate.stream.slices import read_slices
from tests.unit.rec.streaming.streams import write_dataset

SEEN = [0, 1, 9, 10, 99, 100, 999, 1000, 10**6]
PARAMS = EvaluateStreamParams(
    evaluation=StreamEvaluation(), promotion=StreamPromotion(), seed=1, model="", tracking_uri=""
)


def write_said(
    model: Path,
    rows: list[int],
    probabilities: Any,
    seen: list[int],
    champion: str | None = None,
    reason: str = "",
) -> None:
    model.mkdir(exist_ok=True)
    write_document({"began": {"champion_sha256": champion}}, model / "training.json")
    flat = pa.array(np.asarray(probabilities, np.float64).reshape(-1))
    counts = pa.array(seen, pa.int32())
    table = {
        "row": pa.array(rows, pa.int64()),
        "probability": pa.FixedSizeListArray.from_arrays(flat, 2),
        **dict.fromkeys(("user_seen", "item_seen"), counts),
    }
    write_table(pa.table(table), model / "predictions.parquet")


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    """A stream of twelve, of which the last four are the tail."""
    rows = [(f"u{n % 3}", f"i{n % 2}", int(n % 4 == 0), 100 + n) for n in range(12)]
    dataset = write_dataset(tmp_path / "dataset", rows, 4)
    return {"dataset": dataset, "model": tmp_path / "model"}


def test_slices_are_by_how_often_an_id_was_seen(tmp_path: Path) -> None:
    write_said(tmp_path / "model", list(range(9)), np.full((9, 2), 0.5), SEEN)
    found = {
        (one.field, one.value): np.flatnonzero(one.member_N).tolist()
        for one in read_slices({"model": tmp_path / "model"})
    }
    expected = {"0": [0], "1-9": [1, 2], "10-99": [3, 4], "100-999": [5, 6], "1000+": [7, 8]}
    assert list(expected) == list(TIMES)
    assert found == {(side, times): expected[times] for side in ("user_seen", "item_seen") for times in TIMES}


def test_what_was_said_of_the_tail_is_graded(inputs: dict[str, Path]) -> None:
    said = [[0.25, 0.75], [0.9, 0.1], [0.5, 0.5], [1.0, 0.0]]
    write_said(inputs["model"], [8, 9, 10, 11], said, [0] * 4)
    grades = grade_tail(PARAMS, inputs, read_exam(inputs["dataset"]))
    assert np.array_equal(grades.probabilities["challenger"], said)
    assert np.array_equal(grades.probabilities["prior"], np.tile([0.75, 0.25], (4, 1)))  # of train
    assert "champion" not in grades.probabilities
    assert grades.learned is None


@pytest.mark.parametrize("rows", [[8, 9, 10], [8, 9, 10, 12], [7, 8, 9, 10]])
def test_what_was_said_of_something_else_is_refused(inputs: dict[str, Path], rows: list[int]) -> None:
    write_said(inputs["model"], rows, np.full((len(rows), 2), 0.5), [0] * len(rows))
    with pytest.raises(InvalidInputError, match="which are not the dataset's tail of 4"):
        grade_tail(PARAMS, inputs, read_exam(inputs["dataset"]))


@pytest.mark.parametrize(("until", "share"), [(99, 0.0), (107, 0.0), (108, 0.25), (110, 0.75), (111, 1.0)])
def test_the_champion_may_have_learned_from_some_of_the_tail(
    inputs: dict[str, Path], tmp_path: Path, until: int, share: float
) -> None:
    write_said(inputs["model"], [8, 9, 10, 11], np.full((4, 2), 0.5), [0] * 4)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    write_document({"last_timestamp": until}, theirs / "preparation.json")
    grades = grade_tail(PARAMS, {**inputs, "champion_dataset": theirs}, read_exam(inputs["dataset"]))
    assert grades.learned == share


@pytest.mark.parametrize(
    ("champion", "until", "told"),
    [
        (None, None, ""),
        (None, 90, "what a champion had learned was left out for it"),
        ("f" * 64, 90, "goes on from a version that is champion no more"),
    ],
)
def test_what_goes_on_from_another_than_the_champion_is_held_back(
    champion: str | None, until: int | None, told: str, inputs: dict[str, Path]
) -> None:
    write_said(inputs["model"], [8, 9, 10, 11], np.full((4, 2), 0.5), [0] * 4, champion)
    document = read_document(inputs["dataset"] / "preparation.json")
    write_document({**document, "learned_until": until}, inputs["dataset"] / "preparation.json")
    (gate,) = grade_tail(PARAMS, inputs, read_exam(inputs["dataset"])).lineage
    assert (gate.name, gate.severity, gate.passed) == ("goes on", "hold", not told)
    assert told in gate.told
