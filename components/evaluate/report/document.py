"""JSON documents as tables for people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from components.evaluate.report.charts import number


@final
@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text under a caption; `header` may be empty."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(document: Mapping[str, Any], caption: str) -> Iterator[Table]:
    """The scalars of `document` as one table, and each object or list of objects in it as another."""
    scalars = {key: value for key, value in document.items() if not _is_nested(value)}
    if scalars:
        yield Table(
            caption=caption, header=(), rows=[(words(key), text(value)) for key, value in scalars.items()]
        )
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from tables(value, words(key))
        elif _is_nested(value):
            header = list(dict.fromkeys(name for row in value for name in row))
            yield Table(
                caption=words(key),
                header=[words(name) for name in header],
                rows=[[text(row.get(name)) for name in header] for row in value],
            )


def flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf under its dotted key."""
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        elif _is_nested(value):
            for entry in value:
                yield f"{prefix}{key}", ", ".join(f"{name} {leaf}" for name, leaf in flat(entry))
        else:
            yield f"{prefix}{key}", text(value)


def words(key: str) -> str:
    """A key as words: `num_users` becomes "num users"."""
    return key.replace("_", " ")


def text(value: Any) -> str:
    """A scalar, or a list of them, as people write it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(text(entry) for entry in value) or "–"
    return str(value)


def _is_nested(value: Any) -> bool:
    return (isinstance(value, Mapping) and bool(value)) or (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and bool(value)
        and all(isinstance(entry, Mapping) for entry in value)
    )
