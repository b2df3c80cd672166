"""Promotion and rollback of versions in a real MLflow, with their ledger."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import (
    ConflictError,
    GateFailedError,
    InfrastructureError,
    IntegrityError,
    InvalidInputError,
)
from components.core.verdict import AnyVerdict, ExampleVerdict
from components.registry import evidence, promotion
from components.registry.decision import Decision, this_user
from components.registry.promotion import Succession

from .conftest import MODEL, Prototype, Registered, verdict

ANN = Decision(who="ann", why="it is better")


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[str]:
    """The versions that were asked; `test_probe` shows what is asked of them."""
    versions: list[str] = []
    monkeypatch.setattr(promotion, "probe", lambda _uri, _model, version: versions.append(version))
    return versions


def test_ledger_and_mlflow_agree(registered: Registered, asked: list[str]) -> None:
    registered.champions(2)
    assert registered.champion == "2"
    assert asked == ["1", "2"]
    first, second = registered.succession.ledger.read()
    assert (first.action, first.who, first.why, first.move) == ("promote", "ann", "number 1", "none → 1")
    assert second.move == "1 → 2"
    evidence = second.evidence
    assert evidence["evaluation_uri"] == str(registered.evaluations["2"])
    assert evidence["evaluation_sha256"] == registered.tags("2")["recloop.evaluation_sha256"]
    assert (evidence["promote"], evidence["champion_version"], evidence["forced"]) == (True, "1", False)
    said = registered.tags("2")["recloop.promoted"]
    assert said == f"by ann, {second.when:%Y-%m-%d %H:%M:%S} UTC: number 2 (entry 2)"
    tags = registered.client.get_registered_model(MODEL).tags
    assert tags["recloop.ledger"] == f"{registered.ledgers}/toy"
    assert tags["recloop.ledger_head"] == f"2 {second.sha256}"
    assert registered.succession.history() == (
        [first, second],
        [],
        "champion: version 2, in MLflow and in the ledger",
    )


def test_the_evaluation_of_a_classifier_is_evidence_too(registered: Registered, prototype: Prototype) -> None:
    shared = verdict().model_dump(include=set(AnyVerdict.model_fields) - {"task"})
    of_examples = {
        "metric": "logloss",
        "classes": ("no", "yes"),
        "num_examples": 3,
        "limits": {},
        "metrics": {},
        "slices": (),
    }
    interval = {"difference": -0.1, "low": -0.2, "high": -0.05}
    compared = {"challenger": 0.5, "other": 0.6, **interval, "p_value": 0.01}
    for champion in (None, "1"):
        changed = {
            "champion_version": champion,
            "comparisons": {"champion": {"logloss": compared}} if champion else {},
        }
        found = ExampleVerdict.model_validate({**shared, **of_examples, **changed})
        version = registered.add(found=found, source=prototype.classification)
        entry = registered.succession.promote(version, ANN)
    assert (registered.champion, entry.evidence["metric"], entry.evidence["comparison"]) == (
        "2", "logloss", compared
    )  # fmt: skip


def test_a_model_keeps_its_ledger(registered: Registered) -> None:
    registered.champions(1)
    elsewhere = Succession(MODEL, registered.tracking_uri, "/elsewhere")
    assert elsewhere.ledger.place == f"{registered.ledgers}/toy"


def test_looking_does_not_settle_where_the_ledger_lies(registered: Registered, tmp_path: Path) -> None:
    registered.add()
    elsewhere = Succession(MODEL, registered.tracking_uri, str(tmp_path / "elsewhere"))
    assert elsewhere.history() == ([], [], "champion: no version, in MLflow and in the ledger")
    with pytest.raises(InvalidInputError, match="no champion came before"):
        elsewhere.rollback(None, ANN)
    registered.succession.promote("1", ANN)
    assert elsewhere.ledger.place != registered.succession.ledger.place
    with pytest.raises(ConflictError, match="its ledger lies at"):
        elsewhere.pin()


def test_going_back_does_not_wait_for_the_evidence(
    registered: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(uri: str, sha256: str) -> Any:
        raise InfrastructureError("s3://lake cannot be reached")

    registered.champions(2)
    registered.add(champion="2")
    monkeypatch.setattr(evidence, "_read_verdict", unreachable)
    with pytest.raises(InfrastructureError, match="lake"):
        registered.succession.promote("3", ANN)
    entry = registered.succession.rollback(None, ANN)
    assert (registered.champion, entry.evidence["lacks"]) == (
        "1", "its evaluation cannot be reached: s3://lake cannot be reached"
    )  # fmt: skip


def test_a_former_champion_that_was_deleted(registered: Registered) -> None:
    registered.champions(2)
    registered.client.delete_model_version(MODEL, "1")
    with pytest.raises(InvalidInputError, match="no version 1 any more; name another former champion"):
        registered.succession.rollback(None, ANN)


@pytest.mark.parametrize(
    ("version", "kind", "told"),
    [
        ("1", InvalidInputError, "toy: version 1 is champion already"),
        ("2", GateFailedError, "toy, version 2: its evaluation says no: it is no better"),
        ("3", ConflictError, "compared with version 7; now it is version 1"),
        ("4", ConflictError, "compared with no champion; now it is version 1"),
        ("5", InvalidInputError, "toy, version 5: its evaluation is not at .*: gone"),
        ("6", InvalidInputError, "cannot be believed: .* is not the evaluation that the version was"),
        ("7", InvalidInputError, "toy, version 7: no run has registered it"),
        ("8", InvalidInputError, "toy: there is no version 8"),
    ],
)
def test_what_has_no_evidence_is_refused_unless_forced(
    registered: Registered, asked: list[str], version: str, kind: type[Exception], told: str
) -> None:
    registered.champions(1)
    registered.add(promote=False, champion="1")
    registered.add(champion="7")
    registered.add()
    shutil.rmtree(registered.evaluations[registered.add(champion="1")])
    changed = registered.evaluations[registered.add(champion="1")] / "verdict.json"
    changed.write_text(changed.read_text().replace("it is better", "it is best"))
    registered.client.create_model_version(MODEL, source=registered.logged)
    with pytest.raises(kind, match=told):
        registered.succession.promote(version, ANN)
    assert asked == ["1"]
    assert registered.steps() == [("promote", "ann", None, "1")]
    assert registered.champion == "1"
    forced = Decision(who="bob", why="I know better", force=True)
    if version in {"2", "3", "4", "5", "6", "7"}:
        entry = registered.succession.promote(version, forced)
        assert entry.evidence["forced"] is True
        assert registered.champion == version


def test_a_version_that_does_not_answer_is_not_promoted(
    registered: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered.champions(1)
    version = registered.add(champion="1")

    def fail(*_: object) -> None:
        raise GateFailedError("no answer")

    monkeypatch.setattr(promotion, "probe", fail)
    for force in (False, True):
        with pytest.raises(GateFailedError, match="no answer"):
            registered.succession.promote(version, Decision(who="ann", why="", force=force))
    assert registered.champion == "1"
    assert len(registered.steps()) == 1


def test_rollbacks_go_back_one_by_one(registered: Registered, asked: list[str]) -> None:
    registered.champions(3)
    asked.clear()
    oops = Decision(who="bob", why="complaints")
    assert registered.succession.rollback(None, oops).move == "3 → 2"
    assert registered.champion == "2"
    assert "by bob" in registered.tags("3")["recloop.rolled_back"]
    assert "complaints" in registered.tags("2")["recloop.restored"]
    assert registered.succession.rollback(None, oops).move == "2 → 1"
    with pytest.raises(InvalidInputError, match="toy: no champion came before version 1"):
        registered.succession.rollback(None, oops)
    assert registered.succession.rollback("3", oops).move == "1 → 3"  # and forward again
    assert asked == ["2", "1", "3"]
    version = registered.add(champion="3")
    for wrong in (version, "3", "9"):
        with pytest.raises(InvalidInputError, match=rf"got version {wrong}, need a former .*: \[1, 2\]"):
            registered.succession.rollback(wrong, oops)


def test_a_version_that_was_rolled_back_comes_again_only_by_a_new_decision(registered: Registered) -> None:
    registered.champions(1)
    version = registered.add(champion="1")
    once = Decision(who="ann", why="it is better", key="run 7")
    entry = registered.succession.promote(version, once)
    assert registered.succession.promote(version, once) == entry  # a retry
    registered.succession.rollback(None, ANN)
    assert registered.succession.promote(version, once) == entry  # a retry, late
    assert registered.champion == "1"
    assert registered.succession.promote(version, ANN).move == "1 → 2"


def test_a_no_is_recorded(registered: Registered) -> None:
    registered.champions(1)
    version = registered.add(champion="1")
    entry = registered.succession.reject(version, Decision(who="bob", why="not on a Friday", key="run 7"))
    assert (entry.action, entry.move, entry.evidence["version"]) == ("reject", "1 → 1", "2")
    assert registered.succession.reject(version, Decision(who="bob", why="", key="run 7")) == entry
    assert "not on a Friday" in registered.tags("2")["recloop.rejected"]
    assert registered.champion == "1"
    with pytest.raises(InvalidInputError, match="no champion came before"):
        registered.succession.rollback(None, ANN)


def test_a_no_to_the_first_version_leaves_no_champion(registered: Registered) -> None:
    registered.succession.reject(registered.add(), ANN)
    assert registered.champion is None
    assert registered.succession.history()[1:] == ([], "champion: no version, in MLflow and in the ledger")
    assert registered.succession.promote("1", ANN).move == "none → 1"


def test_an_alias_that_someone_moved_is_found_and_true(registered: Registered) -> None:
    registered.champions(2)
    third = registered.add(champion="2")
    registered.client.set_registered_model_alias(MODEL, "champion", "1")
    told = registered.succession.history()[2]
    assert told.startswith("MLflow's champion is version 1, the ledger's version 2: moved by hand")
    with pytest.raises(ConflictError, match="compared with version 2; now it is version 1"):
        registered.succession.promote(third, ANN)
    assert registered.steps()[2:] == [("found", f"unknown, found by {this_user()}", "2", "1")]
    assert registered.champion == "1"
    with pytest.raises(InvalidInputError, match="no champion came before version 1"):
        registered.succession.rollback(None, ANN)


def test_an_alias_that_someone_deleted_is_found(registered: Registered) -> None:
    registered.champions(2)
    registered.client.delete_registered_model_alias(MODEL, "champion")
    assert registered.succession.rollback(None, ANN).move == "none → 2"
    assert [step[0] for step in registered.steps()] == ["promote", "promote", "found", "rollback"]


def test_a_champion_from_before_the_ledger_is_found(registered: Registered) -> None:
    registered.add()
    registered.client.set_registered_model_alias(MODEL, "champion", "1")
    assert registered.succession.promote(registered.add(champion="1"), ANN).move == "1 → 2"
    assert [step[2:] for step in registered.steps()] == [(None, "1"), ("1", "2")]
    assert registered.succession.rollback(None, ANN).move == "2 → 1"


def damage(place: Path, kind: str) -> None:
    if kind == "end is gone":
        (place / "000002.json").unlink()
    elif kind == "not the one that MLflow knows of":  # the whole chain, written anew
        file = place / "000002.json"
        document = {**json.loads(file.read_text()), "who": "eve"}
        file.write_text(json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n")
    else:
        shutil.rmtree(place)


@pytest.mark.parametrize("kind", ["end is gone", "not the one that MLflow knows of", "on another machine"])
def test_nobody_decides_on_a_ledger_that_was_changed(registered: Registered, kind: str) -> None:
    registered.champions(2)
    damage(Path(registered.succession.ledger.place), kind)
    with pytest.raises(IntegrityError, match=kind):
        registered.succession.rollback(None, ANN)
    assert kind in registered.succession.history()[1][0]
    assert registered.champion == "2"


def test_who_is_the_system_s_user_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECLOOP_USER", "jane@example.org")
    assert this_user() == "jane@example.org"
    monkeypatch.delenv("RECLOOP_USER")
    monkeypatch.setenv("LOGNAME", "jane")
    assert this_user() == "jane"


def test_unknown_models_are_told(registered: Registered) -> None:
    with pytest.raises(
        InvalidInputError, match=r"there is no 'other' at .*there are \['classifier', 'recommender', 'toy'\]"
    ):
        Succession("other", registered.tracking_uri, registered.ledgers)
    with pytest.raises(InvalidInputError, match="there is no 'a/b' at"):  # MLflow refuses such names
        Succession("a/b", registered.tracking_uri, registered.ledgers)
    with pytest.raises(InvalidInputError, match="there is no MLflow database"):
        Succession(MODEL, f"sqlite:///{registered.root}/none.db", registered.ledgers)
    with pytest.raises(InvalidInputError, match="toy: has no challenger"):
        registered.succession.challenger()
