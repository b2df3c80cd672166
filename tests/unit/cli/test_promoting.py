"""`recloop promote`, `rollback` and `history`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from components.core.errors import ConflictError
from components.registry import promotion
from components.registry.decision import Decision
from components.registry.ledger import Entry, Ledger

Recloop = Callable[..., Result]


class Succession(promotion.Succession):
    """One without MLflow: the ledger is all there is."""

    asked: list[tuple[Any, ...]] = []  # noqa: RUF012  # emptied by the fixture

    def __init__(self, model: str, tracking_uri: str, ledgers: str) -> None:
        self.model, self.tracking_uri = model, tracking_uri
        self.asked.append((model, tracking_uri))
        self.ledger = Ledger(f"{ledgers}/{model}")

    def challenger(self) -> str:
        return "5"

    def promote(self, version: str, decision: Decision) -> Entry:
        self.asked.append((version, decision))
        if version == "9":
            raise ConflictError("the champion has changed")
        return self._write("promote", version, decision)

    def rollback(self, version: str | None, decision: Decision) -> Entry:
        self.asked.append((version, decision))
        return self._write("rollback", version or "1", decision)

    def history(self) -> tuple[list[Entry], list[str], str]:
        return *self.ledger.examine(), "champion: version 5, in MLflow and in the ledger"

    def _write(self, action: Any, version: str, decision: Decision) -> Entry:
        entries = self.ledger.read()
        before = entries[-1].to_version if entries else None
        evidence = {"forced": decision.force, "version": version}
        who, why = decision.who, decision.why
        return self.ledger.append(
            entries, action, who=who, why=why, move=(before, version), evidence=evidence
        )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was asked of the registry."""
    Succession.asked.clear()
    monkeypatch.setattr(promotion, "Succession", Succession)
    monkeypatch.setenv("RECLOOP_USER", "jane")
    return Succession.asked


def test_the_challenger_is_promoted_in_the_user_s_name(
    recloop: Recloop, asked: list[Any], home: Path
) -> None:
    shown = recloop("promote", "toy", "--why", " better ")
    assert (shown.exit_code, shown.stdout) == (
        0,
        "Version 5 of toy is champion now; entry 1 of the ledger.\n",
    )
    assert asked == [
        ("toy", f"sqlite:///{home}/workspace/mlflow.db"),
        ("5", Decision(who="jane", why="better")),
    ]
    shown = recloop("promote", "toy", "--version", "7", "--force", "-w", "x", "--tracking-uri", "http://m")
    assert "Version 7 of toy is champion now (before: version 5); entry 2" in shown.stdout
    assert asked[2:] == [("toy", "http://m"), ("7", Decision(who="jane", why="x", force=True))]


def test_rollback_and_history(recloop: Recloop, asked: list[Any], home: Path) -> None:
    for arguments in (("promote", "toy", "--version", "1"), ("promote", "toy", "--force")):
        recloop(*arguments, "-w", "as agreed")
    assert (
        "Version 1 of toy is champion now (before: version 5)"
        in recloop("rollback", "toy", "-w", "complaints").stdout
    )
    assert recloop("rollback", "toy", "--to", "5", "-w", "so be it").exit_code == 0
    shown = recloop("history", "toy")
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert shown.exit_code == 0
    told = [line.split(" ", 3)[3] for line in lines[1:5]]  # without number, day and time
    assert told == [
        f"promote none → 1 jane as agreed {evidence(home, 1)}",
        f"promote (forced) 1 → 5 jane as agreed {evidence(home, 2)}",
        f"rollback 5 → 1 jane complaints {evidence(home, 3)}",
        f"rollback 1 → 5 jane so be it {evidence(home, 4)}",
    ]
    assert lines[5] == "champion: version 5, in MLflow and in the ledger"
    document = json.loads(recloop("history", "toy", "--json").stdout)
    assert [entry["action"] for entry in document["entries"]] == [
        "promote",
        "promote",
        "rollback",
        "rollback",
    ]
    assert document["problems"] == []


def evidence(home: Path, sequence: int) -> str:
    entry = json.loads((home / f"workspace/ledgers/toy/{sequence:06d}.json").read_text())
    return str(entry["evidence_sha256"][:12])


def test_a_password_in_the_server_s_address_is_refused(
    recloop: Recloop, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://jane:secret@mlflow.example.org")
    for command in (("history", "toy"), ("rollback", "toy", "-w", "x"), ("lineage", "toy")):
        shown = recloop(*command)
        assert shown.exit_code == 2
        assert "MLFLOW_TRACKING_PASSWORD" in shown.stderr
        assert "secret" not in shown.output
    assert asked == []


def test_history_shows_where_the_chain_breaks(recloop: Recloop, asked: list[Any], home: Path) -> None:
    for version in "123":
        recloop("promote", "toy", "--version", version, "-w", "x")
    (home / "workspace" / "ledgers" / "toy" / "000002.json").unlink()
    shown = recloop("history", "toy")
    assert shown.exit_code == 5
    assert "none → 1" in shown.stdout
    assert "entry 2 is missing; entry 3 does not follow" in shown.stderr
    assert recloop("history", "toy", "--json").exit_code == 5


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("promote", "toy"), 2, "Missing option '--why'"),
        (("promote", "toy", "-w", " "), 2, "--why: is empty"),
        (("promote", "toy", "-w", "x", "--version", "0"), 2, "got version '0', need a number such as 3"),
        (("rollback", "toy", "-w", "x", "--to", "latest"), 2, "got version 'latest'"),
        (("promote", "toy", "-w", "x", "--version", "9"), 4, "the champion has changed"),
    ],
)
def test_what_cannot_be_done_is_told(
    recloop: Recloop, asked: list[Any], arguments: tuple[str, ...], code: int, told: str
) -> None:
    shown = recloop(*arguments)
    assert shown.exit_code == code
    assert told in shown.stderr
