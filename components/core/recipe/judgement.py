"""How a model is measured and what it must reach: what all tasks share, and the registry."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from components.core.recipe.training import Count, Device
from components.core.strategy import Config, Unkeyed

MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"  # of a registered model; MLflow forbids slashes and colons
Policy = Literal["auto", "approve", "never"]
Task = Literal["ranking", "classification", "stream"]
MetricT = TypeVar("MetricT", bound=str)


class Evaluation(Config):
    """The recipe's `evaluation` section."""

    attempt: Count = Field(
        default=1, description="raise it to evaluate a decided model again, against today's champion"
    )


class Range(Config):
    """The values that a measure may have, both ends included."""

    min: float | None = Field(default=None, description="not less than this")
    max: float | None = Field(default=None, description="not more than this")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min: got {self.min:g}, need at most max, {self.max:g}")
        return self


def check_reachable(
    ranges: dict[MetricT, Range], ends: Mapping[str, tuple[float, float]]
) -> dict[MetricT, Range]:
    """The ranges themselves; but what a metric can never be is no bound for it.

    Args:
        ends: the least and the greatest value of each metric, by its name before the @.

    Raises:
        ValueError: bounds lie beyond them; a line for each.
    """
    problems = []
    for name, bounds in ranges.items():
        low, high = ends[name.partition("@")[0]]
        for end, value in (("min", bounds.min), ("max", bounds.max)):
            if value is not None and not low <= value <= high:
                need = f"from {low:g} to {high:g}" if high < math.inf else f"of {low:g} or more"
                problems.append(f"{name}: {end}: got {value:g}, need a number {need}")
    if problems:
        raise ValueError("\n".join(problems))
    return ranges


class Promotion(Config):
    """The recipe's `promotion` section.

    Attributes:
        metric: narrowed by the task.
    """

    metric: str
    policy: Annotated[Policy, Unkeyed()] = Field(
        default="auto",
        description="who promotes a challenger that has won: the run itself, someone whom the orchestrator "
        "asks, or nobody but `recloop promote`",
    )
    answer_within_s: Annotated[Count, Unkeyed()] = Field(
        default=7 * 24 * 3600, description="no answer in so many seconds is a no; policy approve"
    )
    margin: float = Field(
        default=0.0,
        description="the interval of the difference must lie above this; below zero: not worse by more",
    )
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        default=0.95,
        description="of the intervals; a model that is no better wins (1 − this) / 2 of the time",
    )
    resamples: Annotated[int, Field(ge=100)] = Field(default=10_000, description="of the bootstrap")


class AnyEvaluateParams(Config):
    """Parameters of the evaluate stage."""

    task: Task
    evaluation: Evaluation
    promotion: Promotion
    model: str = Field(description="whose champion to compare with")
    tracking_uri: str = Field(description="where that champion is registered")
    device: Annotated[Device, Unkeyed()] = "auto"
    seed: int = Field(default=2023, description="of the bootstrap")


class RegisterParams(Config):
    """Parameters of the register stage."""

    task: Task = "ranking"
    model: str
    tracking_uri: str
    experiment: str
    policy: Policy = "auto"
    ledger: Annotated[str, Unkeyed()] = Field(description="URI below which a new model's ledger is kept")
    recipe: Annotated[dict[str, Any], Unkeyed()]


class PromoteParams(Config):
    """Parameters of the promote stage: one decision about a registered model."""

    action: Literal["promote", "rollback"] = "promote"
    model: str
    tracking_uri: str
    ledger: Annotated[str, Unkeyed()] = Field(description="URI below which a new model's ledger is kept")
    version: Annotated[str, Field(pattern=r"^[1-9][0-9]*$")] | None = Field(
        default=None,
        description="by default the registration's, else the challenger, or for a rollback the one before",
    )
    approved: bool = Field(default=True, description="whether the answer was yes; a no is recorded")
    who: Annotated[str, Field(min_length=1)] = Field(description="whose decision it is")
    why: Annotated[str, Field(min_length=1)]
    answered: str | None = Field(default=None, description="when the answer was given")
    force: bool = Field(default=False, description="against the evidence")
    decision: Annotated[str, Field(min_length=1)] = Field(
        description="names the decision: a second try does not take it again"
    )


class Registry(Config):
    """The recipe's `registry` section: MLflow."""

    model: Annotated[str, Field(pattern=MODEL_NAME)] | None = Field(
        default=None, description="name of the registered model; the recipe's name by default"
    )
    tracking_uri: str | None = Field(
        default=None,
        description="by default $MLFLOW_TRACKING_URI, else SQLite in the workspace; credentials come "
        "from MLflow's own environment variables",
    )

    @field_validator("tracking_uri")
    @classmethod
    def _no_secret(cls, uri: str | None) -> str | None:
        if uri is not None and holds_password(uri):
            raise ValueError("holds a password; put it into MLFLOW_TRACKING_PASSWORD instead")
        return uri


def holds_password(uri: str) -> bool:
    """Whether a secret stands in a URI: it would be in command lines, manifests and logs."""
    return bool(urlsplit(uri).password)
