"""The report's drawing: axes, ticks and numbers with known answers, and odd findings that must still show."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.recipe import EvaluateParams
from components.core.recipe.ranking_judgement import RankingEvaluation, RankingPromotion
from components.core.stage import Context
from components.data.parquet import write_table
from components.evaluate.ranking.run import run
from components.evaluate.report.axes import Axis, number
from components.evaluate.report.charts import bar_chart, histogram, line_chart
from components.evaluate.report.document import flat
from components.evaluate.report.wording import signed


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (12.0, "12"),
        (1234567, "1,234,567"),
        (0.25, "0.25"),
        (0.00005, "5e−05"),
        (106.0445, "106"),
        (59.453, "59.45"),
        (-0.4, "−0.4"),
    ],
)
def test_numbers_as_people_write_them(value, shown):
    assert number(value) == shown


def test_a_difference_has_a_real_sign():
    assert (signed(0.5), signed(-0.00234), signed(-1.25, 1)) == ("+0.5000", "−0.0023", "−1.2")


def test_axes_map_values_to_percent():
    assert [Axis(10, 20).at(value) for value in (10, 15, 20)] == [0, 50, 100]
    assert [Axis(1, 100, logarithmic=True).at(value) for value in (1, 10, 100)] == [0, 50, 100]


@pytest.mark.parametrize(
    ("axis", "labels"),
    [
        (Axis(0, 1), ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (Axis(3, 42), ["10", "20", "30", "40"]),
        (Axis(1, 1000, logarithmic=True), ["1", "10", "100", "1,000"]),
        (Axis(8, 60, logarithmic=True), ["10", "20", "50"]),
    ],
)
def test_ticks_are_round(axis, labels):
    assert [tick.label for tick in axis.ticks()] == labels


def test_epochs_are_whole():
    assert [tick.label for tick in Axis(1, 3).ticks(whole=True)] == ["1", "2", "3"]
    assert [tick.label for tick in Axis(0.5, 1.5).ticks(whole=True)] == ["1"]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_lie_on_the_axis_and_are_neither_few_nor_many(low, span, count):
    ticks = Axis(low, low + span).ticks(count)
    assert 1 <= len(ticks) <= count + 1
    assert all(-0.01 <= tick.at <= 100.01 for tick in ticks)


@given(st.lists(st.integers(-(10**6), 10**6).map(lambda value: value / 1000), min_size=1, max_size=200))
def test_every_point_of_a_line_is_inside_the_plot(values):
    points = [(float(epoch), value) for epoch, value in enumerate(values, 1)]
    (line,) = line_chart("title", "epoch", {"a": points}).lines
    corners = line.path.replace("M", "").replace("L", "").split()
    assert len(corners) == 2 * len(values)
    assert all(0 <= float(corner) <= 100 for corner in corners)
    assert len(line.marks) <= 60


def test_bars_are_in_proportion_and_tell_their_value():
    chart = bar_chart("title", "bin", "items", {"1": 10, "2–3": 5})
    assert chart.bars[0].y == pytest.approx(2 * chart.bars[1].y, abs=0.01)
    assert [bar.label for bar in chart.bars] == ["1: 10 items", "2–3: 5 items"]
    chart = histogram("title", "x", {"challenger": [0.5, 0.25], "champion": [0.0, 0.0]}, [0.0, 0.5, 1.0])
    assert chart.bars[0].label == "challenger, 0 to 0.5: 50.0% of the users"
    assert [line.name for line in chart.lines] == ["challenger", "champion"]


def test_a_configuration_is_flat_exact_and_starts_with_its_kind():
    document = {
        "a": {"rate": 5e-05, "kind": "x", "lr": 0.00125},
        "list": [{"beta": 0.75, "kind": "p"}],
        "none": None,
    }
    assert list(flat(document)) == [
        ("a.kind", "x"),
        ("a.rate", "5e-05"),
        ("a.lr", "0.00125"),
        ("list", "p, beta 0.75"),
        ("none", "–"),
    ]


def test_without_search_validation_or_hits_there_is_still_a_report_and_text_is_escaped(loop):
    """One user, whose only relevant item is ranked last; no validation, no search, a hostile source."""
    profile = json.loads((loop.interactions() / "profile.json").read_text())
    profile["rejected_by_reason"] = {"<script>alert('x')</script>": 2}
    inputs = {"interactions": loop.interactions(profile)}
    inputs["dataset"] = loop.dataset(["u", "v"], ["a", "b", "c"], [(0, 0), (1, 1)], [], [(0, 2)])
    loop.policy()
    policy = {"kind": "none", "patch": {}, "decision": {}, "best_epoch": 0, "epochs": 0}
    (loop.root / "policy" / "policy.json").write_text(json.dumps(policy))
    write_table(pa.table({"epoch": pa.array([], pa.int32())}), loop.root / "policy" / "trajectory.parquet")
    inputs["policy"] = loop.publish("policy", "search", ["dataset"], params={"search": {"kind": "none"}})
    loop.model(["u", "v"], ["a", "b", "c"], np.ones((2, 1)), np.array([[3.0], [2.0], [1.0]]))
    training = loop.root / "model" / "training.json"
    document = json.loads(training.read_text())
    document["training"]["warm_scale"] = 0.5
    users = {"rows": "user", "carried": 1000, "fresh": 20, "lost": 3, "reason": ""}
    document["warm_start"] = {"from": "champion", "champion_sha256": "0" * 64, "tensors": {"users": users}}
    document["warm_check"] = {
        "warm": {"value": 0.25, "epochs": 4, "best_epoch": 1},
        "cold": {"value": 0.125, "epochs": 9, "best_epoch": 6},
    }
    training.write_text(json.dumps(document))
    history = {"epoch": pa.array([1], pa.int32()), "train_loss": [0.5]}
    write_table(pa.table(history), loop.root / "model" / "history.parquet")
    inputs["model"] = loop.publish("model", "retrain", ["dataset", "policy"])
    params = EvaluateParams(
        evaluation=RankingEvaluation(ks=(1,)),
        promotion=RankingPromotion(metric="recall@1"),
        model="odd",
        tracking_uri=f"sqlite:///{loop.root}/mlflow.db",
    )
    output: Path = loop.folder("evaluation")
    assert run(params, inputs, output, Context(None))["recall@1"] == 0.0  # type: ignore[arg-type]
    report = (output / "report.html").read_text()
    assert "Nothing was searched" in report
    assert "Training began from the champion&#39;s weights. They were multiplied by 0.5." in report
    assert "NDCG@20 on validation: 0.2500 in 4 epochs; from random weights 0.1250 in 9 epochs." in report
    assert re.search(r"users</td>\s*<td>1,000</td>\s*<td>20</td>\s*<td>3</td>", report)
    assert "No champion yet" in report
    assert "<script" not in report
    assert "&lt;script&gt;alert" in report
