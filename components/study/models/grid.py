"""The cells of a study of models: what is run, and how a cell becomes a recipe."""

from dataclasses import dataclass
from typing import final

from components.core.recipe import ClassificationRecipe, RankingRecipe, recipe_type
from components.core.recipe.epoch_recipe import EpochRecipe
from components.study import cells
from components.study.cells import FEWEST_RESAMPLES, build, shared_document
from components.study.conducting import Part
from components.study.models.schema import ModelsStudy


@final
@dataclass(frozen=True)
class Method:
    """As the line says: there is one for each model."""

    name: str = "trained"

    @property
    def label(self) -> str:
        """As tables and paths have it."""
        return self.name

    @property
    def last_stage(self) -> str:
        """All cells are tested."""
        return "evaluate"


Cell = cells.Cell[Method]


def cells_of(study: ModelsStudy, part: Part) -> list[Cell]:
    """Each line on each data set with each seed, those that take policies over last, and with them the lines
    that these come from."""
    wanted = {*part.models, *(study.models[name].policy_of for name in part.models)}
    names = sorted((name for name in study.models if name in wanted), key=lambda one: _takes(study, one))
    return [Cell(data, name, Method(), seed) for data in part.data for name in names for seed in study.seeds]


def source_of(study: ModelsStudy, cell: Cell) -> Cell | None:
    """The cell whose policy a cell takes over."""
    source = study.models[cell.model].policy_of
    return None if source is None else Cell(cell.data, source, cell.method, cell.seed)


def recipe_of(study: ModelsStudy, cell: Cell, policy: str = "") -> EpochRecipe:
    """The recipe that a cell runs up to its evaluation.

    Args:
        policy: URI of the artifact that it takes over, where it takes one.

    Raises:
        InvalidInputError: the recipe is not valid, or has no part that validates.
    """
    entry, document = study.models[cell.model], shared_document(study, cell)
    promotion = {**dict(document.get("promotion") or {}), "resamples": FEWEST_RESAMPLES}
    for judged in ("beat", "floors", "limits", "bounds", "guardrails"):
        promotion.pop(judged, None)
    document |= {
        "search": {"kind": "policy", "uri": policy} if entry.policy_of else entry.search,
        "training": {**document["training"], **_decided_by(study), **entry.training},
        "promotion": {**promotion, "beat": []},
    }
    kind = recipe_type(document)
    return build(study, cell, document, RankingRecipe if kind is RankingRecipe else ClassificationRecipe)


def _decided_by(study: ModelsStudy) -> dict[str, str]:
    return {} if study.metric is None else {"metric": study.metric}


def _takes(study: ModelsStudy, name: str) -> bool:
    return study.models[name].policy_of is not None
