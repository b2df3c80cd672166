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
_ORDER: Final = ("stopped", "warned", "passed")
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
    """The checks of one table, those that failed first."""

    name: str
    lines: Sequence[Line]
    num_rows: int | None = None

    @property
    def failed(self) -> int:
        """How many are not met."""
        return sum(line.outcome != "passed" for line in self.lines)


def expectations_section(name: str, results: Sequence[Any], num_rows: int | None) -> Section:
    """What Great Expectations found in a table."""
    lines = [
        Line(
            where_of(found) or "the table",
            prose(found),
            instead(found),
            "passed" if found.success else "stopped",
        )
        for found in results
    ]
    return Section(name, _worst_first(lines), num_rows)


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
    return Section(name, _worst_first(lines))


def write_data_docs(
    directory: Path,
    artifact: str,
    gates: Sequence[Gate],
    sections: Sequence[Section],
    failures: Sequence[str],
) -> None:
    """Write `index.html` into `directory`, which is made.

    Args:
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
        sections=sorted(sections, key=lambda section: -section.failed),
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


def _worst_first(lines: Sequence[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: line.outcome == "passed")
