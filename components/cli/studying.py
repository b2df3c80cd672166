"""`recloop study`: a grid of runs, and its page."""

import os
from collections.abc import Sequence
from pathlib import Path

from components.core.errors import GateFailedError, InfrastructureError, InvalidInputError
from components.core.progress import error_console
from components.core.strategy import load_object
from components.study.conducting import Part
from components.study.page import as_file_name
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
        InfrastructureError: its workspace cannot be written to.
        GateFailedError: cells failed, which the page lists.
    """
    study = read_study(find_study(named), overrides)
    part = Part(
        data=_among("--data", data, tuple(study.data)),
        models=_among("--model", models, tuple(study.models)),
    )
    folder = study.folder / study.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = os.access(folder, os.W_OK)
    except OSError as error:
        raise InfrastructureError(f"workspace: {study.folder} cannot be made: {error.strerror}") from error
    if not free:
        raise InfrastructureError(f"workspace: {folder} cannot be written to")
    console = error_console()

    def tell(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    place = folder / "-".join(["results", *map(as_file_name, [*data, *models])])
    tell(
        f"{study.name}: {', '.join(part.data)}; {', '.join(part.models)}; the page will be {place}/README.md"
    )
    conduct, make_page = (
        load_object(f"components.study.{study.compares}.{name}")
        for name in ("conducting:conduct", "page:Page")
    )
    results = conduct(study, part, folder / "tuning", jobs=jobs, tell=tell)
    page = make_page(study, part, results, place)
    written: Path = page.write()
    for sentence in page.findings():
        tell(f"- {sentence}")
    failed = sum(bool(outcome.error) for outcome in results.outcomes.values())
    if failed:
        raise GateFailedError(f"{failed} of {len(results.outcomes)} cells failed; {written} lists them")
    return written


def _among(option: str, asked: Sequence[str], known: tuple[str, ...]) -> tuple[str, ...]:
    """In the study's order; all where nothing is asked for."""
    for name in asked:
        if name not in known:
            raise InvalidInputError(f"{option}: got {name!r}, need one of {list(known)}")
    return tuple(name for name in known if name in asked) if asked else known
