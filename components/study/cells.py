"""A cell of a study, one method with one model on one data set with one seed, and the recipe that it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar, final

from components.core.errors import InvalidInputError
from components.core.recipe import RECIPES, Recipe, recipe_type
from components.core.recipe.epoch_recipe import EpochRecipe
from components.core.recipe.reading import build_recipe, read_document
from components.core.recipe_files import find
from components.study.schema import Study

AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)
FEWEST_RESAMPLES: Final = 100  # an evaluation draws them for a champion, and here there is none


class Method(Protocol):
    """What is compared: a frozen dataclass of each kind of study's own."""

    @property
    def name(self) -> str:
        """As the study has it."""
        ...

    @property
    def label(self) -> str:
        """As tables and paths have it: no other method of the study has the same."""
        ...

    @property
    def last_stage(self) -> str:
        """How far its cells run."""
        ...


AnyMethod = TypeVar("AnyMethod", bound=Method)


@final
@dataclass(frozen=True)
class Cell(Generic[AnyMethod]):
    """One run."""

    data: str
    model: str
    method: AnyMethod
    seed: int

    @property
    def label(self) -> str:
        return f"{self.data} / {self.model} / {self.method.label} / seed {self.seed}"


def shared_document(study: Study, cell: Cell[Any]) -> dict[str, Any]:
    """The document of the data's recipe, with what cells of all kinds change in it. Nothing is compared with
    a champion, and the split is the recipe's, whatever the seed.

    Raises:
        InvalidInputError: there is no such recipe, or it has no such parameter.
    """
    data, place = study.data[cell.data], f"data.{cell.data}"
    try:
        document = read_document(find(data.recipe))
    except InvalidInputError as error:
        raise InvalidInputError(f"{place}.recipe: {error}") from error
    epochs = issubclass(recipe_type(document), EpochRecipe)
    return document | {
        "parameters": _parameters(document, data.parameters, place),
        "workspace": str(study.folder),
        "training": {
            **dict(document.get("training") or {}),
            **_settings(study, cell),
            **({"warm_check": None} if epochs else {}),
            "model": study.model_section(cell.model),
            "seed": cell.seed,
        },
        "registry": {"tracking_uri": f"sqlite:///{study.folder}/mlflow.db"},  # knows no champion
    }


def build(study: Study, cell: Cell[Any], document: Mapping[str, Any], kind: type[AnyRecipe]) -> AnyRecipe:
    """The recipe of a cell.

    Raises:
        InvalidInputError: it is not valid, of another task, or has no part that validates.
    """
    place, named = f"data.{cell.data}", study.data[cell.data].recipe
    if recipe_type(document) is not kind:
        tasks = {model: task for task, model in RECIPES.items()}
        raise InvalidInputError(
            f"{place}: recipe {named} is of task {tasks[recipe_type(document)]!r}, need {tasks[kind]!r}"
        )
    recipe = build_recipe(document, place=f"{named} for {cell.label}")
    assert isinstance(recipe, kind)
    if isinstance(recipe, EpochRecipe) and not recipe.has_validation:
        raise InvalidInputError(
            f"{place}: recipe {named} sets nothing aside that validates (prepare.split): a study needs it"
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


def _settings(study: Study, cell: Cell[Any]) -> dict[str, Any]:
    """Of the training section, the later the stronger."""
    found: dict[str, Any] = {}
    for setting in study.settings:
        fits = (
            cell.data in (setting.data or study.data)
            and cell.model in (setting.models or study.models)
            and (not setting.methods or cell.method.name in setting.methods)
        )
        if fits:
            found |= setting.training.model_dump(mode="json", exclude_none=True)
    return found
