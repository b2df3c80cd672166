"""Where a stream comes from, and how it is put in order."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from components.core.recipe.example_quality import ExampleQuality, Values
from components.core.recipe.examples import ExamplesSource, FieldKind, Label
from components.core.recipe.quality import Expectation
from components.core.recipe.source import AnyIngestParams
from components.core.strategy import Config, Strategy, Unkeyed

STREAM_FIELDS: dict[str, FieldKind] = {"item": "categorical", "user": "categorical"}


class SyntheticStream(Strategy):
    """A seeded world of users and items with taste, and what happens in it one after the other.

    A user and an item have hidden factors and a bias each. An interaction's utility is their inner product
    plus noise; the classes are slices of the utility. Users and items come as often as Zipf's law says
    (`rank ** -popularity_exponent`).
    """

    implementation: ClassVar[str] = "components.ingest.synthetic_stream:read"
    kind: Literal["synthetic"] = "synthetic"
    num_interactions: Annotated[int, Field(ge=100)] = Field(
        default=40_000, description="how many interactions"
    )
    num_users: Annotated[int, Field(ge=2)] = Field(default=2000, description="how many users")
    num_items: Annotated[int, Field(ge=2)] = Field(default=500, description="how many items")
    num_classes: Annotated[int, Field(ge=2, le=10)] = Field(
        default=2, description="classes of the label, all alike frequent"
    )
    popularity_exponent: Annotated[float, Field(ge=0, le=5)] = Field(
        default=1.0, description="0: all users and items alike; about 1: a long tail"
    )
    noise: Annotated[float, Field(ge=0)] = Field(
        default=0.5, description="deviation of the noise, that of the utility being 1"
    )
    delivery: Annotated[int, Field(ge=1)] = Field(
        default=1, description="which part of the stream: the second one follows the first in time"
    )

    @property
    def missing(self) -> tuple[str, ...]:
        """Values that stand for none."""
        return ("",)

    @property
    def label(self) -> Label:
        """The classes by number."""
        return Label(classes=tuple(str(place) for place in range(self.num_classes)))

    def kinds(self) -> dict[str, FieldKind]:
        """Field → its kind."""
        return dict(STREAM_FIELDS)

    def locations(self) -> dict[str, str]:
        """Nothing is read from outside."""
        return {}


AnyStream = Annotated[ExamplesSource | SyntheticStream, Field(discriminator="kind")]


class IngestStreamParams(AnyIngestParams):
    """Parameters of the ingest stage of a recipe that follows a stream."""

    task: Literal["stream"] = "stream"
    source: AnyStream
    quality: ExampleQuality = ExampleQuality()


class PrepareStream(Config):
    """The `prepare` section of a recipe that follows a stream."""

    order: Literal["sort", "require"] = Field(
        default="sort",
        description="interactions are put in the order of their timestamps, those of one timestamp as they "
        "were read; or must have come so",
    )
    test_tail: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.2, description="share of the interactions, the last ones, over which a model is measured"
    )
    attempt: Annotated[int, Field(ge=1)] = Field(
        default=1, description="raise it to prepare a delivery again, for the champion that there is now"
    )


class PrepareStreamParams(PrepareStream):
    """Parameters of the prepare stage of a recipe that follows a stream."""

    task: Literal["stream"] = "stream"
    goes_on: bool = Field(description="whether what the champion has learned from is left out")
    classes: tuple[str, ...] = Field(description="the label's values")
    thresholds: tuple[float, ...] | None = Field(
        default=None, description="where the classes of numbers begin"
    )
    missing: tuple[str, ...] = Field(default=("",), description="raw values that stand for none, for serving")
    seed: int
    expectations: tuple[Expectation, ...] = Field(default=(), description="the recipe's, over these tables")
    vocabulary: Values = Values()
    model: Annotated[str, Unkeyed()] = Field(default="", description="whose champion to go on from")
    tracking_uri: Annotated[str, Unkeyed()] = Field(default="", description="where it is registered")
