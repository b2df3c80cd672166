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
    path = Path(named).expanduser()
    if path.is_file():
        return path.absolute()
    known = included()
    if named in known:
        return known[named]
    from components.core.recipe.mistakes import did_you_mean

    where = ", ".join(str(folder) for folder in _folders())
    raise InvalidInputError(
        f"recipe {named!r}: there is no such file, nor a recipe of that name in {where}"
        f"{did_you_mean(named, sorted(known))} (there: {', '.join(sorted(known)) or 'none'})"
    )


def included() -> dict[str, Path]:
    """Recipes by name; the first folder that has one wins."""
    files = [path for folder in _folders() for path in sorted(folder.glob("*.y*ml"))]
    return {path.stem: path for path in reversed(files)}


def complete(incomplete: str) -> Iterator[str]:
    """Names for the shell's completion."""
    return (name for name in sorted(included()) if name.startswith(incomplete))


def _folders() -> list[Path]:
    """The project's: $RECLOOP_HOME or the working directory; then the checkout that this package lies in."""
    homes = [Path(os.environ.get("RECLOOP_HOME") or "."), Path(__file__).parents[2]]
    return list(dict.fromkeys(home.absolute() / _FOLDER for home in homes))
