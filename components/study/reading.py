"""From YAML to a `Study`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from components.core.recipe.mistakes import describe, refusal
from components.core.recipe.reading import read_document, with_overrides
from components.core.recipe_files import find_file
from components.study.schema import Study

STUDIES: Final = Path("pipelines") / "studies"


def find_study(named: str) -> Path:
    """The file at a path, or that of the included study of that name.

    Raises:
        InvalidInputError: there is none.
    """
    return find_file(named, "study", STUDIES)


def read_study(path: Path, overrides: Sequence[str] = ()) -> Study:
    """Read and validate a study.

    Args:
        overrides: `key=value` as for recipes, such as `data.ml-100k.set.data=/where/it/is`.

    Raises:
        InvalidInputError: with one line for each mistake.
    """
    try:
        return Study.model_validate(with_overrides(read_document(path, "study"), overrides, Study))
    except ValidationError as error:
        raise refusal(f"study {path}", describe(error, Study)) from error
