"""Interactions from files."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from components.core import columns
from components.core.errors import InvalidInputError
from components.core.recipe.source import FilesSource
from components.data.normalize import normalize
from components.ingest.batch import Batch

logger = logging.getLogger(__name__)
_RESERVED = {
    columns.USER_ID, columns.ITEM_ID, columns.RATING, columns.TIMESTAMP, columns.PART,
    columns.FILE, columns.LINE, columns.REASON, columns.USER, columns.ITEM,
}  # fmt: skip


def read(source: FilesSource, inputs: Mapping[str, Path], seed: int) -> Iterator[Batch]:
    """Every row of every file, in the order of the parts and then of the files' names.

    Args:
        inputs: `source`, or one directory for each part; the files stand below it in numbered folders.
        seed: not needed; every source takes one.

    Raises:
        InvalidInputError: a file cannot be read; names it.
    """
    taken = sorted(_RESERVED & source.columns.features.keys())
    if taken:
        raise InvalidInputError(f"source.columns.features: got {taken}, need other names: these are taken")
    missing = sorted(source.locations().keys() - inputs.keys())
    if missing:
        raise InvalidInputError(f"ingest: need the inputs {', '.join(missing)}, got {sorted(inputs)}")
    named = _names({name: inputs[name] for name in source.locations()})
    reader = type(source.format).load()
    for (part, path), name in named.items():
        count = 0
        for raw in reader(source.format, path, name, source.columns):
            rows = normalize(raw, source, name)
            count += len(rows.frame) + len(rows.rejected)
            yield Batch(name, None if source.parts is None else part, rows)
        if not count:
            logger.warning("%s: holds no rows", name)


def _names(places: Mapping[str, Path]) -> dict[tuple[str, Path], str]:
    """What to call each file: its name, with what tells it apart before it where two have the same."""
    files = [
        (part, path) for part, place in places.items() for path in sorted(place.rglob("*")) if path.is_file()
    ]
    count = Counter(path.name for _, path in files)
    return {
        (part, path): path.name if count[path.name] == 1 else f"{part}/{path.parent.name}/{path.name}"
        for part, path in files
    }
