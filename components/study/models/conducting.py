"""The order in which a study's cells are run: policies are taken over once they are found."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from components.core.errors import InvalidInputError
from components.core.recipe import RankingRecipe
from components.core.recipe.epoch_recipe import EpochRecipe
from components.metrics.ranking import METRICS
from components.study.conducting import Part, Tell, run_with_policies
from components.study.models.grid import Cell, Method, cells_of, recipe_of, source_of
from components.study.models.schema import ModelsStudy
from components.study.results import StudyResults

Results = StudyResults[Method, EpochRecipe]


def conduct(study: ModelsStudy, part: Part, _: Path, *, jobs: int, tell: Tell) -> Results:
    """Run everything that depends on nothing, and then what takes its policies over.

    Raises:
        InvalidInputError: a recipe is not valid, or does not measure what the study asks for, told before any
            work; or no cell could be run.
    """
    recipes = {cell: recipe_of(study, cell, policy=str(study.folder)) for cell in cells_of(study, part)}
    _require_metrics(study, recipes)
    results = Results(jobs=jobs)
    sources = {cell: source for cell in recipes if (source := source_of(study, cell))}
    taking = partial(recipe_of, study)
    run_with_policies(recipes, sources, taking, results, study.metrics[0], jobs=jobs, tell=tell)
    return results


def _require_metrics(study: ModelsStudy, recipes: Mapping[Cell, EpochRecipe]) -> None:
    for cell, recipe in recipes.items():
        measured = list(_measured(recipe))
        for metric in study.metrics:
            if metric not in measured:
                told = ", ".join(measured)
                raise InvalidInputError(
                    f"metrics: got {metric!r}, but the evaluation of {cell.data} measures {told}"
                )


def _measured(recipe: EpochRecipe) -> Iterator[str]:
    """The metrics of a recipe's evaluation."""
    if not isinstance(recipe, RankingRecipe):
        yield from ("auc", "logloss", "accuracy", "mse", "ece", "calibration")
        return
    ks = recipe.evaluation.ks
    yield from (f"{name}@{k}" for name in METRICS for k in ks)
    if recipe.evaluation.sampled is not None:
        yield from (f"sampled_{name}@{k}" for name in ("hit_ratio", "ndcg") for k in ks)
