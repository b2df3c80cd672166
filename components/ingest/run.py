"""From raw rows to distinct interactions: normalise, set aside what cannot be used, deduplicate."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa

from components.core.columns import CONTENT, FILE, LINE, PART, PARTS
from components.core.errors import GateFailedError, InvalidInputError
from components.core.progress import progress
from components.core.recipe import IngestParams
from components.core.stage import Context
from components.data.contracts.deliveries import rejected_gate
from components.data.contracts.interactions import schema
from components.data.contracts.own import check
from components.data.document import write_document
from components.data.interactions import Gathering
from components.data.parquet import TableWriter, write_table
from components.data.profile import describe
from components.ingest.batch import Batch
from components.ingest.rejected import RejectedRows, count_reasons, first_of

_NUM_REASONS = 5  # told in the gate's message


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
    rows_by_file: dict[str, int] = {}
    rejected = RejectedRows()
    gathering = Gathering(scratch)
    num_duplicates = 0
    sessions: Mapping[str, int] | None = None
    with progress("ingest", unit="rows") as shown:
        for batch in type(params.source).load()(params.source, inputs, params.seed):
            rows_by_file[batch.file] = rows_by_file.get(batch.file, 0) + len(batch)
            rejected.add(len(rows_by_file) - 1, batch.rows.rejected)
            gathering.add(_placed(batch, len(rows_by_file) - 1))
            num_duplicates += batch.num_duplicates
            sessions = batch.sessions or sessions
            shown.advance(len(batch), note=batch.file)
    num_rows = sum(rows_by_file.values())
    if not num_rows:
        raise InvalidInputError(f"no rows in {_told(inputs)}")
    num_distinct = 0
    with TableWriter(scratch / "interactions.parquet", columns) as writer:
        for distinct in gathering.distinct():
            rejected.add_clashes(distinct.clashes)
            writer.write(_named(distinct.frame))
            num_duplicates += distinct.num_duplicates
            num_distinct += len(distinct.frame)
    unusable = rejected.to_table(list(rows_by_file))
    write_table(unusable, output / "rejected.parquet")
    reasons = count_reasons(unusable)
    _check_share(unusable, reasons, num_rows, params.max_rejected_fraction)
    if not num_distinct:
        raise InvalidInputError(f"no usable rows in {_told(inputs)}")
    (scratch / "interactions.parquet").rename(output / "interactions.parquet")
    profile = {
        **describe(output / "interactions.parquet"),
        "rows": num_rows,
        "rows_by_file": rows_by_file,
        "rejected_rows": sum(reasons.values()),
        "rejected_by_reason": reasons,
        "duplicates_dropped": num_duplicates,
        "sessions": sessions,
    }
    write_document(profile, output / "profile.json")
    counted = ("rows", "rejected_rows", "duplicates_dropped", "interactions", "users", "items", "density")
    return {name: float(profile[name]) for name in counted}


def _placed(batch: Batch, file: int) -> pl.DataFrame:
    """Rows of a source with parts remember where they stand: a later part may clash with an earlier."""
    if batch.part is None:
        return batch.rows.frame.drop(LINE, strict=False)
    return batch.rows.frame.with_columns(
        pl.lit(PARTS.index(batch.part), pl.Int8).alias(PART), pl.lit(file, pl.Int32).alias(FILE)
    )


def _named(frame: pl.DataFrame) -> pa.Table:
    """The interactions table, in which a part has its name."""
    if PART in frame.columns:
        frame = frame.with_columns(pl.Series(PARTS).gather(frame[PART]).alias(PART))
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def _check_share(unusable: pa.Table, reasons: Mapping[str, int], num_rows: int, allowed: float) -> None:
    gate = rejected_gate(unusable.num_rows, num_rows, allowed)
    if gate.passed:
        return
    lines = [f"{gate.told}:"]
    for reason, count in islice(reasons.items(), _NUM_REASONS):
        first = first_of(unusable, reason)
        lines.append(f"  {count:,} × {reason}, as in {first[FILE]}:{first[LINE]}: {first[CONTENT]!r}")
    raise GateFailedError("\n".join(lines), [gate])


def _told(inputs: Mapping[str, Path]) -> str:
    names = [path.name for place in inputs.values() for path in sorted(place.rglob("*")) if path.is_file()]
    return ", ".join(names[:_NUM_REASONS]) + (" …" if len(names) > _NUM_REASONS else "")
