"""`recloop study`: a grid of runs, and its page."""

from collections.abc import Sequence
from pathlib import Path

from components.core.errors import GateFailedError, InvalidInputError
from components.core.progress import error_console
from components.study.conducting import Part, conduct
from components.study.page import Page, as_file_name
from components.study.reading import find_study, read_study


def run_study(
    named: str,
    overrides: Sequence[str],
    *,
    data: Sequence[str],
    models: Sequence[str],
    jobs: int,
) -> Path:
    """Run a study, or the part of it that is named, and write its page.

    Raises:
        InvalidInputError: the study is not valid, or has nothing of such a name.
    """
    study = read_study(find_study(named), overrides)
    part = Part(
        data=_among("--data", data, tuple(study.data)),
        models=_among("--model", models, tuple(study.models)),
    )
    folder = Path(study.workspace).absolute() / study.name
    folder.mkdir(parents=True, exist_ok=True)
    console = error_console()

    def tell(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    results = conduct(study, part, folder / "tuning", jobs=jobs, tell=tell)
    restricted = [*data, *models]
    page = Page(study, part, results, folder / "-".join(["results", *map(as_file_name, restricted)])).write()
    failed = sum(bool(outcome.error) for outcome in results.outcomes.values())
    if failed:
        raise GateFailedError(f"{failed} of {len(results.outcomes)} cells failed; {page} lists them")
    return page


def _among(option: str, asked: Sequence[str], known: tuple[str, ...]) -> tuple[str, ...]:
    """In the study's order; all where nothing is asked for."""
    for name in asked:
        if name not in known:
            raise InvalidInputError(f"{option}: got {name!r}, need one of {list(known)}")
    return tuple(name for name in known if name in asked) if asked else known
