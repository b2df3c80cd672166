"""A small study of sizes that really ran: its tables against the artifacts, and its page."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from components.core.errors import InvalidInputError
from components.core.recipe.stream import Esapn
from components.study.comparing import Comparison
from components.study.conducting import Part
from components.study.sizes import tables
from components.study.sizes.conducting import Results, conduct
from components.study.sizes.grid import Cell, Method, cells_of, recipe_of
from components.study.sizes.page import Page
from components.study.sizes.schema import SizesStudy

RECIPE = """\
name: small
task: stream
parameters: {classes: {default: 2}}
source: {kind: synthetic, num_interactions: 1500, num_users: 200, num_items: 60, num_classes: "${classes}"}
"""
NET = {"hidden": 8, "frequency_dim": 2, "num_frequencies": 20, "sizes": [2, 4, 8]}
PART = Part(data=("two", "three"), models=("MLP",))
NUM, TAIL = 1500, 300


def document(root: Path) -> dict[str, Any]:
    recipe = root / "small.yaml"
    recipe.write_text(RECIPE)
    return {
        "name": "trial",
        "compares": "sizes",
        "workspace": str(root / "studies"),
        "data": {
            "two": {"recipe": str(recipe)},
            "three": {"recipe": str(recipe), "parameters": {"classes": 3}},
        },
        "models": {"MLP": {"kind": "mlp", "hidden": 8}},
        "methods": {
            "FIXED": {"embedding": {"kind": "fixed", "size": 8}},
            "DARTS": {"embedding": {"kind": "darts", "sizes": [2, 4, 8]}},
            "ESAPN": {"embedding": {"kind": "esapn", **NET}},
        },
        "ours": "ESAPN",
        "fixed": "FIXED",
        "settings": [{"training": {"batch_size": 50, "learning_rate": 0.01}}],
        "seeds": [1, 2],
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def study(root: Path) -> SizesStudy:
    return SizesStudy.model_validate(document(root))


@pytest.fixture(scope="module")
def results(study: SizesStudy, root: Path) -> Results:
    found = conduct(study, PART, root, jobs=1, tell=lambda line: None)
    assert not [outcome.error for outcome in found.outcomes.values() if outcome.error]
    return found


@pytest.fixture(scope="module")
def two(study: SizesStudy, results: Results) -> Comparison:
    return tables.overall(study, results, PART)["two", "MLP"]


def test_every_method_runs_on_every_stream_with_every_seed(study: SizesStudy) -> None:
    cells = cells_of(study, PART)
    assert len(cells) == len(set(cells)) == 2 * 3 * 2
    searched = recipe_of(study, Cell("two", "MLP", Method("ESAPN"), 2))
    assert searched.search == Esapn.model_validate({"kind": "esapn", **NET})
    assert (searched.training_seed, searched.training.batch_size, searched.training.warm_start) == (
        2,
        50,
        "none",
    )
    fixed = recipe_of(study, Cell("three", "MLP", Method("FIXED"), 1))
    assert (fixed.search.kind, fixed.training.embedding.kind, fixed.training.model.hidden) == (
        "none",
        "fixed",
        8,
    )
    assert len(fixed.source.label.classes) == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"fixed": "DARTS"}, "fixed: 'DARTS' is of kind 'darts', need one of kind 'fixed'"),
        ({"ours": "FIXED"}, "ours: got 'FIXED', which is `fixed`; need another"),
        ({"ours": "NIS"}, "ours: got 'NIS', need one of ['FIXED', 'DARTS', 'ESAPN']"),
        ({"seeds": [1, 1]}, "seeds: got [1, 1], need each at most once"),
    ],
)
def test_mistakes_are_told(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as refused:
        SizesStudy.model_validate({**document(tmp_path), **change})
    assert told in str(refused.value)


def test_a_recipe_of_another_task_is_refused(tmp_path: Path) -> None:
    study = SizesStudy.model_validate({**document(tmp_path), "data": {"two": {"recipe": "demo"}}})
    with pytest.raises(InvalidInputError, match="recipe demo is of task 'ranking', need 'stream'"):
        recipe_of(study, Cell("two", "MLP", Method("ESAPN"), 1))


def test_two_classes_have_a_squared_error_and_several_a_cross_entropy(
    study: SizesStudy, results: Results
) -> None:
    overall = tables.overall(study, results, PART)
    assert [one.metrics for one in overall.values()] == [
        ["accuracy", "mse", "auc"], ["accuracy", "logloss", "auc"]
    ]  # fmt: skip
    for (data, _), one in overall.items():
        for method in one.methods:
            found = [results.of(data, "MLP", Method(method))[seed].metrics["evaluate"] for seed in (1, 2)]
            for metric in one.metrics:
                values = [metrics[metric] for metrics in found]
                assert one.mean(method, metric) == pytest.approx(np.mean(values))
                assert one.deviation(method, metric) == pytest.approx(np.std(values, ddof=1))


def test_memory_is_that_of_the_embeddings(study: SizesStudy, two: Comparison) -> None:
    table = tables.memory(study, two).set_index(["method", "side"])
    assert (table.loc["FIXED", "numbers_ratio"] == 1).all()
    assert table.loc["DARTS", "numbers_ratio"].tolist() == pytest.approx([14 / 8] * 2)
    for side in ("user", "item"):
        sizes = [
            pq.read_table(Path(outcome.places["model"]) / f"{side}_embeddings.parquet")["size"].to_numpy()
            for outcome in two.outcomes["ESAPN"].values()
        ]
        ours = table.loc[("ESAPN", side)]
        assert ours["numbers"] == pytest.approx(np.mean([size_N.sum() for size_N in sizes]))
        for size in (2, 4, 8):
            expected = np.mean([np.count_nonzero(size_N == size) for size_N in sizes])
            assert ours[f"size_{size}"] == pytest.approx(expected)
        assert ours["bytes"] >= 4 * ours["numbers"]
        assert ours["numbers_ratio"] < 1


@pytest.mark.parametrize("metric", ["accuracy", "mse"])
def test_the_bins_of_frequency_hold_the_whole_tail(two: Comparison, metric: str) -> None:
    table = tables.by_frequency(two, metric)
    for (method, _), rows in table.groupby(["method", "side"]):
        assert abs(rows["interactions"].sum() - TAIL) < len(tables.BINS)  # rounded, bin by bin
        mean = (rows["value"] * rows["interactions"]).sum() / rows["interactions"].sum()
        assert mean == pytest.approx(two.mean(str(method), metric), abs=0.01)


def test_sizes_by_frequency_are_means_over_the_tail(two: Comparison) -> None:
    table = tables.sizes_by_frequency(two.outcomes["ESAPN"])
    frames = [
        pq.read_table(Path(outcome.places["model"]) / "predictions.parquet").to_pandas()
        for outcome in two.outcomes["ESAPN"].values()
    ]
    together = pd.concat(frames)
    for _, row in table.iterrows():
        rows = together[together[f"{row['side']}_seen"] == row["seen"]]
        assert row["size"] == pytest.approx(rows[f"{row['side']}_size"].mean())
    assert table["seen"].max() <= tables.MOST


def test_a_course_goes_through_the_whole_stream_once(two: Comparison) -> None:
    for method in two.methods:
        course = tables.course(two.outcomes[method])
        assert course["interactions"].is_monotonic_increasing
        assert course["interactions"].iloc[-1] == NUM
        assert course["accuracy"].between(0, 1).all()


def test_speed_counts_search_and_training(study: SizesStudy, results: Results, two: Comparison) -> None:
    table = tables.speed(study, two).set_index("method")
    assert table.loc["FIXED", "ratio"] == 1
    outcomes = results.of("two", "MLP", Method("ESAPN")).values()
    rates = [
        NUM / (one.metrics["search"]["training_seconds"] + one.metrics["retrain"]["training_seconds"])
        for one in outcomes
    ]
    assert table.loc["ESAPN", "rate"] == pytest.approx(np.median(rates))


def test_every_table_and_figure_of_the_paper_has_its_section(
    study: SizesStudy, results: Results, tmp_path: Path
) -> None:
    page = Page(study, PART, results, tmp_path / "results")
    text = page.write().read_text()
    for title in (
        "In short",
        "Overall performance",
        "The lead, and how sure it is",
        "Memory",
        "Performance by frequency",
        "Size by frequency",
        "The course over time",
        "Speed",
        "Words",
    ):
        assert f"\n## {title}\n" in text
    for figure in ("frequency-two-MLP", "frequency-three-MLP", "growth", "course-two-MLP"):
        assert f"({figure}.svg)" in text
        assert (tmp_path / "results" / f"{figure}.svg").stat().st_size > 1000
    for sentence in page.findings():
        assert f"- {sentence}\n" in text
    again = Page(study, PART, results, tmp_path / "again")
    again.write()
    one, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("results", "again")
    )
    assert one == other
