"""Processes that decide at the same time, and processes that die between two steps."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.registry import promotion
from components.registry.decision import Decision

from .conftest import MODEL, Registered

pytestmark = pytest.mark.slow
STEPS = ["probe", "entry", "alias", "version", "head"]
ONCE = Decision(who="ann", why="because", key="run 7")


@pytest.fixture(autouse=True)
def nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion, "probe", lambda *_: None)


def start(registered: Registered, **told: Any) -> "subprocess.Popen[str]":
    given = {"tracking_uri": registered.tracking_uri, "ledgers": registered.ledgers, "action": "promote"}
    program = Path(__file__).with_name("decide.py")
    return subprocess.Popen(
        [sys.executable, str(program), json.dumps({**given, **told})], text=True, stdout=subprocess.PIPE
    )


def end(process: "subprocess.Popen[str]") -> dict[str, Any]:
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    answer: dict[str, Any] = json.loads(said)
    return answer


def check_agreement(registered: Registered) -> None:
    """Ledger, alias and tag say the same."""
    head = registered.succession.ledger.read()[-1]
    assert registered.champion == head.to_version
    tags = registered.client.get_registered_model(MODEL).tags
    assert tags["recloop.ledger_head"] == f"{head.sequence} {head.sha256}"
    assert registered.succession.history()[1] == []


@pytest.mark.parametrize(
    ("anywhere", "unlocked", "slow"),
    [
        *(("disk", False, step) for step in (1, 2, 3, 5)),
        *(("disk", True, step) for step in (2, 3, 4)),
        *(("s3", unlocked, 2) for unlocked in (False, True)),
    ],
    indirect=["anywhere"],
)
def test_of_two_promotions_one_wins(
    anywhere: str,
    registered_at: Callable[[str], Registered],
    tmp_path: Path,
    unlocked: bool,
    slow: int,
) -> None:
    registered = registered_at(anywhere)
    registered.champions(1)
    versions = [registered.add(champion="1") for _ in range(2)]
    (tmp_path / "start").mkdir()
    told = {"unlocked": unlocked, "slow": slow, "start": str(tmp_path / "start")}
    running = [start(registered, version=version, who=f"who-{version}", **told) for version in versions]
    answers = [end(process) for process in running]
    won = [version for version, answer in zip(versions, answers, strict=True) if not answer["error"]]
    [lost] = [answer["error"] for answer in answers if answer["error"]]
    assert len(won) == 1
    assert lost.startswith("ConflictError: ")
    assert registered.steps()[1:] == [("promote", f"who-{won[0]}", "1", won[0])]
    check_agreement(registered)


def test_a_rollback_and_a_promotion_at_once(registered: Registered, tmp_path: Path) -> None:
    registered.champions(2)
    version = registered.add(champion="2")
    (tmp_path / "start").mkdir()
    place = str(tmp_path / "start")
    running = [
        start(registered, version=version, who="ann", start=place),
        start(registered, action="rollback", who="bob", start=place),
    ]
    errors = [end(process)["error"] for process in running]
    last = registered.steps()[-1]
    if errors[0]:  # promotion had compared with what is gone
        assert (errors[1], last) == ("", ("rollback", "bob", "2", "1"))
    elif errors[1]:
        assert last == ("promote", "ann", "2", "3")
    else:  # one after the other
        assert registered.steps()[2:] == [("promote", "ann", "2", "3"), ("rollback", "bob", "3", "2")]
    check_agreement(registered)


def test_whoever_dies_between_two_steps_leaves_nothing_half_done(
    registered_at: Callable[[str], Registered], tmp_path: Path
) -> None:
    for number, step in enumerate(STEPS, 1):
        registered = registered_at(str(tmp_path / f"ledgers-{step}"))
        registered.evaluations.clear()
        registered.root = tmp_path / step
        registered.root.mkdir()
        registered.champions(1)
        version = registered.add(champion="1")
        process = start(registered, version=version, who="ann", key=ONCE.key, kill=number)
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, step
        standing = registered.succession.history()[2]
        if step == "alias":
            assert standing.startswith("entry 2 is not carried out yet (version 1 is still champion)")
        else:
            champion = "1" if step in {"probe", "entry"} else "2"
            assert standing == f"champion: version {champion}, in MLflow and in the ledger"
        registered.succession.promote(version, ONCE)  # the next try
        assert registered.steps() == [("promote", "ann", None, "1"), ("promote", "ann", "1", "2")]
        assert "(entry 2)" in registered.tags("2")["recloop.promoted"]
        check_agreement(registered)


def test_another_decision_finishes_what_a_dead_one_began(registered: Registered) -> None:
    registered.champions(1)
    second, third = registered.add(champion="1"), registered.add(champion="2")
    process = start(registered, version=second, who="bob", kill=STEPS.index("alias") + 1)
    process.communicate(timeout=120)
    assert registered.champion == "1"
    registered.succession.promote(third, Decision(who="ann", why="better still"))
    assert registered.steps()[1:] == [("promote", "bob", "1", "2"), ("promote", "ann", "2", "3")]
    assert "by bob" in registered.tags("2")["recloop.promoted"]
    check_agreement(registered)


def test_a_dead_one_s_turn_lapses_in_s3(
    s3_server: Any, registered_at: Callable[[str], Registered], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    registered = registered_at(f"s3://{s3_server.bucket('turn')}/ledgers")
    registered.champions(1)
    version = registered.add(champion="1")
    process = start(registered, version=version, who="ann", key=ONCE.key, kill=STEPS.index("alias") + 1)
    process.communicate(timeout=120)
    registered.succession.promote(version, ONCE)
    assert registered.steps()[1:] == [("promote", "ann", "1", "2")]
    check_agreement(registered)
