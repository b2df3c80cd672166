"""The order in which a study's cells are run: policies are carried over once they are found."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from components.core.errors import InvalidInputError
from components.core.recipe import ClassificationRecipe
from components.study.conducting import Part, Tell, run_with_policies
from components.study.losses.grid import Cell, Method, cells_of, recipe_of, source_of
from components.study.losses.schema import LossesStudy
from components.study.results import StudyResults

Results = StudyResults[Method, ClassificationRecipe]


def conduct(study: LossesStudy, part: Part, _: Path, *, jobs: int, tell: Tell) -> Results:
    """Run everything that depends on nothing, and then what takes its policies over.

    Raises:
        InvalidInputError: a recipe is not valid, or a policy cannot fit where it is taken to, told before any
            work; or no cell could be run.
    """
    recipes = {cell: recipe_of(study, cell, policy=str(study.folder)) for cell in cells_of(study, part)}
    if not recipes:
        raise InvalidInputError(f"nothing of the study is about {part.data} with {part.models}")
    _require_same_classes(recipes)
    results = Results(jobs=jobs)
    sources = {cell: source for cell in recipes if (source := source_of(cell))}
    taking = partial(recipe_of, study)
    run_with_policies(recipes, sources, taking, results, study.metric, jobs=jobs, tell=tell)
    return results


def _require_same_classes(recipes: Mapping[Cell, ClassificationRecipe]) -> None:
    """A controller looks at predictions of so many classes."""
    for cell, recipe in recipes.items():
        source = source_of(cell)
        if source is not None:
            theirs, ours = (len(one.source.label.classes) for one in (recipes[source], recipe))
            if theirs != ours:
                raise InvalidInputError(
                    f"transfers: {source.data} has {theirs} classes and {cell.data} {ours}, need as many: a "
                    "controller looks at the predictions of each"
                )
