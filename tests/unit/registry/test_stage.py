"""The promote stage: decisions through the harness, as orchestrators run it."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.catalog import PROMOTE
from components.core.errors import GateFailedError, InvalidInputError
from components.core.recipe import PromoteParams
from components.core.stage import StageResult, execute
from components.data.document import write_document
from components.registry import promotion

from .conftest import MODEL, Registered, finish


@pytest.fixture(autouse=True)
def nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion, "probe", lambda *_: None)


def decide(registered: Registered, registration: str | None = None, **given: Any) -> StageResult:
    defaults = {"who": "jane", "why": "as agreed", "decision": "run 1", "ledger": registered.ledgers}
    params = PromoteParams(model=MODEL, tracking_uri=registered.tracking_uri, **{**defaults, **given})
    inputs = {"registration": registration} if registration else {}
    return execute(PROMOTE, params, inputs, f"{registered.root}/promotion/{{key}}")


def registration(registered: Registered, version: str, model: str = MODEL) -> str:
    place = registered.root / f"registration-{model}-{version}"
    place.mkdir()
    write_document({"model": model, "version": version}, place / "registration.json")
    finish(place, "registration", version * 64)
    return str(place)


def told(result: StageResult) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((Path(result.uri) / "promotion.json").read_text())
    return document


def test_a_decision_is_carried_out_once(registered: Registered) -> None:
    place = registration(registered, registered.add())
    result = decide(registered, place, answered="2026-01-01T00:00:00+00:00")
    assert result.metrics == {"promoted": 1.0, "version": 1.0, "entry": 1.0}
    document = told(result)
    assert (document["action"], document["to_version"], document["who"]) == ("promote", "1", "jane")
    assert document["evidence"]["answered"] == "2026-01-01T00:00:00+00:00"
    assert document["entry_sha256"] == registered.succession.ledger.read()[0].sha256
    again = decide(registered, place, answered="2026-01-01T00:00:00+00:00")
    assert (again.skipped, again.uri) == (True, result.uri)
    # a try that died before its artifact was whole
    elsewhere = decide(registered, place, answered="2026-01-01T00:00:01+00:00")
    assert told(elsewhere)["entry"] == 1
    assert registered.steps() == [("promote", "jane", None, "1")]


def test_a_no_changes_nothing(registered: Registered) -> None:
    registered.champions(1)
    place = registration(registered, registered.add(champion="1"))
    result = decide(registered, place, approved=False, why="not on a Friday")
    assert result.metrics == {"promoted": 0.0, "version": 1.0, "entry": 2.0}
    document = told(result)
    assert (document["action"], document["promoted"], document["why"]) == ("reject", False, "not on a Friday")
    assert registered.champion == "1"


def test_without_a_registration_it_is_the_challenger_or_a_named_version(registered: Registered) -> None:
    registered.champions(2)
    registered.add(champion="2")
    registered.add(promote=False, champion="2")
    with pytest.raises(GateFailedError, match="toy, version 4: its evaluation says no"):
        decide(registered)
    assert told(decide(registered, version="3"))["to_version"] == "3"
    assert told(decide(registered, decision="run 2", force=True))["to_version"] == "4"
    assert told(decide(registered, decision="run 3", action="rollback"))["to_version"] == "3"
    assert told(decide(registered, decision="run 4", action="rollback", version="1"))["to_version"] == "1"
    assert registered.champion == "1"


def test_another_model_s_registration_is_refused(registered: Registered) -> None:
    registered.add()
    with pytest.raises(InvalidInputError, match="registration: is of 'other', but the model is 'toy'"):
        decide(registered, registration(registered, "1", model="other"))
