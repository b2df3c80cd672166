"""Running a study of sizes."""

from pathlib import Path

from components.core.recipe import StreamRecipe
from components.study.conducting import Part, Tell, require_some, run
from components.study.results import StudyResults
from components.study.sizes.grid import Method, cells_of, recipe_of
from components.study.sizes.schema import SizesStudy

Results = StudyResults[Method, StreamRecipe]


def conduct(study: SizesStudy, part: Part, _: Path, *, jobs: int, tell: Tell) -> Results:
    """Run all cells.

    Raises:
        InvalidInputError: a recipe is not valid, told before any work; or no cell could be run.
    """
    recipes = {cell: recipe_of(study, cell) for cell in cells_of(study, part)}
    results = Results(jobs=jobs)
    run(recipes, results, "accuracy", jobs=jobs, tell=tell)
    require_some(results)
    return results
