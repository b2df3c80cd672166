"""How a model that follows a stream is measured and what it must reach."""

from typing import Final, Literal, get_args

from pydantic import Field

from components.core.recipe.classification import ClassificationMetric
from components.core.recipe.example_judgement import ExampleGuardrail, ExamplePromotion
from components.core.recipe.judgement import AnyEvaluateParams, Evaluation
from components.core.recipe.training import Count

Seen = Literal["user_seen", "item_seen"]
Times = Literal["0", "1-9", "10-99", "100-999", "1000+"]


TIMES: Final[tuple[Times, ...]] = get_args(Times)


class StreamEvaluation(Evaluation):
    """The `evaluation` section of a recipe that follows a stream."""

    batch_size: Count = Field(default=8192, description="interactions that the champion is asked at a time")


class StreamGuardrail(ExampleGuardrail):
    """A metric that must not suffer, over all of the tail or over a slice of it."""

    field: Seen | None = Field(
        default=None, description="what tells slices apart: how often the user, or the item, was seen before"
    )
    value: Times | None = Field(default=None, description="how often")


class StreamPromotion(ExamplePromotion):
    """The `promotion` section of a recipe that follows a stream."""

    metric: ClassificationMetric = Field(
        default="logloss", description="what challenger and champion are compared by"
    )
    guardrails: tuple[StreamGuardrail, ...] = Field(
        default=(), description="metrics that must not suffer against the champion, in slices too"
    )


class EvaluateStreamParams(AnyEvaluateParams):
    """Parameters of the evaluate stage of a recipe that follows a stream."""

    task: Literal["stream"] = "stream"
    evaluation: StreamEvaluation
    promotion: StreamPromotion
