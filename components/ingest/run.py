"""From raw rows to distinct interactions: normalise, set aside what cannot be used, deduplicate."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from components.core.columns import CONTENT, FILE, ITEM_ID, LINE, PART, PARTS, REASON, USER_ID
from components.core.errors import GateFailedError, InvalidInputError
from components.core.progress import progress
from components.core.recipe import IngestParams
from components.core.stage import Context
from components.data.document import write_document
from components.data.interactions import Distinct, Gathering
from components.data.parquet import write_table
from components.data.profile import describe
from components.ingest.batch import Batch

_MAX_CONTENT = 200  # characters of a rejected row that are kept
_NUM_REASONS = 5  # told in the gate's message
_REJECTED = pa.schema(
    [(FILE, pa.string()), (LINE, pa.int64()), (REASON, pa.string()), (CONTENT, pa.string())]
)


def run(
    params: IngestParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> Mapping[str, float]:
    """Write `interactions.parquet`, `rejected.parquet` and `profile.json`.

    Raises:
        InvalidInputError: a source cannot be read, or has no rows.
        GateFailedError: more rows than allowed cannot be used; `rejected.parquet` says which and why.
    """
    rows_by_file: dict[str, int] = {}
    rejected: list[pa.Table] = []
    gathering = Gathering()
    with progress("ingest", unit="rows") as shown:
        for batch in type(params.source).load()(params.source, inputs, params.seed):
            count = len(batch.rows.frame) + len(batch.rows.rejected)
            rows_by_file[batch.file] = rows_by_file.get(batch.file, 0) + count
            rejected.append(_rejected_table(batch.file, batch.rows.rejected))
            gathering.add(_placed(batch, len(rows_by_file) - 1))
            shown.advance(count, note=batch.file)
    num_rows = sum(rows_by_file.values())
    if not num_rows:
        raise InvalidInputError(f"no rows in {_told(inputs)}")
    distinct = gathering.distinct()
    rejected.append(_clash_table(distinct.clashes, list(rows_by_file)))
    unusable = _in_order(pa.concat_tables(rejected), list(rows_by_file))
    write_table(unusable, output / "rejected.parquet")
    _check_share(unusable, num_rows, params.max_rejected_fraction)
    if not len(distinct.frame):
        raise InvalidInputError(f"no usable rows in {_told(inputs)}")
    profile = _profile(distinct, unusable, rows_by_file)
    write_table(distinct.to_table(), output / "interactions.parquet")
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


def _rejected_table(file: str, rows: Sequence[tuple[int, str, str]]) -> pa.Table:
    lines, reasons, contents = zip(*rows, strict=True) if rows else ((), (), ())
    kept = [text[:_MAX_CONTENT] for text in contents]
    return pa.table([[file] * len(rows), list(lines), list(reasons), kept], schema=_REJECTED)


def _clash_table(clashes: pl.DataFrame, files: Sequence[str]) -> pa.Table:
    if clashes.is_empty():
        return _REJECTED.empty_table()
    return pa.table(
        [
            [files[file] for file in clashes[FILE]],
            clashes[LINE].to_list(),
            ["the pair stands in an earlier part"] * len(clashes),
            [f"{user}, {item}"[:_MAX_CONTENT] for user, item in clashes.select(USER_ID, ITEM_ID).iter_rows()],
        ],
        schema=_REJECTED,
    )


def _in_order(rejected: pa.Table, files: Sequence[str]) -> pa.Table:
    """By file, in the order of reading, and line."""
    place = pc.index_in(rejected[FILE], pa.array(files, pa.string()))
    order = pc.sort_indices(
        pa.table({FILE: place, LINE: rejected[LINE]}), sort_keys=[(FILE, "ascending"), (LINE, "ascending")]
    )
    return rejected.take(order)


def _check_share(unusable: pa.Table, num_rows: int, allowed: float) -> None:
    share = unusable.num_rows / num_rows
    if share <= allowed:
        return
    lines = [
        f"{unusable.num_rows:,} of {num_rows:,} rows ({share:.2%}) cannot be used; "
        f"max_rejected_fraction allows {allowed:.2%}:"
    ]
    rows = unusable.to_pylist()
    for reason, count in Counter(row[REASON] for row in rows).most_common(_NUM_REASONS):
        first = next(row for row in rows if row[REASON] == reason)
        lines.append(f"  {count:,} × {reason}, as in {first[FILE]}:{first[LINE]}: {first[CONTENT]!r}")
    raise GateFailedError("\n".join(lines))


def _profile(distinct: Distinct, unusable: pa.Table, rows_by_file: Mapping[str, int]) -> dict[str, Any]:
    rejected = Counter(unusable[REASON].to_pylist())
    return {
        **describe(distinct.frame),
        "rows": sum(rows_by_file.values()),
        "rows_by_file": dict(rows_by_file),
        "rejected_rows": unusable.num_rows,
        "rejected_by_reason": dict(rejected),
        "duplicates_dropped": distinct.num_duplicates,
    }


def _told(inputs: Mapping[str, Path]) -> str:
    names = [path.name for place in inputs.values() for path in sorted(place.rglob("*")) if path.is_file()]
    return ", ".join(names[:_NUM_REASONS]) + (" …" if len(names) > _NUM_REASONS else "")
