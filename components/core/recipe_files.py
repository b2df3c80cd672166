"""Which file a recipe's name means."""

import os
from collections.abc import Iterator
from pathlib import Path

from components.core.errors import InvalidInputError

_FOLDER = Path("pipelines") / "recipes"


def find(named: str) -> Path:
    """The file at a path, or that of the included recipe of that name.

    Raises:
        InvalidInputError: there is none.
    """
    return find_file(named, "recipe", _FOLDER)


def find_file(named: str, kind: str, folder: Path) -> Path:
    """The same for what else is included with the project, in a folder of its own."""
    path = Path(named).expanduser()
    if path.is_file():
        return path.absolute()
    known = included(folder)
    if named in known:
        return known[named]
    from components.core.recipe.mistakes import did_you_mean

    where = ", ".join(str(place) for place in _places(folder))
    raise InvalidInputError(
        f"{kind} {named!r}: there is no such file, nor a {kind} of that name in {where}"
        f"{did_you_mean(named, sorted(known))} (there: {', '.join(sorted(known)) or 'none'})"
    )


def included(folder: Path = _FOLDER) -> dict[str, Path]:
    """Files by name, recipes unless another folder is named; the first place that has one wins."""
    files = [path for place in _places(folder) for path in sorted(place.glob("*.y*ml"))]
    return {path.stem: path for path in reversed(files)}


def complete(incomplete: str) -> Iterator[str]:
    """Names for the shell's completion."""
    return (name for name in sorted(included()) if name.startswith(incomplete))


def _places(folder: Path) -> list[Path]:
    """The project's: $RECLOOP_HOME or the working directory; then the checkout that this package lies in."""
    homes = [Path(os.environ.get("RECLOOP_HOME") or "."), Path(__file__).parents[2]]
    return list(dict.fromkeys(home.absolute() / folder for home in homes))
