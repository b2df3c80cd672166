"""What was delivered, and what prepare made of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from components.core.columns import ENCODING, FIELD, KIND, OF, PARTS, SIZE
from components.data.fields import FIRST_VALUE
from components.evaluate.classification.report.findings import Findings
from components.evaluate.report.axes import number
from components.evaluate.report.document import Table, text, words


def data_tables(findings: Findings) -> Iterator[Table]:
    """Counts from delivery to dataset."""
    profile, preparation = findings.profile, findings.preparation
    yield _classes(findings)
    yield from delivered(profile)
    split = preparation["split"]
    told = {
        "examples that repeat another": number(profile["duplicates"]),
        "test examples with fields as one of train": number(preparation["equal_across_parts"]),
        "split": split["kind"],
        **{words(key): value for key, value in split.items() if key not in {"kind", "sizes"}},
        **{f"{when} example": told_time(time) for when, time in (profile["time_range"] or {}).items()},
    }
    yield Table(caption="Details", header=(), rows=[(key, text(value)) for key, value in told.items()])


def delivered(profile: Mapping[str, Any]) -> Iterator[Table]:
    """What became of the rows of a delivery."""
    steps = (
        ("rows delivered", profile["rows"]),
        ("− rejected", profile["rejected_rows"]),
        ("examples", profile["examples"]),
    )
    rows = [(name, number(count)) for name, count in steps if count or not name.startswith("−")]
    yield Table(caption="From delivery to dataset", header=("", "examples"), rows=rows)
    if profile["rejected_by_reason"]:
        counts = sorted(profile["rejected_by_reason"].items(), key=lambda entry: (-entry[1], entry[0]))
        rows = [(reason, number(count)) for reason, count in counts]
        yield Table(caption="Rejected rows", header=("reason", "rows"), rows=rows)


def field_table(findings: Findings) -> Table:
    """Values, and shares of examples in which a field is missing or train does not know its value."""
    rows = []
    for field in findings.table("dataset", "fields.parquet").to_pylist():
        found = findings.preparation["fields"][field[FIELD]]
        rows.append(
            (
                field[FIELD],
                words(field[KIND]),
                field[ENCODING],
                number(field[SIZE] - FIRST_VALUE) if field[OF] is None else f"of {field[OF]}",
                _percent(found["missing"]),
                _percent(found["unknown"]["train"]),
                _percent(found["unknown"]["test"]),
            )
        )
    header = ("field", "kind", "encoding", "values", "missing", "rare in train", "unknown in test")
    return Table(caption="Fields", header=header, rows=rows)


def _classes(findings: Findings) -> Table:
    counts = findings.preparation["class_counts"]
    rows = [
        (name, *(number(counts[part][name]) for part in PARTS)) for name in findings.preparation["classes"]
    ]
    return Table(caption="Classes by part", header=("class", *PARTS), rows=rows)


def _percent(share: float | None) -> str:
    if share is None:
        return "–"
    return "0" if share == 0 else f"{100 * share:.2f} %" if share >= 0.00005 else "< 0.01 %"


def told_time(iso8601: str) -> str:
    """A moment for reading."""
    return iso8601.replace("T", " ").replace("+00:00", " UTC")
