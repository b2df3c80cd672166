"""How a classifier is measured and what it must reach."""

import math
from collections.abc import Iterator
from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from components.core.recipe.classification import ClassificationMetric
from components.core.recipe.examples import FieldName
from components.core.recipe.judgement import AnyEvaluateParams, Evaluation, Promotion, Range, check_reachable
from components.core.recipe.training import Count
from components.core.strategy import Config

ExampleMetric = Literal["auc", "logloss", "accuracy", "mse", "ece", "calibration"]
ExampleBaseline = Literal["prior"]
_ENDS: Final = {
    "auc": (0.0, 1.0),
    "logloss": (0.0, math.inf),
    "accuracy": (0.0, 1.0),
    "mse": (0.0, 1.0),
    "ece": (0.0, 1.0),
    "calibration": (0.0, math.inf),
}


class ExampleEvaluation(Evaluation):
    """The `evaluation` section of a recipe that classifies."""

    slices: tuple[FieldName, ...] | None = Field(
        default=None, description="the fields whose values the report tells apart; all where none are named"
    )
    slice_values: Count = Field(
        default=5, description="values of a field that are told, the most frequent in train"
    )
    batch_size: Count = Field(default=8192, description="examples scored at a time; bounds the memory")


class ExampleGuardrail(Config):
    """A metric that must not suffer, over all test examples or those with one value of a field."""

    metric: ClassificationMetric = Field(description="auc or logloss")
    field: FieldName | None = Field(default=None, description="whose examples; all where none is named")
    value: str | None = Field(default=None, description="the field's value (of a numeric one: its bucket)")
    max_drop: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.02,
        description="share of the champion's value by which it may be worse: the interval must lie above",
    )

    @model_validator(mode="after")
    def _a_field_has_a_value(self) -> Self:
        if (self.field is None) != (self.value is None):
            raise ValueError("field and value: got one without the other, need both or none")
        return self


class ExamplePromotion(Promotion):
    """The `promotion` section of a recipe that classifies."""

    metric: ClassificationMetric = Field(
        default="auc", description="what challenger and champion are compared by"
    )
    resamples: Annotated[int, Field(ge=100)] = Field(
        default=2_000, description="of the bootstrap over test examples"
    )
    limits: dict[ExampleMetric, Range] = Field(default={}, description="a model outside of these is refused")
    beat: tuple[ExampleBaseline, ...] = Field(
        default=("prior",),
        description="baselines that the first champion must beat, by log loss: the shares of train's classes",
    )
    guardrails: tuple[ExampleGuardrail, ...] = Field(
        default=(), description="metrics that must not suffer against the champion, in slices too"
    )
    min_slice_examples: Count = Field(
        default=100, description="a guardrail over fewer examples is told, and not judged"
    )
    bounds: dict[ExampleMetric, Range] = Field(
        default={}, description="a model outside of these stays a challenger"
    )

    @field_validator("limits", "bounds")
    @classmethod
    def _reachable(cls, ranges: dict[ExampleMetric, Range]) -> dict[ExampleMetric, Range]:
        return check_reachable(ranges, _ENDS)


def of_two_classes(promotion: ExamplePromotion) -> Iterator[str]:
    """What is asked of several classes that only two have, one line each."""
    for section in ("limits", "bounds"):
        for metric, instead in (("calibration", "ece"), ("mse", "logloss")):
            if metric in getattr(promotion, section):
                yield f"promotion.{section}.{metric}: is of two classes, take {instead} for several"


class EvaluateClassifierParams(AnyEvaluateParams):
    """Parameters of the evaluate stage of a recipe that classifies."""

    task: Literal["classification"] = "classification"
    evaluation: ExampleEvaluation
    promotion: ExamplePromotion
