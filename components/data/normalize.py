"""From rows as they stand in a file to rows of a table."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl

from components.core.errors import InvalidInputError
from components.data.formats.raw import RawBatch, Rejected, split_lines

# A fixed date, not today's: the same file is judged alike whenever it is read. What lies behind it is a
# wrong unit (milliseconds taken for seconds), not a clock that runs ahead.
END_OF_TIME: Final = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
TEXT: Final = (pl.String, pl.Categorical, pl.Enum)
_USABLE: Final = "usable"
_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000}
Checks = list[tuple[pl.Expr, str | pl.Expr]]  # where a row cannot be used, and why, without the column's name
Meaning = Callable[[str, pl.DataType], tuple[pl.Expr, Checks]]


@dataclass(frozen=True)
class Rows:
    """Usable rows and the others.

    Attributes:
        frame: the columns of the interactions table.
        rejected: with the reason why.
        lines: on which the usable rows start, int64; None where they come from no file.
    """

    frame: pl.DataFrame
    rejected: Sequence[Rejected] = ()
    lines: pl.Series | None = None


def normalize(batch: RawBatch, meaning: Meaning, name: str) -> Rows:
    """Give every column its type and set the rows apart that cannot be used; the first reason counts.

    Args:
        meaning: from a column's name and type to its value and what may be wrong with it; TypeError says
            which type is needed.
        name: of the file.

    Raises:
        InvalidInputError: a column as a whole has a wrong type; names all such columns.
    """
    values: list[pl.Expr] = []
    bad: list[pl.Expr] = []
    reasons: list[pl.Expr] = []
    problems: list[str] = []
    for column, kind in batch.frame.schema.items():
        try:
            value, checks = meaning(column, kind)
        except TypeError as error:
            problems.append(f"{name}: {column}: got a column of type {kind}, need {error}")
            continue
        values.append(value.alias(str(len(values))))  # by number: a column may have any name
        for wrong, why in checks:
            told = pl.lit(why) if isinstance(why, str) else why
            bad.append(wrong.fill_null(value=False))
            reasons.append(pl.when(wrong).then(pl.lit(f"{column} ") + told))
    if problems:
        raise InvalidInputError("\n".join(problems))
    # lazily, so that a cast that several checks need is made once
    rows = batch.frame.lazy().select(*values, (~pl.any_horizontal(bad)).alias(_USABLE)).collect()
    usable = rows.drop_in_place(_USABLE)
    rows.columns = batch.frame.columns
    if usable.all():
        return Rows(rows, batch.rejected, batch.lines)
    places = (~usable).arg_true().to_list()
    reason = batch.frame[places].select(pl.coalesce(reasons)).to_series()
    described = zip(batch.lines[places], reason, batch.content(places), strict=True)
    rejected = [part for line, why, text in described for part in split_lines(line, why, text)]
    return Rows(rows.filter(usable), [*batch.rejected, *rejected], batch.lines.filter(usable))


def number(raw: pl.Expr, kind: pl.DataType) -> tuple[pl.Expr, Checks]:
    """Finite numbers; null is none."""
    if kind not in TEXT and not kind.is_numeric() and kind != pl.Boolean:
        raise TypeError("numbers")
    value = raw.cast(pl.Float64, strict=False)
    return value, [(value.is_null() | ~value.is_finite(), "is not a number")]


def timestamp(raw: pl.Expr, kind: pl.DataType, unit: str) -> tuple[pl.Expr, Checks]:
    """Seconds since 1970, from what `unit` counts or from ISO 8601 text."""
    if kind == pl.Datetime or kind == pl.Date:
        seconds = raw.cast(pl.Datetime("us")).dt.epoch("s")
        return seconds, [(seconds.is_null(), "is empty"), *_in_time(seconds)]
    if unit == "iso8601":
        if kind not in TEXT:
            raise TypeError("text or times, as `timestamp_unit` is iso8601")
        seconds = raw.cast(pl.String).map_batches(_from_iso8601, return_dtype=pl.Int64)
        return seconds, [(seconds.is_null(), "is not a time in ISO 8601"), *_in_time(seconds)]
    if kind not in TEXT and not kind.is_numeric():
        raise TypeError("numbers or times")
    # Through float64: exact to 2**53, in microseconds the year 2255.
    value = raw.cast(pl.Float64, strict=False) / _PER_SECOND[unit]
    wrong = (value.is_null() | ~value.is_finite(), "is not a number")
    return value.floor().cast(pl.Int64, strict=False), [wrong, *_in_time(value)]


def _in_time(seconds: pl.Expr) -> Checks:
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
