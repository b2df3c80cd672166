"""The cells of a study: what is run, and how a cell becomes a recipe."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

from components.core.errors import InvalidInputError
from components.core.recipe import Recipe
from components.core.recipe.reading import build_recipe, read_document
from components.core.recipe.training import Training
from components.core.recipe_files import find
from components.study.schema import AUTOSAMPLE, Study

Warm = Literal["search", "none"]


@final
@dataclass(frozen=True)
class Method:
    """Where negatives come from.

    Attributes:
        sampler: a baseline's name, or `AutoSample`.
        num_negatives: of a baseline.
        space: AutoSample's candidates, in the study's order.
        warm: what AutoSample's retraining begins with.
        epochs: at most so many, instead of the recipe's: a race.
    """

    sampler: str
    num_negatives: int = 1
    space: tuple[str, ...] = ()
    warm: Warm = "search"
    epochs: int | None = None

    @property
    def label(self) -> str:
        """As tables and paths have it."""
        parts = [self.sampler]
        if self.num_negatives > 1:
            parts.append(f"{self.num_negatives} negatives")
        if self.space:
            parts.append("+".join(self.space))
        if self.space and self.warm == "none":
            parts.append("random start")
        if self.epochs is not None:
            parts.append(f"{self.epochs} epochs")
        return ", ".join(parts)


@final
@dataclass(frozen=True)
class Cell:
    """One run."""

    data: str
    model: str
    method: Method
    seed: int

    @property
    def label(self) -> str:
        return f"{self.data} / {self.model} / {self.method.label} / seed {self.seed}"


def baselines(study: Study, model: str) -> list[Method]:
    """Those that fit a model."""
    has_graph = study.models[model].kind != "mf"
    return [Method(name) for name, config in study.samplers.items() if config.kind != "mixgcf" or has_graph]


def candidates(study: Study, *, num_negatives: int = 1, epochs: int | None = None) -> list[Method]:
    """Each of AutoSample's possible candidates alone."""
    return [Method(name, num_negatives, epochs=epochs) for name in study.candidates.names]


def searched(study: Study, names: Iterable[str], warm: Warm = "search") -> Method:
    """AutoSample over some samplers, whatever order they are named in."""
    chosen = set(names)
    return Method(AUTOSAMPLE, space=tuple(name for name in study.samplers if name in chosen), warm=warm)


def recipe_of(study: Study, cell: Cell, tuned: Mapping[str, float]) -> Recipe:
    """The recipe that a cell runs up to its evaluation.

    Args:
        tuned: keys of the training section, and `alpha_learning_rate`, that were found for it.

    Raises:
        InvalidInputError: the recipe is not valid, or has no part that validates.
    """
    method, place = cell.method, f"data.{cell.data}"
    try:
        path = find(study.data[cell.data].recipe)
    except InvalidInputError as error:
        raise InvalidInputError(f"{place}.recipe: {error}") from error
    document = read_document(path)
    training = {
        **dict(document.get("training") or {}),
        **_settings(study, cell),
        **{key: value for key, value in tuned.items() if key != "alpha_learning_rate"},
        "model": study.models[cell.model].model_dump(mode="json"),
        "num_negatives": method.num_negatives,
        "metric": f"ndcg@{study.k}",
        "warm_start": method.warm,
        "warm_check": None,
        "seed": cell.seed,
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
            **{key: training.get(key, Training.model_fields[key].default) for key in ("epochs", "patience")},
        }
    else:
        training["sampler"] = _sampler(study, method.sampler)
    if method.epochs is not None:
        training["epochs"] = method.epochs
    document |= {
        "parameters": _parameters(document, study.data[cell.data].parameters, place),
        "workspace": str(study.folder),
        "search": search,
        "training": training,
        "evaluation": {**(document.get("evaluation") or {}), "ks": [study.k], "mask": "train_valid"},
        "promotion": {"metric": f"ndcg@{study.k}", "floors": {}, "beat": []},
        "registry": {"tracking_uri": f"sqlite:///{study.folder}/mlflow.db"},  # knows no champion
    }
    recipe = build_recipe(document, place=f"{path} for {cell.label}")
    if not recipe.has_validation:
        raise InvalidInputError(
            f"{place}: recipe {path} sets nothing aside that validates (prepare.split): a study chooses by it"
        )
    return recipe


def _parameters(document: Mapping[str, Any], values: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The recipe's parameters with other values."""
    declared = dict(document.get("parameters") or {})
    for name, value in values.items():
        if name not in declared:
            raise InvalidInputError(
                f"{place}.parameters: got {name!r}, need one of the recipe's, {sorted(declared)}"
            )
        declared[name] = {**declared[name], "default": value}
    return declared


def _sampler(study: Study, name: str) -> dict[str, Any]:
    return study.samplers[name].model_dump(mode="json", by_alias=True)


def _settings(study: Study, cell: Cell) -> dict[str, Any]:
    """Of the training section, the later the stronger."""
    found: dict[str, Any] = {}
    for setting in study.settings:
        fits = (
            cell.data in (setting.data or study.data)
            and cell.model in (setting.models or study.models)
            and (not setting.methods or cell.method.sampler in setting.methods)
        )
        if fits:
            found |= setting.training.model_dump(mode="json", exclude_none=True)
    return found
