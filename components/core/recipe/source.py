"""Where interactions come from and how their rows are read."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from components.core.columns import ITEM_ID, PART, PARTS, POSITION, RATING, TIMESTAMP, USER_ID
from components.core.recipe.quality import Quality
from components.core.strategy import Config, Strategy, Unkeyed

Fraction = Annotated[float, Field(ge=0, le=1)]
ColumnRef = str | Annotated[int, Field(ge=0)]
TimestampUnit = Literal["s", "ms", "us", "iso8601"]
_OWN_NAMES = frozenset({USER_ID, ITEM_ID, RATING, TIMESTAMP, POSITION, PART})


class Columns(Config):
    """Which column is which: by header name, or by position from 0 in a file without a header."""

    user: ColumnRef = Field(default="user_id", description="the user's id")
    item: ColumnRef = Field(default="item_id", description="the item's id")
    rating: ColumnRef | None = Field(default=None, description="kept as a number, see prepare.min_rating")
    timestamp: ColumnRef | None = Field(default=None, description="when it happened, see timestamp_unit")
    features: dict[str, ColumnRef] = Field(default={}, description="kept as text: name in the table → column")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if self.user == self.item:
            raise ValueError(f"user and item: got {self.user!r} for both, need two columns")
        taken = sorted(_OWN_NAMES & self.features.keys())
        if taken:
            raise ValueError(f"features: got {taken}, need names other than {sorted(_OWN_NAMES)}")
        return self


class DelimitedFormat(Strategy):
    """CSV, TSV and their kin, gzipped (.gz) or plain."""

    implementation: ClassVar[str] = "components.data.formats.delimited:read"
    kind: Literal["delimited"] = "delimited"
    delimiter: str = Field(
        default=",", min_length=1, max_length=1, description='one character; a tab is "\\t" in YAML'
    )
    header: bool = Field(default=True, description="whether the first line names the columns")


class JsonLinesFormat(Strategy):
    """One JSON object a line, gzipped or plain."""

    implementation: ClassVar[str] = "components.data.formats.jsonlines:read"
    kind: Literal["jsonl"] = "jsonl"


class ParquetFormat(Strategy):
    """Parquet files."""

    implementation: ClassVar[str] = "components.data.formats.parquet:read"
    kind: Literal["parquet"] = "parquet"


class AdjacencyFormat(Strategy):
    """`user item item …` a line, separated by blanks, gzipped or plain."""

    implementation: ClassVar[str] = "components.data.formats.adjacency:read"
    kind: Literal["adjacency"] = "adjacency"
    ordered: bool = Field(
        default=False,
        description="the items of a line stand in the order of time, and a user on one line; each gets a "
        "`position`, which tells what came last where there are no timestamps",
    )


Format = Annotated[
    DelimitedFormat | JsonLinesFormat | ParquetFormat | AdjacencyFormat, Field(discriminator="kind")
]


class FilesSource(Strategy):
    """Files on disk or in S3. `path` is a file, a directory, a glob or an `s3://` prefix; a source that
    is already split names its `parts` instead."""

    implementation: ClassVar[str] = "components.ingest.files:read"
    kind: Literal["files"] = "files"
    path: Annotated[str | None, Unkeyed()] = Field(
        default=None,
        description="file, directory, glob or s3:// prefix",
    )
    parts: Annotated[dict[Literal["train", "valid", "test"], str] | None, Unkeyed()] = Field(
        default=None, description="a path for train, test and perhaps valid"
    )
    format: Format = Field(default=DelimitedFormat(), description="how a file is read")
    columns: Columns = Columns()
    ids: Literal["string", "integer"] = Field(
        default="string", description="strings stand as they are; integers sort and store smaller"
    )
    timestamp_unit: TimestampUnit = Field(
        default="s", description="what a timestamp counts since 1970, or ISO 8601 text"
    )
    max_id_length: Annotated[int, Field(ge=1)] = Field(default=256, description="a longer id is rejected")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.parts is None):
            raise ValueError("needs either `path` or `parts`, and not both")
        if self.parts is not None and not {"train", "test"} <= self.parts.keys():
            raise ValueError(f"parts: got {sorted(self.parts)}, need train and test (valid is optional)")
        if self.format.kind == "adjacency" and self.columns != Columns():
            raise ValueError("columns: an adjacency list has none to name; leave them out")
        return self

    def locations(self) -> dict[str, str]:
        """Input name → URI or pattern: `source`, or one for each given part."""
        if self.parts is None:
            assert self.path is not None
            return {"source": self.path}
        return {part: self.parts[part] for part in PARTS if part in self.parts}

    @property
    def ordered(self) -> bool:
        """Whether rows have a position."""
        return isinstance(self.format, AdjacencyFormat) and self.format.ordered


class SessionColumns(Config):
    """Which column is which: by header name, or by position from 0 in a file without a header."""

    session: ColumnRef = Field(default="session_id", description="the session's id: a visit, a basket")
    item: ColumnRef = Field(default="item_id", description="the item's id")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if self.session == self.item:
            raise ValueError(f"session and item: got {self.session!r} for both, need two columns")
        return self


class SessionsSource(Strategy):
    """What is seen together: sessions of anonymous visitors, one item a row, in any order.

    Two different items a and b of one session give the interactions (a, b) and (b, a). So the "users" are
    items too, as anchors: the model recommends, to who looks at a, what is seen together with a.
    """

    implementation: ClassVar[str] = "components.ingest.sessions:read"
    kind: Literal["sessions"] = "sessions"
    path: Annotated[str, Unkeyed()] = Field(description="file, directory, glob or s3:// prefix")
    format: DelimitedFormat | JsonLinesFormat | ParquetFormat = Field(
        default=DelimitedFormat(), discriminator="kind", description="how a file is read"
    )
    columns: SessionColumns = SessionColumns()
    ids: Literal["string", "integer"] = Field(
        default="string", description="of sessions and items: text as it stands, or integers"
    )
    max_id_length: Annotated[int, Field(ge=1)] = Field(default=256, description="a longer id is rejected")
    max_session_length: Annotated[int, Field(ge=2, le=10_000)] = Field(
        default=50, description="a session with more distinct items is left out: n items make n (n − 1) pairs"
    )
    min_count: Annotated[int, Field(ge=1)] = Field(
        default=1, description="a pair that is seen in fewer sessions is left out"
    )

    def locations(self) -> dict[str, str]:
        """Input name → URI or pattern."""
        return {"source": self.path}

    def files(self) -> FilesSource:
        """The same files as a source in which a session is a user."""
        columns = Columns(user=self.columns.session, item=self.columns.item)
        return FilesSource(
            path=self.path,
            format=self.format,
            columns=columns,
            ids=self.ids,
            max_id_length=self.max_id_length,
        )


class SyntheticSource(Strategy):
    """A seeded world with power-law popularity and planted taste clusters.

    Each user and item belongs to a cluster. A user's item is drawn from their own cluster with
    probability `affinity`, else from the whole catalogue, in both cases in proportion to popularity
    `rank ** -popularity_exponent`. So a model that finds the clusters beats popularity.
    """

    implementation: ClassVar[str] = "components.ingest.synthetic:read"
    kind: Literal["synthetic"] = "synthetic"
    num_users: Annotated[int, Field(ge=2)] = Field(default=2000, description="how many users")
    num_items: Annotated[int, Field(ge=2)] = Field(default=1000, description="how many items")
    interactions_per_user: Annotated[float, Field(ge=1)] = Field(default=40.0, description="on average")
    num_clusters: Annotated[int, Field(ge=1)] = Field(
        default=10, description="groups of users who like the same items"
    )
    popularity_exponent: Annotated[float, Field(ge=0, le=5)] = Field(
        default=0.8, description="0: all items alike; about 1: a long tail"
    )
    affinity: Fraction = Field(
        default=0.8, description="share of a user's interactions inside their own cluster"
    )

    def locations(self) -> dict[str, str]:
        """Nothing is read from outside."""
        return {}


Source = Annotated[FilesSource | SessionsSource | SyntheticSource, Field(discriminator="kind")]


class AnyIngestParams(Config):
    """Parameters of the ingest stage.

    Attributes:
        source: narrowed by the task.
    """

    source: Strategy
    max_rejected_fraction: Fraction = Field(
        default=0.01, description="more unusable rows than this share stop the run"
    )
    seed: int
    deliveries: Annotated[str, Unkeyed()] = Field(
        default="", description="URI below which the accepted deliveries lie"
    )
    model: Annotated[str, Unkeyed()] = Field(
        default="", description="whose champion's delivery to compare with"
    )
    tracking_uri: Annotated[str, Unkeyed()] = Field(default="", description="where it is registered")

    def identity(self) -> dict[str, Any]:
        """Without the seed for data that is only read: it changes nothing there."""
        document = super().identity()
        if self.source.kind != "synthetic":
            del document["seed"]
        return document


class IngestParams(AnyIngestParams):
    """Parameters of the ingest stage of a recipe that ranks."""

    task: Literal["ranking"] = "ranking"
    source: Source
    quality: Quality = Quality()
