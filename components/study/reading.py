"""From YAML to a `Study`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from components.core.recipe.mistakes import describe, refusal
from components.core.recipe.reading import read_document, with_overrides
from components.core.recipe.schema import chosen_by
from components.core.recipe_files import find_file
from components.study.losses.schema import LossesStudy
from components.study.models.schema import ModelsStudy
from components.study.samplers.schema import SamplersStudy
from components.study.schema import Study
from components.study.sizes.schema import SizesStudy

STUDIES: Final = Path("pipelines") / "studies"
KINDS: Final[Mapping[str, type[Study]]] = {
    "samplers": SamplersStudy,
    "losses": LossesStudy,
    "sizes": SizesStudy,
    "models": ModelsStudy,
}


def find_study(named: str) -> Path:
    """The file at a path, or that of the included study of that name.

    Raises:
        InvalidInputError: there is none.
    """
    return find_file(named, "study", STUDIES)


def read_study(path: Path, overrides: Sequence[str] = ()) -> Study:
    """Read and validate a study.

    Args:
        overrides: `key=value` as for recipes, such as `data.ml-100k.parameters.data=/where/it/is`.

    Raises:
        InvalidInputError: with one line for each mistake.
    """
    document = read_document(path, "study")
    kind = study_type(document)
    try:
        return kind.model_validate(with_overrides(document, overrides, kind))
    except ValidationError as error:
        raise refusal(f"study {path}", describe(error, kind)) from error


def study_type(document: Mapping[str, Any]) -> type[Study]:
    """The kind that a document is one of, by what it compares; that of samplers where it does not say, or
    there is no such kind."""
    compares = document.get("compares", "samplers")
    return KINDS.get(compares, SamplersStudy) if isinstance(compares, str) else SamplersStudy


def study_schema() -> dict[str, Any]:
    """What `recloop schema study` prints, for editors that complete and check YAML by it."""
    return chosen_by("compares", KINDS, "recloop study")
