"""What labelled examples must be like, beyond the built-in contracts."""

from typing import Final

from pydantic import Field, field_validator

from components.core.recipe.quality import Bound, Expectation, ShareBound
from components.core.strategy import Config

_MAX_UNMATCHED: Final = 0.5


class ExampleChanges(Config):
    """A delivery against an earlier one. Without a bound a measure is told, and never speaks."""

    volume: Bound = Field(default=Bound(), description="examples, as a multiple of the earlier ones")
    label: ShareBound = Field(
        default=Bound(), description="Jensen–Shannon distance of the classes' shares, 0 to 1"
    )
    drift: ShareBound = Field(
        default=Bound(),
        description="largest Jensen–Shannon distance, over the fields, 0 to 1: of the 100 most "
        "frequent values "
        "and the rest as one, or of ten buckets",
    )
    new_values: ShareBound = Field(
        default=Bound(),
        description="largest share, over the fields, of examples whose value the earlier delivery "
        "did not know "
        "(of numbers: that lie beyond its range)",
    )
    gap_s: Bound = Field(
        default=Bound(), description="seconds from the earlier delivery's last example to the first here"
    )


class ExampleDelivery(Config):
    """A delivery by itself. Without a bound a measure is told, and never speaks; `unmatched` has one."""

    rarest_class: ShareBound = Field(default=Bound(), description="share of the class that is the rarest")
    duplicates: ShareBound = Field(default=Bound(), description="share of the examples that repeat another")
    nulls: ShareBound = Field(default=Bound(), description="largest share of missing values in a field")
    unmatched: ShareBound = Field(
        default=Bound(max=_MAX_UNMATCHED),
        description="largest share, over the side tables, of examples that a table knows nothing of; at most "
        f"{_MAX_UNMATCHED:g} unless a bound is given",
    )
    age_s: Bound = Field(
        default=Bound(), description="seconds from the last example to the moment of the ingest"
    )

    @field_validator("unmatched")
    @classmethod
    def _is_bounded(cls, bound: Bound) -> Bound:
        """A severity alone leaves the bound as it is."""
        if bound.min is None and bound.max is None:
            return bound.model_copy(update={"max": _MAX_UNMATCHED})
        return bound


class Values(Config):
    """The dataset's values against the champion's, after the minimum frequency."""

    kept_values: ShareBound = Field(
        default=Bound(), description="smallest share, over the fields, of the champion's values that are left"
    )
    unknown: ShareBound = Field(
        default=Bound(), description="largest share, over the fields, of test examples out of vocabulary"
    )


class ExampleQuality(Config):
    """The `quality` section of a recipe that classifies."""

    expectations: tuple[Expectation, ...] = Field(default=(), description="expectations of your own")
    delivery: ExampleDelivery = Field(
        default=ExampleDelivery(), description="bounds for a delivery by itself"
    )
    previous: ExampleChanges = Field(
        default=ExampleChanges(), description="bounds against the last accepted delivery"
    )
    champion: ExampleChanges = Field(
        default=ExampleChanges(), description="bounds against the delivery that the champion learned from"
    )
    vocabulary: Values = Field(default=Values(), description="bounds for the dataset's values")
