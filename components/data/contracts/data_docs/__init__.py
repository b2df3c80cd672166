"""Data Docs: what was checked of an artifact and what was found, as one page that needs no network.

Great Expectations words the expectations. Its own pages are not used: they load styles, fonts and scripts
from servers on the Internet, and spread over a page a table what is read together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from components.core.gates import Gate
from components.data.contracts.findings import instead, prose, shown, where_of

Fact = tuple[float | None, float | None, float | None]  # found, and its least and greatest allowed value
_ORDER: Final = ("stopped", "held", "warned", "passed")
_SCHEMA: Final = " schema"
_HERE: Final = Path(__file__).parent


@final
@dataclass(frozen=True)
class Line:
    """One check in words."""

    where: str
    expected: str
    found: str
    outcome: str


@final
@dataclass(frozen=True)
class Section:
    """The checks of one table."""

    name: str
    lines: Sequence[Line]

    @property
    def failed(self) -> int:
        """How many are not met."""
        return sum(line.outcome != "passed" for line in self.lines)


def expectations_section(name: str, results: Sequence[Any]) -> Section:
    """What Great Expectations found in a table, or in its schema: one row with a type for each column."""
    if name.endswith(_SCHEMA):
        return Section(name.removesuffix(_SCHEMA), [_type_line(found) for found in results])
    lines = [
        Line(
            where_of(found) or "the table",
            prose(found),
            instead(found),
            "passed" if found.success else "stopped",
        )
        for found in results
    ]
    return Section(name, lines)


def _type_line(found: Any) -> Line:
    outcome = "passed" if found.success else "stopped"
    allowed = found.expectation_config.kwargs.get("value_set")
    if allowed is None:
        return Line("the table", prose(found), instead(found), outcome)
    types = shown(found.result.get("partial_unexpected_list") or allowed)
    return Line(where_of(found), f"Is of type {shown(allowed)}.", types, outcome)


def facts_section(name: str, facts: Mapping[str, Fact]) -> Section:
    """What was counted across rows and tables, each with its bounds."""
    lines = [
        Line(
            fact,
            bounds(low, high),
            shown(value),
            "passed" if _within(value, low, high) else "stopped",
        )
        for fact, (value, low, high) in facts.items()
    ]
    return Section(name, lines)


def write_data_docs(
    directory: Path,
    artifact: str,
    gates: Sequence[Gate],
    sections: Sequence[Section],
    num_rows: Mapping[str, int],
    failures: Sequence[str],
) -> None:
    """Write `index.html` into `directory`, which is made.

    Args:
        sections: in the order of the checks; those of one name are put together.
        num_rows: name of a section → how many rows its table has.
        failures: a line for each check that stops the run.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    ordered = sorted(gates, key=lambda gate: _ORDER.index(gate.outcome))
    environment.filters |= {"shown": shown}
    page = environment.get_template("page.html.j2").render(
        style=(_HERE / "style.css").read_text(encoding="utf-8"),
        artifact=artifact,
        gates=ordered,
        bounds=bounds,
        sections=_by_table(sections),
        num_rows=num_rows,
        failures=failures,
        counts={outcome: sum(gate.outcome == outcome for gate in gates) for outcome in _ORDER},
    )
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "index.html").write_text(page, encoding="utf-8")


def bounds(low: float | None, high: float | None) -> str:
    """The values that are allowed; nothing where all are."""
    if low is None or high is None:
        return f"at most {shown(high)}" * (high is not None) + f"at least {shown(low)}" * (low is not None)
    return shown(low) if low == high else f"{shown(low)} to {shown(high)}"


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


def _by_table(sections: Sequence[Section]) -> list[Section]:
    """One section a table, those that failed first, and in each what failed first."""
    lines: dict[str, list[Line]] = {}
    for section in sections:
        lines.setdefault(section.name, []).extend(section.lines)
    merged = [
        Section(name, sorted(below, key=lambda line: line.outcome == "passed"))
        for name, below in lines.items()
    ]
    return sorted(merged, key=lambda section: section.failed == 0)
