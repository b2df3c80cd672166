"""Where labelled examples come from and how their rows are read."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from components.core.columns import LABEL, PART, PARTS, ROW, TIMESTAMP
from components.core.recipe.example_quality import ExampleQuality
from components.core.recipe.judgement import Range
from components.core.recipe.source import (
    AnyIngestParams,
    ColumnRef,
    DelimitedFormat,
    JsonLinesFormat,
    ParquetFormat,
    TimestampUnit,
)
from components.core.strategy import Config, Strategy, Unkeyed

FieldKind = Literal["categorical", "numeric", "multi_valued", "history"]
LISTS: Final = frozenset({"multi_valued", "history"})  # kinds of which an example has several values
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
TableFormat = Annotated[DelimitedFormat | JsonLinesFormat | ParquetFormat, Field(discriminator="kind")]
TABLES: Final = ("table_1", "table_2", "table_3", "table_4")  # inputs of ingest
_OWN_NAMES: Final = frozenset({LABEL, TIMESTAMP, PART, ROW})


class Label(Config):
    """What is predicted."""

    column: ColumnRef = Field(default="label", description="by header name, or by position from 0")
    classes: Annotated[tuple[str, ...], Field(min_length=2, max_length=100)] = Field(
        default=("0", "1"), description="its values, in the order of the classes; any other is rejected"
    )
    thresholds: Annotated[tuple[float, ...], Field(min_length=1)] | None = Field(
        default=None,
        description="the label is a number, and its class the number of thresholds that it reaches: with [4] "
        "ratings from 4 on are the second of two classes",
    )
    range: Range = Field(
        default=Range(), description="where such a number must lie; a row with another one is rejected"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes: got {list(self.classes)}, need each value once")
        thresholds = self.thresholds
        if thresholds is None:
            if self.range != Range():
                raise ValueError("range: is of numbers, which need thresholds to become classes")
            return self
        if list(thresholds) != sorted(set(thresholds)):
            raise ValueError(f"thresholds: got {list(thresholds)}, need numbers that ascend")
        if len(self.classes) != len(thresholds) + 1:
            raise ValueError(
                f"classes: got {list(self.classes)}, need {len(thresholds) + 1} names, one more than there "
                "are thresholds"
            )
        return self


class MultiValued(Config):
    """A column that holds several values."""

    column: ColumnRef = Field(description="by header name, or by position from 0")
    separator: Annotated[str, Field(min_length=1)] = Field(default="|", description="between two values")


class Fields(Config):
    """Feature fields by name: which column, and what it holds."""

    categorical: dict[FieldName, ColumnRef] = Field(
        default={}, description="values that stand for themselves"
    )
    numeric: dict[FieldName, ColumnRef] = Field(default={}, description="numbers, which are put into buckets")
    multi_valued: dict[FieldName, MultiValued] = Field(default={}, description="several values in one column")

    def kinds(self) -> dict[str, FieldKind]:
        """Field → its kind."""
        found: dict[str, FieldKind] = dict.fromkeys(self.categorical, "categorical")
        return (
            found | dict.fromkeys(self.numeric, "numeric") | dict.fromkeys(self.multi_valued, "multi_valued")
        )

    def columns(self) -> dict[str, ColumnRef]:
        """Field → its column."""
        several = {name: field.column for name, field in self.multi_valued.items()}
        return {**self.categorical, **self.numeric, **several}


class SideTable(Config):
    """More about the values of one field: what is known of each user, of each item. A row that cannot be
    used is an error, since many examples may stand behind it."""

    path: Annotated[str, Unkeyed()] = Field(description="file, directory, glob or s3:// prefix")
    format: TableFormat = Field(default=DelimitedFormat(), description="how a file is read")
    field: FieldName = Field(description="the categorical field of the examples that the table is about")
    key: ColumnRef = Field(description="the table's column with the values of that field, each once")
    fields: Fields = Field(description="the table's columns")

    def identity(self) -> dict[str, Any]:
        """Without the path: what lies there is hashed."""
        return super().identity()


class AnyHistory(Config):
    """What a user did before an example. What he did once is a behaviour (AMER §2.1): a value of each of
    some categorical fields."""

    length: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=50, description="of a history: so many of its last behaviours"
    )


class EarlierExamples(AnyHistory):
    """The examples before an example's timestamp, of the same user; those of its own second are not known
    yet."""

    kind: Literal["earlier"] = "earlier"
    by: FieldName = Field(description="the categorical field of the examples that says whose history it is")
    fields: Annotated[tuple[FieldName, ...], Field(min_length=1)] = Field(
        description="categorical fields, those of tables too, whose values are a behaviour"
    )
    classes: tuple[str, ...] | None = Field(
        default=None, description="only examples of these classes are behaviours; all where none are given"
    )


class DeliveredHistory(AnyHistory):
    """Columns of the examples, each of which lists one field's values in the order of time."""

    kind: Literal["delivered"] = "delivered"
    columns: Annotated[dict[FieldName, ColumnRef], Field(min_length=1)] = Field(
        description="by the categorical field whose values a column lists; those of tables too"
    )
    separator: Annotated[str, Field(min_length=1)] = Field(default="|", description="between two values")

    @property
    def fields(self) -> tuple[FieldName, ...]:
        """Whose values are a behaviour."""
        return tuple(self.columns)


AnyHistoryConfig = Annotated[EarlierExamples | DeliveredHistory, Field(discriminator="kind")]


def history_of(field: str) -> str:
    """The name of the field that has the history of another's values."""
    return f"history_{field}"


class ExamplesSource(Strategy):
    """Labelled examples in files. `path` is a file, a directory, a glob or an `s3://` prefix; a source that
    is already split names its `parts` instead."""

    implementation: ClassVar[str] = "components.ingest.examples:read"
    kind: Literal["files"] = "files"
    path: Annotated[str | None, Unkeyed()] = Field(
        default=None, description="file, directory, glob or s3:// prefix"
    )
    parts: Annotated[dict[Literal["train", "valid", "test"], str] | None, Unkeyed()] = Field(
        default=None, description="a path for train, test and perhaps valid"
    )
    format: TableFormat = Field(default=DelimitedFormat(), description="how a file is read")
    label: Label = Label()
    fields: Fields = Field(description="the examples' feature fields")
    missing: tuple[str, ...] = Field(default=("",), description="values that stand for none")
    required: tuple[FieldName, ...] = Field(
        default=(), description="fields without whose value a row is rejected"
    )
    tables: Annotated[dict[FieldName, SideTable], Field(max_length=len(TABLES))] = Field(
        default={}, description="further tables whose columns are fields too"
    )
    history: AnyHistoryConfig | None = Field(
        default=None, description="what each example's user did before, for models that read it"
    )
    timestamp: ColumnRef | None = Field(default=None, description="when it happened, see timestamp_unit")
    timestamp_unit: TimestampUnit = Field(
        default="s", description="what a timestamp counts since 1970, or ISO 8601 text"
    )
    max_value_length: Annotated[int, Field(ge=1)] = Field(
        default=256, description="a row with a longer value is rejected"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = list(self._contradictions())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _contradictions(self) -> Iterator[str]:
        if (self.path is None) == (self.parts is None):
            yield "needs either `path` or `parts`, and not both"
        if self.parts is not None and not {"train", "test"} <= self.parts.keys():
            yield f"parts: got {sorted(self.parts)}, need train and test (valid is optional)"
        names = [name for fields in self._all_fields() for kinds in fields for name in kinds]
        names += self.histories()
        if not names:
            yield "fields: got none, need at least one"
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            yield f"fields: {twice} stand twice, need one name for each field"
        taken = sorted(_OWN_NAMES.intersection(names))
        if taken:
            yield f"fields: got {taken}, need names other than {sorted(_OWN_NAMES)}"
        leaking = sorted(
            name for name, column in self.fields.columns().items() if column == self.label.column
        )
        if leaking:
            yield f"fields: {leaking} are read from the label's column, {self.label.column!r}"
        unknown = sorted(set(self.required) - self.fields.columns().keys())
        if unknown:
            yield f"required: got {unknown}, need some of fields, {sorted(self.fields.columns())}"
        for name, table in self.tables.items():
            if table.field not in self.fields.categorical:
                allowed = sorted(self.fields.categorical)
                yield f"tables.{name}.field: got {table.field!r}, need one of fields.categorical, {allowed}"
        if self.history is not None:
            yield from self._wrong_in_history(self.history)

    def _wrong_in_history(self, history: EarlierExamples | DeliveredHistory) -> Iterator[str]:
        categorical = sorted(name for fields, *_ in self._all_fields() for name in fields)
        for name in history.fields:
            if name not in categorical:
                yield f"history: got the field {name!r}, need categorical fields, of {categorical}"
        if isinstance(history, DeliveredHistory):
            return
        if self.timestamp is None:
            yield "history.kind: got 'earlier', which needs timestamp"
        if len(set(history.fields)) < len(history.fields):
            yield f"history.fields: got {list(history.fields)}, need each once"
        if history.by not in self.fields.categorical:
            allowed = sorted(self.fields.categorical)
            yield f"history.by: got {history.by!r}, need one of fields.categorical, {allowed}"
        others = sorted(set(history.classes or ()) - set(self.label.classes))
        if others or history.classes == ():
            allowed = list(self.label.classes)
            yield f"history.classes: got {list(history.classes or ())}, need some of {allowed}"

    def _all_fields(self) -> list[tuple[dict[str, Any], ...]]:
        return [
            (fields.categorical, fields.numeric, fields.multi_valued)
            for fields in (self.fields, *(table.fields for table in self.tables.values()))
        ]

    def kinds(self) -> dict[str, FieldKind]:
        """Field → its kind, those of the tables too, by name: the order in which a recipe names fields is of
        no account."""
        found = self.fields.kinds()
        for table in self.tables.values():
            found |= table.fields.kinds()
        found |= dict.fromkeys(self.histories(), "history")
        return dict(sorted(found.items()))

    def histories(self) -> dict[str, str]:
        """Field that has a history → the field whose values stand in it."""
        return {} if self.history is None else {history_of(name): name for name in self.history.fields}

    @property
    def history_length(self) -> int:
        """How many behaviours a history has at most; 0 without histories."""
        return 0 if self.history is None else self.history.length

    def locations(self) -> dict[str, str]:
        """Input name → URI or pattern: `source`, or one for each given part; `table_1` … for tables."""
        tables = {name: table.path for name, table in zip(TABLES, self.tables.values(), strict=False)}
        if self.parts is None:
            assert self.path is not None
            return {"source": self.path, **tables}
        return {part: self.parts[part] for part in PARTS if part in self.parts} | tables

    def identity(self) -> dict[str, Any]:
        """Without any path."""
        tables = {name: table.identity() for name, table in self.tables.items()}
        return {**super().identity(), "tables": tables}


class SyntheticExamples(Strategy):
    """A seeded world of users and items with taste, in which labels follow from fields.

    A user and an item have hidden factors and a bias each. An example's utility is their inner product,
    plus what its context adds, plus noise; the classes are slices of the utility. Popular items and active
    users come more often (`rank ** -popularity_exponent`). Fields: user, item and device (categorical),
    price and hour (numeric), genres (multi-valued).
    """

    implementation: ClassVar[str] = "components.ingest.synthetic_examples:read"
    kind: Literal["synthetic"] = "synthetic"
    num_examples: Annotated[int, Field(ge=100)] = Field(default=40_000, description="how many examples")
    num_users: Annotated[int, Field(ge=2)] = Field(default=2000, description="how many users")
    num_items: Annotated[int, Field(ge=2)] = Field(default=500, description="how many items")
    num_classes: Annotated[int, Field(ge=2, le=10)] = Field(default=2, description="classes of the label")
    positive_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.2, description="of the second class where there are two; several classes are alike frequent"
    )
    popularity_exponent: Annotated[float, Field(ge=0, le=5)] = Field(
        default=0.8, description="0: all items alike; about 1: a long tail"
    )
    noise: Annotated[float, Field(ge=0)] = Field(
        default=0.5, description="deviation of the noise, that of the utility being 1"
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
        return {
            "device": "categorical",
            "genres": "multi_valued",
            "hour": "numeric",
            "item": "categorical",
            "price": "numeric",
            "user": "categorical",
        }

    def histories(self) -> dict[str, str]:
        """There are none."""
        return {}

    @property
    def history_length(self) -> int:
        """There are none."""
        return 0

    def locations(self) -> dict[str, str]:
        """Nothing is read from outside."""
        return {}


AnyExamples = Annotated[ExamplesSource | SyntheticExamples, Field(discriminator="kind")]


class IngestExamplesParams(AnyIngestParams):
    """Parameters of the ingest stage of a recipe that classifies."""

    task: Literal["classification"] = "classification"
    source: AnyExamples
    quality: ExampleQuality = ExampleQuality()
