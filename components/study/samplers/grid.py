"""The cells of a study: what is run, and how a cell becomes a recipe."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

from components.core.recipe import RankingRecipe
from components.core.recipe.ranking import RankingTraining
from components.study import cells
from components.study.cells import build, shared_document
from components.study.samplers.schema import AUTOSAMPLE, SamplersStudy

Warm = Literal["search", "none"]


@final
@dataclass(frozen=True)
class Method:
    """Where negatives come from.

    Attributes:
        name: a sampler's, or `AutoSample`.
        num_negatives: of a baseline.
        space: AutoSample's candidates, in the study's order.
        warm: what AutoSample's retraining begins with.
        epochs: at most so many, instead of the recipe's: a race.
    """

    name: str
    num_negatives: int = 1
    space: tuple[str, ...] = ()
    warm: Warm = "search"
    epochs: int | None = None

    @property
    def label(self) -> str:
        """As tables and paths have it."""
        parts = [self.name]
        if self.num_negatives > 1:
            parts.append(f"{self.num_negatives} negatives")
        if self.space:
            parts.append("+".join(self.space))
        if self.space and self.warm == "none":
            parts.append("random start")
        if self.epochs is not None:
            parts.append(f"{self.epochs} epochs")
        return ", ".join(parts)

    @property
    def last_stage(self) -> str:
        """A race is decided by validation: nobody looks at the test part."""
        return "evaluate" if self.epochs is None else "retrain"


Cell = cells.Cell[Method]


def baselines(study: SamplersStudy, model: str) -> list[Method]:
    """Those that fit a model."""
    has_graph = study.models[model].kind != "mf"
    return [Method(name) for name, config in study.samplers.items() if config.kind != "mixgcf" or has_graph]


def candidates(study: SamplersStudy, *, num_negatives: int = 1, epochs: int | None = None) -> list[Method]:
    """Each of AutoSample's possible candidates alone."""
    return [Method(name, num_negatives, epochs=epochs) for name in study.candidates.names]


def searched(study: SamplersStudy, names: Iterable[str], warm: Warm = "search") -> Method:
    """AutoSample over some samplers, whatever order they are named in."""
    chosen = set(names)
    return Method(AUTOSAMPLE, space=tuple(name for name in study.samplers if name in chosen), warm=warm)


def recipe_of(study: SamplersStudy, cell: Cell, tuned: Mapping[str, float]) -> RankingRecipe:
    """The recipe that a cell runs up to its evaluation.

    Args:
        tuned: keys of the training section, and `alpha_learning_rate`, that were found for it.

    Raises:
        InvalidInputError: the recipe is not valid, or has no part that validates.
    """
    method, document = cell.method, shared_document(study, cell)
    training = {
        **document["training"],
        **{key: value for key, value in tuned.items() if key != "alpha_learning_rate"},
        "num_negatives": method.num_negatives,
        "metric": f"ndcg@{study.k}",
        "warm_start": method.warm,
    }
    search: dict[str, Any] = {"kind": "none"}
    if method.space:
        alpha = study.autosample
        search = {
            "kind": "autosample",
            "samplers": [_sampler(study, name) for name in method.space],
            "alpha_learning_rate": tuned.get("alpha_learning_rate", alpha.learning_rate),
            "temperature": alpha.temperature.model_dump(mode="json"),
            "straight_through": alpha.straight_through,
            **{
                key: training.get(key, RankingTraining.model_fields[key].default)
                for key in ("epochs", "patience")
            },
        }
    else:
        training["sampler"] = _sampler(study, method.name)
    if method.epochs is not None:
        training["epochs"] = method.epochs
    document |= {
        "search": search,
        "training": training,
        "evaluation": {**(document.get("evaluation") or {}), "ks": [study.k], "mask": "train_valid"},
        "promotion": {"metric": f"ndcg@{study.k}", "floors": {}, "beat": []},
    }
    return build(study, cell, document, RankingRecipe)


def _sampler(study: SamplersStudy, name: str) -> dict[str, Any]:
    return study.samplers[name].model_dump(mode="json", by_alias=True)
