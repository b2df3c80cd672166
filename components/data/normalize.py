"""From rows as they stand in a file to rows of the interactions table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl

from components.core.columns import ITEM_ID, LINE, RATING, REASON, TIMESTAMP, USER_ID
from components.core.errors import InvalidInputError
from components.core.recipe.source import FilesSource
from components.data.formats.raw import RawBatch, Rejected, split_lines

# A fixed date, not today's: the same file is judged alike whenever it is read. What lies behind it is a
# wrong unit (milliseconds taken for seconds), not a clock that runs ahead.
END_OF_TIME: Final = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000}
_TEXT: Final = (pl.String, pl.Categorical, pl.Enum)
_Checks = list[tuple[pl.Expr, str]]


@dataclass(frozen=True)
class Rows:
    """Usable rows and the others.

    Attributes:
        frame: the columns of the interactions table, and `line` (int64) where rows come from files.
        rejected: with the reason why.
    """

    frame: pl.DataFrame
    rejected: Sequence[Rejected] = ()


def normalize(batch: RawBatch, source: FilesSource, name: str) -> Rows:
    """Give every column its type and set the rows apart that cannot be used; the first reason counts.

    Raises:
        InvalidInputError: a column as a whole has a wrong type; names all such columns.
    """
    values: list[pl.Expr] = []
    reasons: list[pl.Expr] = []
    problems: list[str] = []
    for column, kind in batch.frame.schema.items():
        try:
            value, checks = _column(column, kind, source)
        except TypeError as error:
            problems.append(f"{name}: {column}: got a column of type {kind}, need {error}")
            continue
        values.append(value.alias(column))
        reasons += [pl.when(bad).then(pl.lit(f"{column} {reason}")) for bad, reason in checks]
    if problems:
        raise InvalidInputError("\n".join(problems))
    rows = (
        batch.frame.lazy()  # lazily, so that a cast that several checks need is made once
        .select(*values, pl.coalesce(reasons).alias(REASON))
        .with_columns(batch.lines.alias(LINE))
        .collect()
    )
    usable = rows[REASON].is_null()
    if usable.all():
        return Rows(rows.drop(REASON), batch.rejected)
    bad = (~usable).arg_true().to_list()
    described = zip(rows[LINE][bad], rows[REASON][bad], batch.content(bad), strict=True)
    rejected = [part for line, reason, text in described for part in split_lines(line, reason, text)]
    return Rows(rows.filter(usable).drop(REASON), [*batch.rejected, *rejected])


def _column(column: str, kind: pl.DataType, source: FilesSource) -> tuple[pl.Expr, _Checks]:
    """A column's value, and what is wrong with it; TypeError says which type is needed."""
    if column in {USER_ID, ITEM_ID}:
        return _id(pl.col(column), kind, source)
    if column == RATING:
        return _rating(pl.col(column), kind)
    if column == TIMESTAMP:
        return _timestamp(pl.col(column), kind, source.timestamp_unit)
    if kind.is_nested():
        raise TypeError("single values")
    return pl.col(column).cast(pl.String), []


def _id(raw: pl.Expr, kind: pl.DataType, source: FilesSource) -> tuple[pl.Expr, _Checks]:
    if kind not in _TEXT and not kind.is_integer():
        raise TypeError("text or integers")
    text = raw.cast(pl.String)
    empty = (text.is_null() | (text.str.strip_chars() == ""), "is empty")
    if source.ids == "integer":
        number = raw.cast(pl.Int64, strict=False)
        return number, [empty, (number.is_null(), "is not an integer")]
    limit = source.max_id_length
    return text, [
        empty,
        (text.str.contains("\n", literal=True), "holds a line break; is a quote never closed?"),
        (text.str.len_chars() > limit, f"is longer than {limit} characters"),
    ]


def _rating(raw: pl.Expr, kind: pl.DataType) -> tuple[pl.Expr, _Checks]:
    if kind not in _TEXT and not kind.is_numeric() and kind != pl.Boolean:
        raise TypeError("numbers")
    number = raw.cast(pl.Float64, strict=False)
    return number, [(number.is_null() | ~number.is_finite(), "is not a number")]


def _timestamp(raw: pl.Expr, kind: pl.DataType, unit: str) -> tuple[pl.Expr, _Checks]:
    if kind == pl.Datetime or kind == pl.Date:
        seconds = raw.cast(pl.Datetime("us")).dt.epoch("s")
        return seconds, [(seconds.is_null(), "is empty"), *_in_time(seconds)]
    if unit == "iso8601":
        if kind not in _TEXT:
            raise TypeError("text or times, as `timestamp_unit` is iso8601")
        seconds = raw.cast(pl.String).map_batches(_from_iso8601, return_dtype=pl.Int64)
        return seconds, [(seconds.is_null(), "is not a time in ISO 8601"), *_in_time(seconds)]
    if kind not in _TEXT and not kind.is_numeric():
        raise TypeError("numbers or times")
    # Through float64: exact to 2**53, in microseconds the year 2255.
    number = raw.cast(pl.Float64, strict=False) / _PER_SECOND[unit]
    wrong = (number.is_null() | ~number.is_finite(), "is not a number")
    return number.floor().cast(pl.Int64, strict=False), [wrong, *_in_time(number)]


def _in_time(seconds: pl.Expr) -> _Checks:
    return [
        (seconds < 0, "is before 1970"),
        (seconds >= END_OF_TIME, "is in the far future (2100 or later); is `timestamp_unit` right?"),
    ]


def _from_iso8601(texts: pl.Series) -> pl.Series:
    return pl.Series(texts.name, [_seconds(text) for text in texts], dtype=pl.Int64)


def _seconds(text: str | None) -> int | None:
    """Seconds since 1970; a time without an offset is UTC."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return math.floor((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
