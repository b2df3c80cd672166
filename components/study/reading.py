"""From YAML to a `Study`."""

from pathlib import Path
from typing import Final

from pydantic import ValidationError

from components.core.errors import InvalidInputError
from components.core.recipe.mistakes import describe
from components.core.recipe.reading import read_document
from components.core.recipe_files import find_file
from components.study.schema import Study

_FOLDER: Final = Path("pipelines") / "studies"


def find_study(named: str) -> Path:
    """The file at a path, or that of the included study of that name.

    Raises:
        InvalidInputError: there is none.
    """
    return find_file(named, "study", _FOLDER)


def read_study(path: Path) -> Study:
    """Read and validate a study.

    Raises:
        InvalidInputError: with one line for each mistake.
    """
    try:
        return Study.model_validate(read_document(path, "study"))
    except ValidationError as error:
        problems = describe(error)
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        lines = "\n".join(f"  {text}" for text in problems.values())
        raise InvalidInputError(f"study {path}: {count}\n{lines}") from error
