"""How a model is measured and what it must reach."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from components.core.recipe.training import Count, Device, MetricName
from components.core.strategy import Config, Unkeyed

MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"  # of a registered model; MLflow forbids slashes and colons


class Evaluation(Config):
    """The recipe's `evaluation` section: full ranking over all items, no sampled candidates."""

    ks: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        default=(10, 20), description="cut-offs K of recall@K, ndcg@K, …"
    )
    mask: Literal["train", "train_valid"] = Field(
        default="train", description="the interactions left out of the ranking; train is the paper's"
    )
    user_block: Count = Field(default=2048, description="users ranked at a time; bounds the memory")
    attempt: Count = Field(
        default=1, description="raise it to evaluate a decided model again, against today's champion"
    )

    @field_validator("ks")
    @classmethod
    def _ascending(cls, ks: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(ks)))


class Promotion(Config):
    """The recipe's `promotion` section."""

    metric: MetricName = Field(default="ndcg@20", description="what challenger and champion are compared by")
    margin: float = Field(
        default=0.0, description="the challenger's mean must exceed the champion's by more than this"
    )
    floors: dict[MetricName, Annotated[float, Field(ge=0, le=1)]] = Field(
        default={}, description="a model below any of these is refused"
    )


class EvaluateParams(Config):
    """Parameters of the evaluate stage."""

    evaluation: Evaluation
    promotion: Promotion
    model: str = Field(description="whose champion to compare with")
    tracking_uri: str = Field(description="where that champion is registered")
    device: Annotated[Device, Unkeyed()] = "auto"


class RegisterParams(Config):
    """Parameters of the register stage."""

    model: str
    tracking_uri: str
    experiment: str
    recipe: Annotated[dict[str, Any], Unkeyed()]


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
