"""The evaluate stage of a classifier: its probabilities, the decision, and what it leaves behind."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from components.core.errors import GateFailedError, InvalidInputError
from components.core.recipe.example_preparation import Encodings
from components.core.verdict import ExampleVerdict, read_verdict
from components.data.parquet import read_table
from components.metrics.classification import measure, reliability
from tests.unit.conftest import Loop
from tests.unit.evaluate.example_world import HASHED, NUM, VALID, World


@pytest.fixture
def world(loop: Loop) -> World:
    return World(loop).publish()


def said(world: World, **changes: Any) -> tuple[np.ndarray, Callable[[str], np.ndarray], ExampleVerdict]:
    """Labels, a column of probabilities, and the verdict of an evaluation."""
    output = world.evaluate(**changes)
    table = read_table(output / "per_example.parquet")
    verdict = read_verdict(output / "verdict.json")
    assert isinstance(verdict, ExampleVerdict)
    return table["label"].to_numpy(), lambda name: np.array(table[name].to_pylist()), verdict


@pytest.mark.parametrize("classes", [("no", "yes"), ("1", "2", "3")])
def test_probabilities_are_those_of_a_slow_model_and_metrics_follow_from_them(loop, classes):
    world = World(loop, classes).publish()
    label, column, verdict = said(world)
    expected = world.model_of.probabilities(world.columns)[VALID:]
    assert column("probability") == pytest.approx(expected, abs=1e-5)
    assert label.tolist() == world.label[VALID:].tolist()
    found = measure(column("probability"), label)
    assert {name: one.challenger for name, one in verdict.metrics.items()} == pytest.approx(found)
    prior = np.bincount(world.label[:380]) / 380
    assert verdict.metrics["logloss"].prior == pytest.approx(-np.log(prior[label]).mean())
    assert verdict.metrics["auc"].prior == 0.5
    assert (verdict.rule, verdict.promote, verdict.champion) == ("first", True, None)
    for row in read_table(world.loop.root / "evaluation" / "metrics.parquet").to_pylist():
        assert row["value"] == verdict.metrics[row["metric"]].challenger
        assert (row["num_examples"], row["champion_value"]) == (NUM - VALID, None)


def test_a_champion_with_another_vocabulary_answers_as_when_served(world):
    theirs = world.make(HASHED, seed=9, train=100)
    world.inputs["champion"] = world.model(theirs, "old_model")
    label, column, verdict = said(world)
    assert column("champion_probability") == pytest.approx(
        theirs.probabilities(world.columns)[VALID:], abs=1e-5
    )
    assert verdict.champion == pytest.approx(measure(column("champion_probability"), label)["auc"])
    assert verdict.comparisons["champion"]["auc"].low > 0  # it knows nothing of the labels
    assert verdict.promote
    assert verdict.champion_version is None  # nothing is registered


def test_the_same_model_as_champion_ties_and_is_not_promoted(world):
    world.inputs["champion"] = world.inputs["model"]
    _, _, verdict = said(world)
    assert (verdict.challenger, verdict.promote) == (verdict.champion, False)
    for found in verdict.comparisons["champion"].values():
        assert (found.difference, found.low, found.high) == (0, 0, 0)
    assert {found.difference for found in verdict.slices} <= {0, None}


def test_calibration_is_told_bin_by_bin(world):
    label, column, _ = said(world)
    rows = read_table(world.loop.root / "evaluation" / "calibration.parquet").to_pylist()
    mine = [row for row in rows if row["model"] == "challenger"]
    examples, predicted, observed = reliability(column("probability")[:, 1], label == 1)
    assert sum(row["examples"] for row in mine) == NUM - VALID
    for row in mine:
        b = row["bin"]
        told = (row["examples"], row["mean_probability"], row["observed"])
        assert told == pytest.approx((examples[b], predicted[b] / examples[b], observed[b] / examples[b]))
    assert {row["class"] for row in rows} == {"yes"}


def test_the_report_is_whole_offline_and_reproducible(loop):
    world = World(loop, ("no", "<b>yes</b>")).publish()
    world.inputs["champion"] = world.inputs["model"]
    changes = {
        "limits": {"auc": {"min": 0.1}},
        "guardrails": [{"metric": "auc", "field": "item", "value": "a"}, {"metric": "logloss"}],
        "min_slice_examples": 5,
    }
    output = world.evaluate(**changes)
    first = {path.name: path.read_bytes() for path in output.iterdir()}
    report = first["report.html"].decode()
    for sha256 in json.loads(first["lineage.json"]).values():
        assert sha256 in report
    for needed in (
        "The champion stays",
        "ROC curve",
        "Calibration",
        "α of every loss",
        "Guardrails over slices",
        "out of vocabulary",
        "&lt;b&gt;yes",
        "&lt; 0.01 %",
        "label is &lt;empty&gt;",
        "searched",
    ):
        assert needed in report, needed
    for network in ("http://", "https://", "<script", "<link", "@import", "url(", "<b>yes"):
        assert network not in report
    assert str(world.loop.root) not in report
    world.evaluate(**changes)
    assert first == {path.name: path.read_bytes() for path in output.iterdir()}


def test_a_guardrail_that_is_not_judged_has_no_line(loop):
    world = World(loop, ("no", "yes")).publish()
    world.inputs["champion"] = world.inputs["model"]
    rails = [{"metric": "auc", "field": "item", "value": "a"}]
    judged, told = (
        (world.evaluate(guardrails=rails, min_slice_examples=count) / "report.html").read_text()
        for count in (2, 10_000)
    )
    assert "Dashed: the guardrail." in judged
    assert ", not judged)" not in judged
    assert "Dashed: the guardrail." not in told
    assert ", not judged)" in told


def test_several_classes_without_search_or_slices_still_give_a_report(loop):
    world = World(loop, ("1", "2", "3")).publish()
    (world.loop.root / "policy" / "policy.json").write_text(
        json.dumps({"kind": "none", "patch": {}, "decision": {}, "best_epoch": 0, "epochs": 0})
    )
    trajectory = world.loop.root / "policy" / "trajectory.parquet"
    trajectory.write_bytes(_empty(trajectory))
    world.loop.publish("policy", "search", ["dataset"], params={"search": {"kind": "none"}})
    world.inputs["model"] = world.model(world.model_of)
    report = (world.evaluate(evaluation={"slices": []}, metric="logloss") / "report.html").read_text()
    assert "Nothing was searched" in report
    assert "ROC curve" not in report
    assert "challenger’s AUC" in report
    assert "<h2>Slices</h2>" not in report


def _empty(place: Any) -> bytes:
    from components.data.parquet import write_table

    write_table(read_table(place).slice(0, 0), place)
    return place.read_bytes()


def test_outside_of_a_limit_everything_is_written_and_then_refused(world):
    limits = {"auc": {"min": 0.999}, "logloss": {"max": 9}, "calibration": {"min": 2, "max": 3}}
    with pytest.raises(GateFailedError) as refused:
        world.evaluate(limits=limits)
    assert "promotion.limits.auc: got 0." in str(refused.value)
    assert "need at least 0.999" in str(refused.value)
    assert "need at least 2 and at most 3" in str(refused.value)
    assert "logloss" not in str(refused.value)
    output = world.loop.root / "evaluation"
    verdict = read_verdict(output / "verdict.json")
    assert not verdict.promote
    assert "Not good enough" in (output / "report.html").read_text()


# -- what cannot be compared -----------------------------------------------------------------------------


def test_a_class_without_test_examples_is_refused(world):
    world.label[VALID:] = 0
    world.inputs |= {"interactions": world.interactions(), "dataset": world.dataset()}
    world.inputs |= {"policy": world.policy(), "model": world.model(world.model_of)}
    with pytest.raises(InvalidInputError, match="no test examples of class 'yes'"):
        world.evaluate()


def test_a_champion_of_other_classes_is_refused(world):
    world.inputs["champion"] = world.model(world.model_of, "old_model", ["0", "1"])
    with pytest.raises(InvalidInputError, match=r"champion: its classes are \['0', '1'\].*\['no', 'yes'\]"):
        world.evaluate()


def test_a_champion_of_fields_that_are_gone_is_refused(loop):
    theirs = World(loop).make(Encodings(), seed=1)
    world = World(loop, kinds={"item": "categorical", "genres": "multi_valued"}).publish()
    world.inputs["champion"] = world.model(theirs, "old_model")
    told = r"champion: needs the fields price \(numeric\), but those of the examples are item"
    with pytest.raises(InvalidInputError, match=told):
        world.evaluate()
