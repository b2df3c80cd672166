"""From raw rows to distinct interactions: normalise, set aside what cannot be used, deduplicate."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa

from components.core.columns import FILE, LINE, PART, PARTS
from components.core.recipe import IngestParams
from components.core.stage import Context
from components.data.contracts.interactions.ranking import schema
from components.data.contracts.own import check
from components.data.document import write_document
from components.data.interactions import Gathering
from components.data.parquet import TableWriter
from components.data.profile import describe
from components.ingest.batch import Batch
from components.ingest.intake import Intake


def run(
    params: IngestParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> Mapping[str, float]:
    """Write `interactions.parquet`, `rejected.parquet` and `profile.json`.

    Raises:
        InvalidInputError: a source cannot be read, or has no rows; an expectation of the recipe cannot be
            asked.
        GateFailedError: more rows than allowed cannot be used; `rejected.parquet` says which and why.
    """
    columns = schema(params)
    check(params.quality.expectations, {"interactions": columns})
    with TemporaryDirectory(dir=output.parent) as scratch:
        return _ingest(params, inputs, output, columns, Path(scratch))


def _ingest(
    params: IngestParams, inputs: Mapping[str, Path], output: Path, columns: pa.Schema, scratch: Path
) -> Mapping[str, float]:
    intake, gathering = Intake(params, inputs), Gathering(scratch)
    num_duplicates = num_distinct = 0
    sessions: Mapping[str, int] | None = None
    for file, batch in intake.batches():
        gathering.add(_placed(batch, file))
        num_duplicates += batch.num_duplicates
        sessions = batch.sessions or sessions
    with TableWriter(scratch / "interactions.parquet", columns) as writer:
        for distinct in gathering.distinct():
            intake.rejected.add_clashes(distinct.clashes)
            writer.write(_named(distinct.frame))
            num_duplicates += distinct.num_duplicates
            num_distinct += len(distinct.frame)
    rows = intake.settle(output, num_distinct)
    (scratch / "interactions.parquet").rename(output / "interactions.parquet")
    profile = {
        **describe(output / "interactions.parquet"),
        **rows,
        "duplicates_dropped": num_duplicates,
        "sessions": sessions,
    }
    write_document(profile, output / "profile.json")
    counted = ("rows", "rejected_rows", "duplicates_dropped", "interactions", "users", "items", "density")
    return {name: float(profile[name]) for name in counted}


def _placed(batch: Batch, file: int) -> pl.DataFrame:
    """Rows of a source with parts remember where they stand: a later part may clash with an earlier."""
    if batch.part is None:
        return batch.rows.frame
    assert batch.rows.lines is not None
    return batch.rows.frame.with_columns(
        batch.rows.lines.alias(LINE),
        pl.lit(PARTS.index(batch.part), pl.Int8).alias(PART),
        pl.lit(file, pl.Int32).alias(FILE),
    )


def _named(frame: pl.DataFrame) -> pa.Table:
    """The interactions table, in which a part has its name."""
    if PART in frame.columns:
        frame = frame.with_columns(pl.Series(PARTS).gather(frame[PART]).alias(PART))
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
