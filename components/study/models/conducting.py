"""The order in which a study's cells are run: policies are taken over once they are found."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from components.core.errors import InvalidInputError
from components.core.recipe import RankingRecipe
from components.core.recipe.epoch_recipe import EpochRecipe
from components.metrics.ranking import METRICS
from components.study.conducting import Part, Tell, require_some, run
from components.study.models.grid import Cell, Method, cells_of, recipe_of, source_of
from components.study.models.schema import ModelsStudy
from components.study.results import StudyResults
from components.study.running import Outcome


@final
@dataclass
class Results(StudyResults[Method, EpochRecipe]):
    """What a study of models found so far.

    Attributes:
        jobs: cells that ran beside each other.
    """

    jobs: int = 1


def conduct(study: ModelsStudy, part: Part, _: Path, *, jobs: int, tell: Tell) -> Results:
    """Run everything that depends on nothing, and then what takes its policies over.

    Raises:
        InvalidInputError: a recipe is not valid, or does not measure what the study asks for, told before any
            work; or no cell could be run.
    """
    recipes = {cell: recipe_of(study, cell, policy=str(study.folder)) for cell in cells_of(study, part)}
    _require_metrics(study, recipes)
    results, metric = Results(jobs=jobs), study.metrics[0]
    sources = {cell: source for cell in recipes if (source := source_of(study, cell))}
    alone = {cell: recipe for cell, recipe in recipes.items() if cell not in sources}
    run(alone, results, metric, jobs=jobs, tell=tell)
    require_some(results)
    found: dict[Cell, EpochRecipe] = {}
    for cell, source in sources.items():
        policy = results.outcomes[source].places.get("policy")
        if policy:
            found[cell] = recipe_of(study, cell, policy)
        else:
            told = f"{source.label}: left no policy: {results.outcomes[source].error}"
            results.outcomes[cell] = Outcome({}, {}, error=told)
    run(found, results, metric, jobs=jobs, tell=tell)
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
