"""The page of results that are made by hand."""

import pyarrow.parquet as pq
import pytest

from components.study.conducting import Part
from components.study.losses.grid import Cell, Method, cells_of
from components.study.losses.page import Page
from components.study.running import Outcome
from tests.unit.study.losses.conftest import World, spread

PART = Part(data=("tiny", "other"), models=("DeepFM", "NFM"))


@pytest.fixture
def full(world: World) -> World:
    for place, cell in enumerate(cells_of(world.study, PART)):
        searches = world.study.searches(cell.method.name) and not cell.method.taken_from
        world.put(cell, spread(0.1 * (place % 5), cell.seed), search=6.0 * searches)
    return world


def test_every_table_and_figure_of_the_paper_has_its_section(full: World) -> None:
    folder = full.root / "results"
    page = Page(full.study, PART, full.results, folder)
    text = page.write().read_text()
    for title in (
        "In short",
        "Overall comparison",
        "The lead, and how sure it is",
        "What the parts are worth",
        "Policies that are carried over",
        "Training time",
        "How often the controller learns",
        "What the controllers do",
        "Words",
    ):
        assert f"\n## {title}\n" in text
    for sentence in page.findings():
        assert f"- {sentence}\n" in text
    for figure in ("transfers", "times", "updates-tiny-DeepFM", "weights-tiny-DeepFM"):
        assert f"({figure}.svg)" in text
        assert (folder / f"{figure}.svg").stat().st_size > 1000
    cells = pq.read_table(folder / "cells.parquet").to_pandas()
    assert len(cells) == len(full.results.outcomes)
    fixed = cells[cells["method"] == "CE"]
    assert fixed["search_epochs"].isna().all()  # nothing was searched
    assert {"auc", "logloss", "ece", "calibration"} <= set(cells.columns)
    tables = {
        name: pq.read_table(folder / f"{name}.parquet").to_pandas() for name in ("overall", "transfers")
    }
    assert set(tables["overall"]["method"]) == set(full.study.comparison.methods)
    assert set(tables["transfers"]["data"]) == {"tiny", "other"}
    assert set(tables["transfers"]["model"]) == {"NFM", "DeepFM"}


def test_the_same_results_make_the_same_page(full: World) -> None:
    pages = [Page(full.study, PART, full.results, full.root / name) for name in ("one", "other")]
    for page in pages:
        page.write()
    one, other = (
        {path.name: path.read_bytes() for path in (full.root / name).iterdir()} for name in ("one", "other")
    )
    assert one == other


def test_it_says_how_many_cells_shared_the_machine(full: World) -> None:
    def text() -> str:
        return Page(full.study, PART, full.results, full.root / "results").write().read_text()

    assert "one cell ran at a time" in text()
    full.results.jobs = 2
    assert "2 cells ran beside each other" in text()


def test_what_did_not_run_has_no_section(world: World) -> None:
    for name in ("Focal", "CE"):
        world.put(Cell("tiny", "DeepFM", Method(name), 1), spread(0.1))
    world.results.outcomes[Cell("tiny", "DeepFM", Method("SLF"), 1)] = Outcome({}, {}, error="search: no")
    text = Page(world.study, PART, world.results, world.root / "results").write().read_text()
    assert "## Overall comparison" in text
    assert "- tiny / DeepFM / SLF / seed 1: search: no" in text
    for title in ("The lead", "What the parts", "Policies", "How often", "What the controllers"):
        assert f"## {title}" not in text
