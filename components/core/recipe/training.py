"""What is trained and how: what the training sections of all tasks share. A search patches them."""

from typing import Annotated, Literal

from pydantic import Field

from components.core.gates import Severity
from components.core.strategy import Config, Strategy, Unkeyed

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Device = Literal["auto", "cpu", "cuda"]


class WarmCheck(Config):
    """A warm start must not lead to a worse model than a cold one."""

    margin: NonNegative = Field(
        default=0.0, description="how much worse `metric` on validation may be, in its own unit"
    )
    severity: Severity = Field(default="stop", description="a worse warm start stops the run, or only warns")


class Training(Config):
    """The recipe's `training` section; each task has one of its own.

    Attributes:
        model, batch_size, warm_start, device: narrowed by the task.
    """

    model: Strategy
    batch_size: int
    learning_rate: Positive = Field(default=1e-3, description="Adam's")
    warm_start: str
    seed: Annotated[Annotated[int, Field(ge=0)] | None, Unkeyed()] = Field(
        default=None,
        description="of search and training alone, so that the data stay as they are; the recipe's where "
        "none is given",
    )
    device: Device = Field(default="auto", description="auto takes a GPU where there is one")


class EpochTraining(Training):
    """Of models that pass their data many times, until they are no better on validation.

    Attributes:
        loss, metric: narrowed by the task.
    """

    loss: Strategy
    metric: str
    batch_size: Count = Field(default=1024, description="positives in a step")  # AutoSample B.5
    epochs: Count = Field(default=100, description="at most so many passes over the training data")
    patience: Count = Field(
        default=10, description="stop after so many validations without a better `metric`"
    )
    validate_every: Count = Field(default=1, description="epochs between validations")
    warm_start: Literal["search", "champion", "none"] = Field(
        default="search",
        description="retrain from the search's weights, from the champion's (from the search's where there "
        "is none), or from random ones",
    )
    warm_scale: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0,
        description="the champion's weights are multiplied by this; below 1 more is learned anew",
    )  # the shrinking of Ash & Adams (2020), On Warm-Starting Neural Network Training, §5
    new_rows: Literal["random", "mean"] = Field(
        default="random",
        description="what rows of embeddings begin with that the champion did not know: the model's random "
        "initial values, or the mean of the rows that were carried over",
    )
    warm_check: WarmCheck | None = Field(
        default=None, description="also train from random weights, and compare"
    )


class AnyRetrainParams(Config):
    """Parameters of the retrain stage."""

    training: Training
    seed: int
    model: Annotated[str, Unkeyed()] = Field(description="whose champion to start from")
    tracking_uri: Annotated[str, Unkeyed()] = Field(description="where that champion is registered")
