"""The expectations that contracts are made of. Great Expectations takes seconds to import: only inside."""

import sys
from collections.abc import Collection, Sequence
from typing import Any, Final

_LARGEST: Final = sys.float_info.max
Expectation = Any


def not_null(column: str) -> Expectation:
    """Every row has a value; NaN is none."""
    from components.data.contracts.gx import expectations

    return expectations.ExpectColumnValuesToNotBeNull(column=column)


def between(column: str, low: float | None, high: float | None) -> Expectation:
    """Every value there is lies in [low, high]; None leaves a side open."""
    from components.data.contracts.gx import expectations

    return expectations.ExpectColumnValuesToBeBetween(column=column, min_value=low, max_value=high)


def finite(column: str) -> Expectation:
    """No value is infinite."""
    return between(column, -_LARGEST, _LARGEST)


def in_set(column: str, allowed: Collection[Any]) -> Expectation:
    """Every value there is is one of these."""
    from components.data.contracts.gx import expectations

    return expectations.ExpectColumnValuesToBeInSet(column=column, value_set=list(allowed))


def length_between(column: str, low: int, high: int) -> Expectation:
    """Every text has so many characters."""
    from components.data.contracts.gx import expectations

    return expectations.ExpectColumnValueLengthsToBeBetween(column=column, min_value=low, max_value=high)


def unique(*columns: str) -> Expectation:
    """No two rows agree in all these columns."""
    from components.data.contracts.gx import expectations

    if len(columns) == 1:
        return expectations.ExpectColumnValuesToBeUnique(column=columns[0])
    return expectations.ExpectCompoundColumnsToBeUnique(column_list=list(columns))


def row_count(low: int, high: int | None = None) -> Expectation:
    """The table has so many rows."""
    from components.data.contracts.gx import expectations

    return expectations.ExpectTableRowCountToBeBetween(min_value=low, max_value=high)


def exactly_columns(columns: Sequence[str]) -> Expectation:
    """These columns in this order."""
    from components.data.contracts.gx import expectations

    return expectations.ExpectTableColumnsToMatchOrderedList(column_list=list(columns))
