"""A recipe: one frozen, validated description of a loop.

Sections follow the stages: `source`, `quality`, `prepare`, `search`, `training`, `evaluation`,
`promotion`, `registry`, `card`; `schedule`, `orchestration` and `notifications` say when and how it runs
and who is told. What the sections about data and models hold depends on the recipe's `task`.
"""

from collections.abc import Mapping
from typing import Any, Final

from components.core.errors import InvalidInputError
from components.core.recipe.base import Parameter, Recipe, Scalar, absolute_uri
from components.core.recipe.classification import ClassificationTraining, RetrainClassifierParams
from components.core.recipe.classification_recipe import ClassificationRecipe
from components.core.recipe.example_judgement import EvaluateClassifierParams
from components.core.recipe.example_preparation import PrepareExamplesParams
from components.core.recipe.examples import IngestExamplesParams
from components.core.recipe.judgement import AnyEvaluateParams, PromoteParams, RegisterParams
from components.core.recipe.prepare import PrepareParams
from components.core.recipe.ranking import RankingTraining, RetrainParams
from components.core.recipe.ranking_judgement import EvaluateParams
from components.core.recipe.ranking_recipe import RankingRecipe
from components.core.recipe.search import (
    AnySearchParams,
    SearchForClassifierParams,
    SearchForStreamParams,
    SearchParams,
)
from components.core.recipe.source import IngestParams
from components.core.recipe.stream import RetrainStreamParams, StreamTraining
from components.core.recipe.stream_data import IngestStreamParams, PrepareStreamParams
from components.core.recipe.stream_judgement import EvaluateStreamParams
from components.core.recipe.stream_recipe import StreamRecipe
from components.core.recipe.training import AnyRetrainParams, EpochTraining, Training

__all__ = [
    "RECIPES",
    "AnyEvaluateParams",
    "AnyRetrainParams",
    "AnySearchParams",
    "ClassificationRecipe",
    "ClassificationTraining",
    "EpochTraining",
    "EvaluateClassifierParams",
    "EvaluateParams",
    "EvaluateStreamParams",
    "IngestExamplesParams",
    "IngestParams",
    "IngestStreamParams",
    "Parameter",
    "PrepareExamplesParams",
    "PrepareParams",
    "PrepareStreamParams",
    "PromoteParams",
    "RankingRecipe",
    "RankingTraining",
    "Recipe",
    "RegisterParams",
    "RetrainClassifierParams",
    "RetrainParams",
    "RetrainStreamParams",
    "Scalar",
    "SearchForClassifierParams",
    "SearchForStreamParams",
    "SearchParams",
    "StreamRecipe",
    "StreamTraining",
    "Training",
    "absolute_uri",
    "recipe_type",
]

RECIPES: Final[Mapping[str, type[Recipe]]] = {
    "ranking": RankingRecipe,
    "classification": ClassificationRecipe,
    "stream": StreamRecipe,
}


def recipe_type(document: Mapping[str, Any]) -> type[Recipe]:
    """The recipe that a document is one of, by its `task`; that of rankings where it names none.

    Raises:
        InvalidInputError: there is no such task.
    """
    task = document.get("task", "ranking")
    if not isinstance(task, str) or task not in RECIPES:
        raise InvalidInputError(f"task: got {task!r}, need one of {', '.join(RECIPES)}")
    return RECIPES[task]
