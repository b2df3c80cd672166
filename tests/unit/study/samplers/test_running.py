"""Cells that another process is running."""

import shutil
from pathlib import Path

from components.core.store import open_store
from components.study.running import run_cells
from components.study.samplers.grid import Cell, Method, recipe_of
from components.study.samplers.schema import SamplersStudy


def test_two_studies_share_their_cells_out(study: SamplersStudy) -> None:
    """Who finds another one at a cell takes the next, and comes back to it when all others are done."""
    first, second = (Cell("tiny", "MF", Method(name, epochs=1), 1) for name in ("RNS", "PNS"))
    recipes = {cell: recipe_of(study, cell, {}) for cell in (first, second)}
    places = {cell: outcome.places["model"] for cell, outcome in run_cells(recipes, jobs=1)}
    for place in places.values():
        _remove(Path(place))
    running = run_cells(recipes, jobs=1)
    with open_store(places[first]).lock(places[first]):
        assert next(running)[0] == second
    (left,) = running
    assert left[0] == first
    assert not left[1].error
    assert not left[1].skipped


def _remove(artifact: Path) -> None:
    for path in (artifact, *artifact.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(artifact)
