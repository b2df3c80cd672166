"""Raw files, one after the other."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from components.core.errors import InvalidInputError
from components.core.strategy import Strategy
from components.data.formats.raw import RawBatch, Wanted

logger = logging.getLogger(__name__)


def read_raw(
    format: Strategy,  # noqa: A002
    places: Mapping[str, Path],
    wanted: Mapping[str, Wanted],
) -> Iterator[tuple[str, str, RawBatch]]:
    """Every row of every file, in the order of the places and then of the files' names.

    Args:
        places: input name → its directory; the files stand below it in numbered folders.

    Yields:
        The input's name, the file's, and some of its rows.

    Raises:
        InvalidInputError: a file cannot be read; names it.
    """
    reader = type(format).load()
    for (place, path), name in _names(places).items():
        count = 0
        for batch in reader(format, path, name, wanted):
            count += len(batch.frame) + len(batch.rejected)
            yield place, name, batch
        if not count:
            logger.warning("%s: holds no rows", name)


def given(inputs: Mapping[str, Path], needed: Mapping[str, str]) -> dict[str, Path]:
    """The inputs that a source needs (its `locations`), in that order.

    Raises:
        InvalidInputError: one is missing.
    """
    missing = sorted(needed.keys() - inputs.keys())
    if missing:
        raise InvalidInputError(f"ingest: need the inputs {', '.join(missing)}, got {sorted(inputs)}")
    return {name: inputs[name] for name in needed}


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
