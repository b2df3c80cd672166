"""How labelled examples are split, and how their fields become rows of embeddings."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from components.core.recipe.example_quality import Values
from components.core.recipe.examples import FieldKind, FieldName
from components.core.recipe.prepare import GivenSplit, RandomSplit, Ratio, TemporalSplit
from components.core.recipe.quality import Expectation
from components.core.strategy import Config, Unkeyed

CTR_RATIO: Final[Ratio] = (8.0, 1.0, 1.0)


class ValuesEncoding(Config):
    """A row for each value that is frequent enough in train; the others share the out-of-vocabulary row."""

    kind: Literal["values"] = "values"
    min_count: Annotated[int, Field(ge=1)] = Field(
        default=1, description="times that a value must occur in train"
    )


class HashedEncoding(Config):
    """A row for each of so many buckets of a hash: nothing is out of vocabulary, and values collide."""

    kind: Literal["hashed"] = "hashed"
    buckets: Annotated[int, Field(ge=2, le=1 << 28)] = Field(description="of the hash")


class QuantileEncoding(Config):
    """Buckets that hold about as many of train's numbers each."""

    kind: Literal["quantile"] = "quantile"
    buckets: Annotated[int, Field(ge=2, le=65_536)] = Field(default=10, description="at most so many")


class LogSquareEncoding(Config):
    """⌊ln² x⌋ for x above 2, and ⌊x⌋ up to there, as is usual on Criteo; each a bucket of its own where it
    is frequent enough in train, and the others share the out-of-vocabulary row."""

    kind: Literal["log2"] = "log2"
    min_count: Annotated[int, Field(ge=1)] = Field(
        default=1, description="times that a bucket must occur in train"
    )


CategoricalEncoding = Annotated[ValuesEncoding | HashedEncoding, Field(discriminator="kind")]
NumericEncoding = Annotated[QuantileEncoding | LogSquareEncoding, Field(discriminator="kind")]
AnyEncoding = ValuesEncoding | HashedEncoding | QuantileEncoding | LogSquareEncoding
Pooling = Literal["sum", "mean"]


class Encodings(Config):
    """How fields become rows of embeddings: by kind, and for single fields."""

    categorical: CategoricalEncoding = Field(default=ValuesEncoding(), description="of categorical fields")
    numeric: NumericEncoding = Field(default=QuantileEncoding(), description="of numeric fields")
    multi_valued: CategoricalEncoding = Field(
        default=ValuesEncoding(), description="of each value of multi-valued fields"
    )
    pooling: Pooling = Field(
        default="mean",
        description="what the embeddings of a multi-valued field's values become; those of a history where "
        "the model does not read it",
    )
    fields: dict[FieldName, Annotated[AnyEncoding, Field(discriminator="kind")]] = Field(
        default={}, description="of single fields, where it is another"
    )

    def of(self, name: str, kind: FieldKind) -> AnyEncoding:
        """How one field is encoded."""
        by_kind: AnyEncoding = getattr(self, kind)
        return self.fields.get(name, by_kind)


_NUMERIC: Final = frozenset({"quantile", "log2"})


def unfit(encodings: Encodings, kinds: dict[str, FieldKind]) -> Iterator[str]:
    """What is wrong with encodings for fields, one line each."""
    for name, encoding in encodings.fields.items():
        if name not in kinds:
            yield f"prepare.encodings.fields.{name}: there is no such field, need one of {sorted(kinds)}"
        elif kinds[name] == "history":
            yield f"prepare.encodings.fields.{name}: a history is encoded as the field whose values it has"
        elif (encoding.kind in _NUMERIC) != (kinds[name] == "numeric"):
            allowed = "quantile or log2" if kinds[name] == "numeric" else "values or hashed"
            yield (
                f"prepare.encodings.fields.{name}.kind: got {encoding.kind!r}, but the field is "
                f"{kinds[name]}, need {allowed}"
            )


class RandomExamples(RandomSplit):
    """Examples at random in the proportions train : valid : test; those whose fields are all alike stay
    together."""

    implementation: ClassVar[str] = "components.data.example_splits:random"
    ratio: Ratio = Field(default=CTR_RATIO, description="train : valid : test")


class TemporalExamples(TemporalSplit):
    """The oldest examples train, the newest test. Needs timestamps."""

    implementation: ClassVar[str] = "components.data.example_splits:temporal"
    ratio: Ratio = Field(default=CTR_RATIO, description="train : valid : test")


class GivenExamples(GivenSplit):
    """The source's own parts. Without a valid part, `valid_fraction` of train is set aside at random."""

    implementation: ClassVar[str] = "components.data.example_splits:given"
    valid_fraction: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.1, description="share of train that validates where the source has no valid part"
    )


ExampleSplit = Annotated[RandomExamples | TemporalExamples | GivenExamples, Field(discriminator="kind")]


class PrepareExamples(Config):
    """The `prepare` section of a recipe that classifies."""

    split: ExampleSplit = Field(default=RandomExamples(), description="how train, valid and test come apart")
    encodings: Encodings = Field(default=Encodings(), description="how fields become rows of embeddings")


class PrepareExamplesParams(PrepareExamples):
    """Parameters of the prepare stage of a recipe that classifies."""

    task: Literal["classification"] = "classification"
    kinds: dict[str, FieldKind] = Field(description="field → what it holds")
    histories: dict[str, str] = Field(
        default={}, description="field that has a history → the field whose values stand in it"
    )
    history_length: int = Field(default=0, description="behaviours in a history, at most")
    classes: tuple[str, ...] = Field(description="the label's values")
    missing: tuple[str, ...] = Field(default=("",), description="raw values that stand for none, for serving")
    seed: int
    expectations: tuple[Expectation, ...] = Field(default=(), description="the recipe's, over these tables")
    vocabulary: Values = Values()
    model: Annotated[str, Unkeyed()] = Field(
        default="", description="whose champion's dataset to compare with"
    )
    tracking_uri: Annotated[str, Unkeyed()] = Field(default="", description="where it is registered")

    def encoding_of(self, name: str) -> AnyEncoding:
        """How a field is encoded: a history as the field whose values it has."""
        name = self.histories.get(name, name)
        return self.encodings.of(name, self.kinds[name])
