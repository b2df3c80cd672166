"""Feature fields: which columns are asked for, and what their values become."""

from collections.abc import Mapping

import polars as pl

from components.core.recipe.examples import DeliveredHistory, ExamplesSource, Fields
from components.data.formats.raw import Wanted
from components.data.normalize import TEXT, Checks, number


def wanted(fields: Fields) -> dict[str, Wanted]:
    """Field → its column."""
    found = {name: Wanted(ref, "single") for name, ref in fields.categorical.items()}
    found |= {name: Wanted(ref, "number") for name, ref in fields.numeric.items()}
    several = fields.multi_valued.items()
    return found | {name: Wanted(field.column, "single", field.separator) for name, field in several}


def field_value(
    name: str, kind: pl.DataType, fields: Fields, source: ExamplesSource
) -> tuple[pl.Expr, Checks]:
    """A field's value, null where it is missing, and what is wrong with it; TypeError as in `Meaning`."""
    raw = pl.col(name)
    if kind == pl.Null:  # of a Parquet file in which it is missing in every row
        raw, kind = raw.cast(pl.String), pl.String()
    if name in fields.numeric:
        return _numeric(raw, kind, source)
    if name in fields.multi_valued:
        return _several(raw, kind, fields.multi_valued[name].separator, source)
    return one_value(raw, kind, source)


def one_value(raw: pl.Expr, kind: pl.DataType, source: ExamplesSource) -> tuple[pl.Expr, Checks]:
    """A value that stands for itself."""
    text = as_text(raw, kind)
    value = pl.when(~_is_missing(text, source)).then(text)
    return value, [(value.str.len_chars() > source.max_value_length, _too_long(source))]


def as_text(raw: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """A value as text; a whole number has no point, whatever type it came in, and NaN is none."""
    if kind in TEXT or kind.is_integer() or kind == pl.Boolean or kind.is_temporal():
        return raw.cast(pl.String)
    if not kind.is_numeric():
        raise TypeError("text, numbers or times")
    if kind.is_float():
        raw = raw.fill_nan(None)
    whole = raw.cast(pl.Int64, strict=False)
    return pl.when(raw == whole).then(whole.cast(pl.String)).otherwise(raw.cast(pl.String))


def _numeric(raw: pl.Expr, kind: pl.DataType, source: ExamplesSource) -> tuple[pl.Expr, Checks]:
    """A number; it is missing also where it is NaN in a column of numbers, or a number that stands for none,
    written otherwise."""
    if kind.is_float():
        raw = raw.fill_nan(None)
    value, checks = number(raw, kind)
    none = pl.Series(source.missing, dtype=pl.String).cast(pl.Float64, strict=False).drop_nulls()
    absent = _is_missing(raw.cast(pl.String), source) | value.is_in(none.implode()).fill_null(value=False)
    return pl.when(~absent).then(value), [(~absent & wrong, why) for wrong, why in checks]


def _several(
    raw: pl.Expr, kind: pl.DataType, separator: str, source: ExamplesSource
) -> tuple[pl.Expr, Checks]:
    """A list of values, in which none is missing; null for an empty one."""
    lists = _lists(raw, kind, separator, source)
    there = lists.list.eval(pl.element().filter(~_is_missing(pl.element(), source)))
    return _checked(there, source)


def behaviours(
    columns: Mapping[str, pl.DataType], history: DeliveredHistory, source: ExamplesSource
) -> dict[str, tuple[pl.Expr, Checks]]:
    """Of each column of a delivered history its last values, null where one is missing. All have as many as
    the first one: a text that stands for no value is one missing value where another column has one."""
    lists = {name: _lists(pl.col(name), kind, history.separator, source) for name, kind in columns.items()}
    single = pl.max_horizontal(listed.list.len().fill_null(0) for listed in lists.values()) == 1
    nothing = pl.lit([None], dtype=pl.List(pl.String))
    filled = {
        name: pl.when(single & (listed.list.len().fill_null(0) == 0)).then(nothing).otherwise(listed)
        for name, listed in lists.items()
    }
    first, found = next(iter(filled)), {}
    for name, listed in filled.items():
        differs = listed.list.len().fill_null(0) != filled[first].list.len().fill_null(0)
        last = listed.list.tail(history.length)
        there = last.list.eval(pl.when(~_is_missing(pl.element(), source)).then(pl.element()))
        value, checks = _checked(there, source)
        found[name] = value, [*checks, (differs, f"has not as many values as {first}")]
    return found


def _lists(raw: pl.Expr, kind: pl.DataType, separator: str, source: ExamplesSource) -> pl.Expr:
    if kind == pl.Null or kind == pl.List(pl.Null):  # of a Parquet file in which it is missing in every row
        return raw.cast(pl.List(pl.String))
    if isinstance(kind, pl.List | pl.Array):
        assert isinstance(kind.inner, pl.DataType)
        return raw.cast(pl.List(kind.inner)).list.eval(as_text(pl.element(), kind.inner))
    text = as_text(raw, kind)
    return pl.when(~_is_missing(text, source)).then(text.str.split(separator))


def _checked(there: pl.Expr, source: ExamplesSource) -> tuple[pl.Expr, Checks]:
    longest = there.list.eval(pl.element().str.len_chars()).list.max()
    return pl.when(there.list.len() > 0).then(there), [(longest > source.max_value_length, _too_long(source))]


def _is_missing(text: pl.Expr, source: ExamplesSource) -> pl.Expr:
    return text.is_null() | text.is_in(list(source.missing))


def _too_long(source: ExamplesSource) -> str:
    return f"is longer than {source.max_value_length} characters"
