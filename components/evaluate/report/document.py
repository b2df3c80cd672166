"""JSON documents as text for people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final


@final
@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text under a caption; `header` may be empty."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf under its dotted key; `kind` before its siblings, objects in a list on one line each."""
    for key, value in sorted(document.items(), key=lambda entry: entry[0] != "kind"):
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        elif isinstance(value, Sequence) and value and all(isinstance(entry, Mapping) for entry in value):
            for entry in value:
                yield f"{prefix}{key}", ", ".join(_leaf(name, leaf) for name, leaf in flat(entry))
        else:
            yield f"{prefix}{key}", text(value)


def words(key: str) -> str:
    """A key as words: `num_users` becomes "num users"."""
    return key.replace("_", " ")


def text(value: Any) -> str:
    """A scalar, or a list of them, as a recipe would hold it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(text(entry) for entry in value) or "–"
    return str(value)


def _leaf(key: str, value: str) -> str:
    return value if key == "kind" else f"{key} {value}"
