"""What data must be like, beyond the built-in contracts."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from components.core.gates import Gate, Severity
from components.core.recipe.expectations import CORE, known_name, wrong_arguments
from components.core.strategy import Config

Share = Annotated[float, Field(ge=0, le=1)]
TableName = Literal["interactions", "train", "valid", "test", "users", "items", "fields", "values"]

DATASET_TABLES: Final = ("train", "valid", "test", "users", "items")
EXAMPLE_TABLES: Final = ("train", "valid", "test", "fields", "values")
STREAM_TABLES: Final = ("train", "test", "users", "items")


class Expectation(Config):
    """One of Great Expectations' core expectations, over one table."""

    expect: Annotated[
        str, AfterValidator(known_name), WithJsonSchema({"type": "string", "enum": [*CORE]})
    ] = Field(description="its name, such as expect_column_values_to_be_between")
    table: TableName = Field(default="interactions", description="what it looks at")
    arguments: dict[str, Any] = Field(default={}, description="its own, such as column, min_value and mostly")
    severity: Severity = Field(default="stop", description="a failed one stops the run, or only warns")

    @model_validator(mode="after")
    def _arguments(self) -> Self:
        problems = list(wrong_arguments(self.expect, self.arguments))
        if problems:
            raise ValueError("; ".join(problems))
        return self


class Bound(Config):
    """The values that a measure may have, both ends included."""

    min: float | None = Field(default=None, description="not less than this")
    max: float | None = Field(default=None, description="not more than this")
    severity: Severity = Field(default="warn", description="a value outside stops the run, or only warns")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min: got {self.min:g}, need at most max, {self.max:g}")
        return self

    def judge(self, name: str, subject: str, value: float | None, told: str) -> Gate:
        """The gate of a measure. What could not be measured passes; `told` says why it could not."""
        low = self.min is None or value is None or value >= self.min
        high = self.max is None or value is None or value <= self.max
        return Gate(
            name=name,
            subject=subject,
            value=value,
            low=self.min,
            high=self.max,
            severity=self.severity,
            passed=low and high,
            told=told if low and high else f"{told}; need {self._told()}",
        )

    def _told(self) -> str:
        if self.min == self.max:
            return f"{self.min:g}"
        if self.min is None:
            return f"at most {self.max:g}"
        return f"at least {self.min:g}" if self.max is None else f"{self.min:g} to {self.max:g}"


def _within_a_share(bound: Bound) -> Bound:
    for name, value in (("min", bound.min), ("max", bound.max)):
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"{name}: got {value:g}, need 0 to 1")
    return bound


ShareBound = Annotated[Bound, AfterValidator(_within_a_share)]


class Changes(Config):
    """A delivery against an earlier one. Without a bound a measure is told, and never speaks."""

    volume: Bound = Field(default=Bound(), description="interactions, as a multiple of the earlier ones")
    new_users: ShareBound = Field(
        default=Bound(), description="share of the users whom the earlier did not know"
    )
    lost_users: ShareBound = Field(default=Bound(), description="share of the earlier users who are gone")
    new_items: ShareBound = Field(
        default=Bound(), description="share of the items that the earlier did not know"
    )
    lost_items: ShareBound = Field(default=Bound(), description="share of the earlier items that are gone")
    popularity: ShareBound = Field(
        default=Bound(),
        description="Jensen–Shannon distance of the items' shares of all interactions, 0 to 1",
    )
    activity: ShareBound = Field(
        default=Bound(), description="Jensen–Shannon distance of the users' numbers of interactions, 0 to 1"
    )
    repeated: ShareBound = Field(
        default=Bound(), description="share of the interactions that the earlier delivery held already"
    )
    gap_s: Bound = Field(
        default=Bound(), description="seconds from the earlier delivery's last interaction to the first here"
    )


class Delivery(Config):
    """A delivery by itself. Without a bound a measure is told, and never speaks."""

    concentration: ShareBound = Field(
        default=Bound(), description="share of all interactions that the most popular item has"
    )
    duplicates: ShareBound = Field(default=Bound(), description="share of the rows that repeat another row")
    nulls: ShareBound = Field(
        default=Bound(), description="share of the values that are missing in optional columns"
    )
    age_s: Bound = Field(
        default=Bound(), description="seconds from the last interaction to the moment of the ingest"
    )


class Vocabulary(Config):
    """The dataset's users and items against the champion's, after the k-core."""

    kept_users: ShareBound = Field(
        default=Bound(), description="share of the champion's users who are still there"
    )
    kept_items: ShareBound = Field(
        default=Bound(), description="share of the champion's items that are still there"
    )


class Quality(Config):
    """The recipe's `quality` section."""

    expectations: tuple[Expectation, ...] = Field(default=(), description="expectations of your own")
    delivery: Delivery = Field(default=Delivery(), description="bounds for a delivery by itself")
    previous: Changes = Field(default=Changes(), description="bounds against the last accepted delivery")
    champion: Changes = Field(
        default=Changes(), description="bounds against the delivery that the champion learned from"
    )
    vocabulary: Vocabulary = Field(
        default=Vocabulary(), description="bounds for the dataset's users and items against the champion's"
    )
