"""The cells of a study of sizes: what is run, and how a cell becomes a recipe."""

from dataclasses import dataclass
from typing import final

from components.core.recipe import StreamRecipe
from components.core.recipe.stream import FixedSize
from components.study import cells
from components.study.cells import FEWEST_RESAMPLES, build, shared_document
from components.study.conducting import Part
from components.study.sizes.schema import SizesStudy


@final
@dataclass(frozen=True)
class Method:
    """What decides on sizes."""

    name: str

    @property
    def label(self) -> str:
        """As tables and paths have it."""
        return self.name

    @property
    def last_stage(self) -> str:
        """All cells are tested."""
        return "evaluate"


Cell = cells.Cell[Method]


def cells_of(study: SizesStudy, part: Part) -> list[Cell]:
    """Each method on each stream with each seed."""
    return [
        Cell(data, model, Method(name), seed)
        for data, model in part.pairs
        for name in study.methods
        for seed in study.seeds
    ]


def recipe_of(study: SizesStudy, cell: Cell) -> StreamRecipe:
    """The recipe that a cell runs up to its evaluation.

    Raises:
        InvalidInputError: the recipe is not valid.
    """
    document, embedding = shared_document(study, cell), study.methods[cell.method.name].embedding
    asked = embedding.model_dump(mode="json")
    fixed = isinstance(embedding, FixedSize)
    training = document["training"] | {"warm_start": "none", **({"embedding": asked} if fixed else {})}
    document |= {
        "search": {"kind": "none"} if fixed else asked,
        "training": training,
        "promotion": {"beat": [], "resamples": FEWEST_RESAMPLES},
    }
    return build(study, cell, document, StreamRecipe)
