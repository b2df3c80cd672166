"""What expectations found, in words: for messages, for gates and for pages."""

import math
import re
from collections.abc import Mapping
from numbers import Real
from string import Template
from textwrap import shorten
from typing import Any, Final

import numpy as np

from components.core.gates import Gate, Severity
from components.data.contracts.checker import exception_of

_NUM_SAMPLES: Final = 5
_NUM_LISTED: Final = 20
_LENGTH: Final = 400  # characters of an expectation in words
_WHOLE, _LARGE = 1e4, 1e15  # from where a number is shown without decimals, and in powers of ten
_LISTED: Final = re.compile(r"(\$\w+_\d+) (?=\$\w+_\d+)")  # the values of a list, which stand side by side
_CONDITION: Final = re.compile(r"PassThrough\('(.*?)'\)")
_SEVERITY: Final[Mapping[str, Severity]] = {"critical": "stop", "warning": "warn"}


def told(name: str, found: Any) -> str:
    """One failed expectation in a line: table, column, expectation, and what was found instead."""
    arguments = _arguments(found)
    columns = arguments.pop("column", None) or arguments.pop("column_list", None) or "rows"
    where = columns if isinstance(columns, str) else ", ".join(columns)
    asked = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    return f"{name}: {where}: {found.expectation_config.type}({asked}): {_instead(found)}"


def gate_of(table: str, found: Any) -> Gate:
    """The gate that an expectation is. Its value is the share of the values that are not as expected, or
    what was measured of all of them."""
    result, arguments = found.result, _arguments(found)
    value, low, high = result.get("observed_value"), arguments.get("min_value"), arguments.get("max_value")
    if "unexpected_percent" in result:
        percent = result["unexpected_percent"]
        value = None if percent is None else percent / 100
        low, high = None, round(1 - arguments.get("mostly", 1), 12)
    elif "value" in arguments:
        low = high = arguments["value"]
    return Gate(
        name=found.expectation_config.type,
        subject=f"{table}: {where_of(found)}" if where_of(found) else table,
        value=_number(value),
        low=_number(low),
        high=_number(high),
        severity=_SEVERITY[found.expectation_config.severity or "critical"],
        passed=bool(found.success),
        told=f"{prose(found).rstrip('.')}; found: {instead(found)}",
    )


def where_of(found: Any) -> str:
    """The columns that an expectation is about; nothing where it is about the whole table."""
    arguments = _arguments(found)
    if isinstance(arguments.get("column"), str):
        return str(arguments["column"])
    columns = [arguments[name] for name in ("column_A", "column_B") if name in arguments]
    several = arguments.get("column_list") if not _is_of_table(found) else None
    return ", ".join(map(str, columns or several or ()))


def prose(found: Any) -> str:
    """The expectation in Great Expectations' own words."""
    from components.data.contracts.gx import ExpectationConfiguration, InlineRenderer

    config = ExpectationConfiguration(
        type=found.expectation_config.type,
        kwargs={name: _beginning(value) for name, value in _arguments(found).items()},
    )
    for content in InlineRenderer(render_object=config).get_rendered_content():
        document = content.value.to_json_dict()
        table = document.get("table") or ()
        document = (document.get("header") or {}).get("value", document)  # of a table or a graph
        values = {name: shown(entry["value"]) for name, entry in (document.get("params") or {}).items()}
        template = _LISTED.sub(r"\1, ", document.get("template") or "")
        text = _CONDITION.sub(r"\1", Template(template).safe_substitute(values))
        if text and content.name != "atomic.prescriptive.failed":
            rows = [" ".join(shown(cell["value"]) for cell in row) for row in table]
            return shorten(text + f" ({'; '.join(rows)})" * bool(rows), _LENGTH, placeholder=" …")
    return str(found.expectation_config.type).removeprefix("expect_").replace("_", " ")


def instead(found: Any) -> str:
    """What was found, for people."""
    raised, result = exception_of(found), found.result
    if raised:
        return f"could not be checked: {raised}"
    if "unexpected_count" not in result:
        return shown(result.get("observed_value"))
    bad, count = result["unexpected_count"], result["element_count"] - (result.get("missing_count") or 0)
    if not bad:
        return f"all {count:,} values are so" if count else "no values"
    percent = result["unexpected_percent"]
    samples = ", ".join(map(shown, _distinct(result["partial_unexpected_list"])))
    return f"{bad:,} of {count:,} values ({percent:.3g} %) are not so" + f", such as {samples}" * bool(
        samples
    )


def shown(value: Any) -> str:
    """A value for people's eyes."""
    value = _plain(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):  # a count, mostly; an integer may be an id, and stays as it is
        whole = value.is_integer() or abs(value) >= _WHOLE
        return f"{value:,.0f}" if whole and abs(value) < _LARGE else f"{value:.4g}"
    if isinstance(value, Mapping):
        if "pass_through_filter" in value:
            return str(value["pass_through_filter"])
        return ", ".join(f"{name} {shown(below)}" for name, below in value.items())
    if isinstance(value, list | tuple | set):
        return ", ".join(map(shown, value)) or "none"
    return str(value)


def _instead(found: Any) -> str:
    raised, result = exception_of(found), found.result
    if raised:
        return f"could not be checked: {raised}"
    if "unexpected_count" not in result:
        return f"found {_plain(result.get('observed_value'))!r}"
    samples = ", ".join(repr(_plain(value)) for value in result["partial_unexpected_list"][:_NUM_SAMPLES])
    return f"{result['unexpected_count']:,} of {result['element_count']:,} values, such as {samples}"


def _beginning(value: Any) -> Any:
    """A list that is short enough to be worded: that takes a time that grows with its square."""
    if isinstance(value, list) and len(value) > _NUM_LISTED:
        return [*value[:_NUM_LISTED], f"… ({len(value):,} in all)"]
    return value


def _distinct(values: Any) -> list[Any]:
    """A few of the values that are there, each once."""
    seen: list[Any] = []
    for value in map(_plain, values):
        if value not in seen and value is not None and value == value:  # NaN is no sample
            seen.append(value)
    return seen[:_NUM_SAMPLES]


def _plain(value: Any) -> Any:
    """Without numpy's types."""
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value


def _arguments(found: Any) -> dict[str, Any]:
    return {key: value for key, value in found.expectation_config.kwargs.items() if key != "batch_id"}


def _is_of_table(found: Any) -> bool:
    return str(found.expectation_config.type).startswith("expect_table_")


def _number(value: Any) -> float | None:
    value = _plain(value)
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        return None
    return float(value)
