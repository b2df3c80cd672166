"""Verdicts of all tasks as documents."""

import json
from typing import Any

import pytest

from components.core.gates import Gate
from components.core.verdict import ExampleVerdict, Verdict, parse_verdict, read_verdict

COMMON: dict[str, Any] = {
    "promote": True,
    "reason": "better",
    "rule": "first",
    "metric": "auc",
    "margin": 0.0,
    "confidence": 0.95,
    "resamples": 100,
    "challenger": 0.7,
    "champion": None,
    "champion_version": None,
    "comparisons": {},
    "gates": (Gate(name="auc", subject="model", passed=True),),
    "slices": (),
}
RANKING = Verdict(**COMMON, num_users=2, floors={}, beyond_accuracy={})
CLASSIFICATION = ExampleVerdict(**COMMON, classes=("0", "1"), num_examples=2, limits={}, metrics={})


@pytest.mark.parametrize("verdict", [RANKING, CLASSIFICATION])
def test_a_document_is_read_as_the_verdict_that_it_was(verdict, tmp_path):
    document = verdict.document()
    assert document["gates"][0]["outcome"] == "passed"
    (tmp_path / "verdict.json").write_text(json.dumps(document))
    assert read_verdict(tmp_path / "verdict.json") == verdict
    assert type(read_verdict(tmp_path / "verdict.json")) is type(verdict)


def test_a_document_without_a_task_is_of_a_ranking():
    document = RANKING.document()
    assert document.pop("task") == "ranking"
    assert parse_verdict(json.dumps(document).encode()) == RANKING


def test_a_document_of_another_task_is_refused():
    with pytest.raises(
        ValueError, match=r"task: got 'x', need one of \['classification', 'ranking', 'stream'\]"
    ):
        parse_verdict(json.dumps({**RANKING.document(), "task": "x"}).encode())
    with pytest.raises(ValueError, match="task"):
        Verdict.parse(json.dumps(CLASSIFICATION.document()).encode())
