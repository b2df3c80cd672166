"""What a model says about the test examples: asked as it is served, by raw values."""

from pathlib import Path

import numpy as np

from components.core.errors import IntegrityError, InvalidInputError
from components.core.recipe.examples import FieldKind
from components.data.document import read_document
from components.data.parquet import TableFile
from components.evaluate.ancestry import CHAMPION
from components.evaluate.classification.exam import Exam
from components.metrics.classification import Floats
from components.registry.scorers import Scorer, load_scorer


def answer(name: str, model: Path, interactions: Path, exam: Exam, batch_size: int) -> Floats:
    """(N, C) probabilities of a model with a vocabulary of its own.

    Args:
        name: of the stage's input, `model` or `champion`.

    Raises:
        InvalidInputError: it is a model of other classes, or of fields that the examples do not have.
        IntegrityError: it answers with other than numbers.
    """
    scorer = load_scorer(model)
    examples = TableFile(interactions / "interactions.parquet")
    _require_classes(name, scorer, exam)
    _require_fields(name, scorer, interactions)
    fields = [field.name for field in scorer.fields]
    probability_NC, start = np.empty((len(exam), len(exam.classes))), 0
    for part in examples.parts(fields, chosen=exam.asked(examples.num_rows)):
        for first in range(0, part.num_rows, batch_size):
            batch = part.slice(first, batch_size)
            stop = start + batch.num_rows
            probability_NC[start:stop] = scorer.score({field: batch[field].to_pylist() for field in fields})
            start = stop
    if not np.isfinite(probability_NC).all():
        raise IntegrityError(f"{name}: its probabilities of some test examples are not numbers")
    return probability_NC


def _require_classes(name: str, scorer: Scorer, exam: Exam) -> None:
    if tuple(scorer.classes) != exam.classes:
        raise InvalidInputError(
            f"{name}: its classes are {list(scorer.classes)}, but those of the dataset are "
            f"{list(exam.classes)}{_way_out(name)}"
        )


def _require_fields(name: str, scorer: Scorer, interactions: Path) -> None:
    fields = read_document(interactions / "profile.json")["fields"]
    there: dict[str, FieldKind] = {field: found["kind"] for field, found in fields.items()}
    wrong = [f"{field.name} ({field.kind})" for field in scorer.fields if there.get(field.name) != field.kind]
    if wrong:
        told = ", ".join(f"{field} ({kind})" for field, kind in there.items())
        needed = ", ".join(wrong)
        raise InvalidInputError(
            f"{name}: needs the fields {needed}, but those of the examples are {told}{_way_out(name)}"
        )


def _way_out(name: str) -> str:
    if name != CHAMPION:
        return ""
    return "; they cannot be compared. Name another `registry.model`, or delete the alias 'champion'"
