"""The cells of a study of losses: what is run, and how a cell becomes a recipe."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from components.core.recipe import ClassificationRecipe, ClassificationTraining
from components.core.recipe.search import AutoLoss
from components.study import cells
from components.study.cells import FEWEST_RESAMPLES, build, shared_document
from components.study.conducting import Part
from components.study.losses.schema import LossesStudy, Transfer, Where

Pair = tuple[str, str]  # of data and model


@final
@dataclass(frozen=True)
class Method:
    """What decides on the loss.

    Attributes:
        name: as the study has it.
        every: f, where it is another than the method's own.
        taken_from: data and model that its policy was searched for, where these are others.
    """

    name: str
    every: int | None = None
    taken_from: Pair | None = None

    @property
    def label(self) -> str:
        """As tables and paths have it."""
        parts = [self.name]
        if self.every is not None:
            parts.append(f"f = {self.every}")
        if self.taken_from is not None:
            parts.append(f"policy of {', '.join(self.taken_from)}")
        return ", ".join(parts)

    @property
    def last_stage(self) -> str:
        """All cells are tested."""
        return "evaluate"


Cell = cells.Cell[Method]


def cells_of(study: LossesStudy, part: Part) -> list[Cell]:
    """Each cell once, those that take policies over after all others."""
    found = dict.fromkeys(
        Cell(data, model, method, seed)
        for (data, model), method in _wanted(study, part)
        for seed in study.seeds
    )
    return sorted(found, key=lambda cell: cell.method.taken_from is not None)


def source_of(cell: Cell) -> Cell | None:
    """The cell whose policy a cell takes over."""
    if cell.method.taken_from is None:
        return None
    data, model = cell.method.taken_from
    return Cell(data, model, Method(cell.method.name), cell.seed)


def pairs(study: LossesStudy, where: Where | None, part: Part) -> list[Pair]:
    """Data and model of a section, as far as they are of the part."""
    return [pair for pair in study.pairs(where) if pair in part.pairs] if where else []


def updated(study: LossesStudy) -> dict[int, Method]:
    """`ours` by f."""
    search = study.methods[study.ours].search
    own = search.every if isinstance(search, AutoLoss) else None
    asked = sorted(study.updates.every) if study.updates else ()
    return {f: Method(study.ours, every=None if f == own else f) for f in asked}


def transferred(study: LossesStudy, transfer: Transfer) -> dict[str, Method]:
    """The methods of a transfer at its targets: what searches brings its policy along."""
    source = transfer.source.data, transfer.source.model
    return {
        name: Method(name, taken_from=source if study.searches(name) else None) for name in transfer.methods
    }


def targets(transfer: Transfer, part: Part) -> list[Pair]:
    """Data and model of those that are of the part; none where the source is none of it."""
    if (transfer.source.data, transfer.source.model) not in part.pairs:
        return []
    return [(place.data, place.model) for place in transfer.to if (place.data, place.model) in part.pairs]


def _wanted(study: LossesStudy, part: Part) -> Iterator[tuple[Pair, Method]]:
    """What stands in some table or figure."""
    for grid in (study.comparison, study.ablations):
        for pair in pairs(study, grid, part):
            yield from ((pair, Method(name)) for name in (grid.methods if grid else ()))
    for pair in pairs(study, study.updates, part):
        yield from ((pair, method) for method in updated(study).values())
    for transfer in study.transfers:
        for target in targets(transfer, part):
            for method in transferred(study, transfer).values():
                yield target, method
                if method.taken_from:
                    yield method.taken_from, Method(method.name)


def recipe_of(study: LossesStudy, cell: Cell, policy: str = "") -> ClassificationRecipe:
    """The recipe that a cell runs up to its evaluation.

    Args:
        policy: URI of the artifact that a transfer takes over.

    Raises:
        InvalidInputError: the recipe is not valid, or has no part that validates.
    """
    method, document = cell.method, shared_document(study, cell)
    asked = study.methods[method.name]
    training = document["training"] | {
        "loss": asked.loss.model_dump(mode="json"),
        "metric": study.metric,
        "warm_start": "none" if method.taken_from else study.warm_start,
    }
    search = asked.search.model_dump(mode="json")
    if isinstance(asked.search, AutoLoss):
        for key in {"epochs", "patience"} - asked.search.model_fields_set:
            search[key] = training.get(key, ClassificationTraining.model_fields[key].default)
        search["every"] = method.every or asked.search.every
    document |= {
        "search": {"kind": "policy", "uri": policy} if method.taken_from else search,
        "training": training,
        "promotion": {"metric": study.metric, "beat": [], "resamples": FEWEST_RESAMPLES},
    }
    return build(study, cell, document, ClassificationRecipe)
