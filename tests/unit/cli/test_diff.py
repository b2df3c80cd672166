"""`recloop diff` over runs of stages that do nearly nothing, and the outcomes that `recloop runs` tells."""

import json

import pytest

from components.cli.differing import leaves
from components.cli.history import outcome_of
from components.core.gates import Gate
from components.core.recipe.reading import build_recipe
from components.core.runs import RunRecord, StageRecord


def test_two_runs_with_another_parameter(recloop):
    recloop("run", "toy")
    recloop("run", "toy", "--set", "epochs=5")
    found = json.loads(recloop("diff", "toy", "--json").stdout)
    assert found["parameters"] == [{"name": "training.epochs", "first": 3, "second": 5}]
    assert [one["name"] for one in found["seconds"]] == [
        "ingest", "prepare", "search", "retrain", "evaluate", "register",
    ]  # fmt: skip
    assert found["seconds"][0]["second"].endswith(" (skipped)")
    assert all(one["first"] == one["second"] for one in found["artifacts"])  # they do nearly nothing
    for section in ("code", "deliveries", "data", "gates", "search", "metrics", "verdict"):
        assert found[section] == []
    shown = recloop("diff", "toy").stdout
    assert "training.epochs  3      5               +2" in shown
    assert shown.splitlines()[-1] == "the same: code, deliveries, data, gates, search, metrics, verdict"


def test_a_run_that_was_stopped_against_one_that_was_not(recloop, monkeypatch):
    recloop("run", "toy")
    monkeypatch.setenv("FAKE", "evaluate=gate")
    recloop("run", "toy", "--set", "seed=1")
    found = json.loads(recloop("diff", "toy", "--json").stdout)
    assert {"name": "evaluate evaluate: gate outcome", "first": None, "second": "stopped"} in found["gates"]
    assert {"name": "evaluate ndcg@20", "first": 0.25, "second": None} in found["metrics"]
    assert {key: found["artifacts"][4][key] for key in ("name", "second")} == {
        "name": "evaluation",
        "second": None,
    }
    assert {"name": "reason", "first": "it is better", "second": None} in found["verdict"]


def test_runs_are_named_by_a_part_of_their_ids(recloop):
    recloop("run", "toy")
    assert "has 1 runs, need two to compare" in recloop("diff", "toy").stderr
    recloop("run", "toy", "--set", "epochs=5")
    runs = [run["run_id"] for run in json.loads(recloop("runs", "toy", "--json").stdout)]
    newest, oldest = runs
    part = newest.rpartition("-")[2]
    found = json.loads(recloop("diff", "toy", part, oldest, "--json").stdout)
    assert (found["first"], found["second"]) == (newest, oldest)
    ambiguous = recloop("diff", "toy", "manual")
    assert ambiguous.exit_code == 2
    assert (
        f"got run 'manual', which several have; need the id of one, or a part that no other has "
        f"(the newest: {newest}, {oldest})" in ambiguous.stderr
    )
    assert "got run 'none', which no run has" in recloop("diff", "toy", "none").stderr


def test_leaves():
    document = {"a": {"b": 1, "c": {"d": [1, 2]}}, "e": {}, "f": None}
    assert dict(leaves(document)) == {"a.b": 1, "a.c.d": [1, 2], "e": {}, "f": None}


HELD = Gate(name="x", subject="y", passed=False, severity="hold").document()
STOPPED = Gate(name="x", subject="y", passed=False).document()


@pytest.mark.parametrize(
    ("stages", "policy", "outcome"),
    [
        ([("ingest", "done", {}, [])], "auto", "partial"),
        ([("ingest", "failed", {}, [])], "auto", "failed"),
        ([("ingest", "failed", {}, [STOPPED])], "auto", "stopped"),
        ([("register", "done", {"promoted": 1.0}, [])], "auto", "promoted"),
        ([("promote", "done", {"promoted": 1.0}, [])], "auto", "promoted"),
        ([("evaluate", "done", {}, [HELD]), ("register", "done", {"promoted": 0.0}, [])], "auto", "kept"),
        ([("evaluate", "done", {}, [HELD]), ("register", "done", {"promoted": 0.0}, [])], "approve", "kept"),
        ([("register", "done", {"promoted": 0.0}, [])], "never", "kept"),
        ([("register", "done", {"promoted": 0.0}, [])], "approve", "waiting"),
        (
            [("register", "done", {"promoted": 0.0}, []), ("promote", "done", {"promoted": 0.0}, [])],
            "approve",
            "refused",
        ),
        (
            [("register", "done", {"promoted": 0.0}, []), ("promote", "done", {"promoted": 1.0}, [])],
            "approve",
            "promoted",
        ),
    ],
)
def test_outcomes(stages, policy, outcome):
    document = {"name": "toy", "source": {"kind": "synthetic"}, "promotion": {"policy": policy}}
    records = [
        StageRecord(
            stage=stage, status=status, started="2026-11-01T03:00", seconds=1, metrics=metrics, gates=gates
        )
        for stage, status, metrics, gates in stages
    ]
    assert outcome_of(build_recipe(document, [], place="toy"), RunRecord("1", records)) == outcome
