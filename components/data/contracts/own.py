"""The recipe's own expectations: from its words to Great Expectations' objects."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from components.core.errors import InvalidInputError
from components.core.recipe.quality import Expectation
from components.data.contracts.checker import Checker, exception_of

_SEVERITY: Final = {"stop": "critical", "warn": "warning"}  # in the words of Great Expectations
_ABOUT_ALL_COLUMNS: Final = "expect_table_"
_ROW_COUNT: Final = "expect_table_row_count_to_be_between"
_MAY_BE_MISSING: Final = "expect_column_to_exist"
_NUM_ROWS: Final = 3  # of the tables that arguments are tried on


def load(expectation: Expectation) -> Any:
    """The object of Great Expectations that a recipe's expectation stands for.

    Raises:
        ValueError: its arguments are refused: one line each, from the argument's name on.
    """
    from pydantic.v1 import ValidationError

    from components.data.contracts.gx import get_expectation_impl

    kind = get_expectation_impl(expectation.expect)
    arguments, severity = expectation.arguments, _SEVERITY[expectation.severity]
    try:
        return kind(**arguments, severity=severity)
    except ValidationError as error:
        needs: dict[str, list[str]] = {}
        for details in error.errors():
            place = str(details["loc"][0])
            needs.setdefault("" if place == "__root__" else place, []).append(_lowered(details["msg"]))
        raise ValueError("\n".join(_line(arguments, *entry) for entry in needs.items())) from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"arguments: {_lowered(str(error))}") from error


def check(expectations: Sequence[Expectation], schemas: Mapping[str, pa.Schema]) -> None:
    """See before any work that every expectation can be asked: each is tried on a table of a few rows.

    Args:
        schemas: name of a table → the columns that it is going to have.

    Raises:
        InvalidInputError: some cannot: a line for each mistake, with its place in the recipe.
    """
    problems = []
    frames = {name: _few_rows(schema) for name, schema in schemas.items()}
    for expectation in expectations:
        schema = schemas[expectation.table]
        lines = [
            f"arguments.{argument}: got {column!r}, need one of the columns {', '.join(schema.names)}"
            for argument, column in _columns(expectation)
            if column not in schema.names
        ]
        if not lines:
            lines = _tried(expectation, frames[expectation.table])
        place = f"quality.expectations: {expectation.expect} over {expectation.table}: "
        problems += [place + line for line in lines]
    if problems:
        raise InvalidInputError("\n".join(problems))


def columns_of(expectations: Sequence[Expectation], names: Sequence[str]) -> list[str]:
    """Of the columns with these names, the ones that some expectations need to be asked."""
    needed = {column for expectation in expectations for _, column in _columns(expectation)}
    about_all = any(
        expectation.expect == _MAY_BE_MISSING
        or expectation.expect.startswith(_ABOUT_ALL_COLUMNS)
        or "row_condition" in expectation.arguments
        for expectation in expectations
    )
    return [name for name in names if about_all or name in needed]


def _tried(expectation: Expectation, frame: pd.DataFrame) -> list[str]:
    """What is wrong with the expectation, whatever the data. A condition on rows, which may leave none of
    the few, is tried by itself."""
    rest = dict(expectation.arguments)
    condition = {name: rest.pop(name) for name in ("row_condition", "condition_parser") if name in rest}
    lines = _tried_one(expectation.model_copy(update={"arguments": rest}), frame)
    if condition:
        count = Expectation(expect=_ROW_COUNT, arguments={"min_value": 0, **condition})
        lines += _tried_one(count, frame)
    return lines


def _tried_one(expectation: Expectation, frame: pd.DataFrame) -> list[str]:
    try:
        loaded = load(expectation)
    except ValueError as error:
        return str(error).splitlines()
    try:
        [found] = Checker("tried").check("tried", frame, [loaded])
        raised = exception_of(found)
    except Exception as error:  # whatever a metric made of an argument
        raised = f"{type(error).__name__}: {error}"
    return [f"arguments: got {expectation.arguments}: {raised}"] if raised else []


def _few_rows(schema: pa.Schema) -> pd.DataFrame:
    """Texts of digits, which are valid as JSON and as dates too, and numbers."""
    frame: pd.DataFrame = pa.table({field.name: _few_values(field.type) for field in schema}).to_pandas()
    return frame


def _few_values(kind: pa.DataType) -> pa.Array:
    """1, 2 and 3, or lists of one of them."""
    values = pa.array(range(1, _NUM_ROWS + 1))
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(range(_NUM_ROWS + 1), values.cast(kind.value_type))
    return values.cast(kind)


def _columns(expectation: Expectation) -> Collection[tuple[str, Any]]:
    """The columns that must be there for the expectation to be asked, with the arguments that name them."""
    if expectation.expect == _MAY_BE_MISSING or expectation.expect.startswith(_ABOUT_ALL_COLUMNS):
        return []
    arguments = expectation.arguments
    named = [(name, arguments[name]) for name in ("column", "column_A", "column_B") if name in arguments]
    several = arguments.get("column_list")
    return [*named, *(("column_list", column) for column in (several if isinstance(several, list) else []))]


def _line(arguments: Mapping[str, Any], argument: str, needs: Sequence[str]) -> str:
    wanted = " or ".join(dict.fromkeys(needs))
    if argument not in arguments:
        return f"arguments: {wanted}"
    return f"arguments.{argument}: got {arguments[argument]!r}: {wanted}"


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
