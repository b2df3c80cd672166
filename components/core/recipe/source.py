"""Where interactions come from and how their rows are read."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from components.core.columns import PARTS
from components.core.strategy import Config, Strategy, Unkeyed

Fraction = Annotated[float, Field(ge=0, le=1)]
ColumnRef = str | int


class Columns(Config):
    """Which column is which: by header name, or by position from 0 in a file without a header."""

    user: ColumnRef = "user_id"
    item: ColumnRef = "item_id"
    rating: ColumnRef | None = None
    timestamp: ColumnRef | None = None
    features: dict[str, ColumnRef] = Field(default={}, description="kept as text: name in the table → column")


class DelimitedFormat(Strategy):
    """CSV, TSV and their kin, gzipped (.gz) or plain."""

    implementation: ClassVar[str] = "components.data.formats.delimited:read"
    kind: Literal["delimited"] = "delimited"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    header: bool = True


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


Format = Annotated[
    DelimitedFormat | JsonLinesFormat | ParquetFormat | AdjacencyFormat, Field(discriminator="kind")
]


class FilesSource(Strategy):
    """Files on disk or in S3. `path` is a file, a directory, a glob or an `s3://` prefix; a source that
    is already split names its `parts` instead."""

    implementation: ClassVar[str] = "components.ingest.files:read"
    kind: Literal["files"] = "files"
    path: Annotated[str | None, Unkeyed()] = None
    parts: Annotated[dict[Literal["train", "valid", "test"], str] | None, Unkeyed()] = None
    format: Format = DelimitedFormat()
    columns: Columns = Columns()
    ids: Literal["string", "integer"] = "string"
    timestamp_unit: Literal["s", "ms", "us", "iso8601"] = "s"
    max_id_length: Annotated[int, Field(ge=1)] = 256

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.parts is None):
            raise ValueError("needs either `path` or `parts`, and not both")
        if self.parts is not None and not {"train", "test"} <= self.parts.keys():
            raise ValueError(f"parts: got {sorted(self.parts)}, need train and test (valid is optional)")
        return self

    def locations(self) -> dict[str, str]:
        """Input name → URI or pattern: `source`, or one for each given part."""
        if self.parts is None:
            assert self.path is not None
            return {"source": self.path}
        return {part: self.parts[part] for part in PARTS if part in self.parts}


class SyntheticSource(Strategy):
    """A seeded world with power-law popularity and planted taste clusters.

    Each user and item belongs to a cluster. A user's item is drawn from their own cluster with
    probability `affinity`, else from the whole catalogue, in both cases in proportion to popularity
    `rank ** -popularity_exponent`. So a model that finds the clusters beats popularity.
    """

    implementation: ClassVar[str] = "components.ingest.synthetic:read"
    kind: Literal["synthetic"] = "synthetic"
    num_users: Annotated[int, Field(ge=2)] = 2000
    num_items: Annotated[int, Field(ge=2)] = 1000
    interactions_per_user: Annotated[float, Field(ge=1)] = 40.0
    num_clusters: Annotated[int, Field(ge=1)] = 10
    popularity_exponent: Annotated[float, Field(ge=0, le=5)] = 0.8
    affinity: Fraction = 0.8

    def locations(self) -> dict[str, str]:
        """Nothing is read from outside."""
        return {}


Source = Annotated[FilesSource | SyntheticSource, Field(discriminator="kind")]


class IngestParams(Config):
    """Parameters of the ingest stage."""

    source: Source
    max_rejected_fraction: Fraction = Field(
        default=0.01, description="more unusable rows than this share stop the run"
    )
    seed: int
