"""Runs tell those whom the recipe names, once, with the reason; real notifiers, local servers."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.catalog import PROMOTE, position_of
from components.core.gates import Gate
from components.core.recipe.reading import read_recipe
from components.core.runs import StageRecord, record_place, write_record
from dags.factory import build_dag
from dags.notifications import AskedNotifier, Message, describe, tell_success
from dags.promote_operator import AnswerOperator
from tests.listeners import MailServer, Webhook, serve

from .conftest import FakeStages

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("airflow_db")]
WriteRecipe = Callable[..., Path]
TOLD = """\
orchestration: {retries: 1, retry_delay_s: 0, max_retry_delay_s: 1}
notifications:
  - {kind: slack, connection: team}
  - {kind: email, connection: post, to: [ana@shop.example, ben@shop.example]}
"""
VOLUME = Gate(
    name="volume", subject="previous", value=0.48, low=0.5, high=2, passed=False, told="<half> of it is gone"
)
NOVELTY = Gate(name="new_items", subject="champion", value=0.3, high=0.2, passed=False, severity="warn")


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    server = Webhook()
    with serve(server):
        monkeypatch.setenv("AIRFLOW_CONN_TEAM", server.connection)
        yield server


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    server = MailServer()
    with serve(server):
        monkeypatch.setenv("AIRFLOW_CONN_POST", server.connection)
        yield server


@pytest.fixture
def registered(tmp_path: Path) -> str:
    """A registration of version 7, which became champion."""
    document = {"model": "tiny", "version": "7", "promoted": True, "reason": "it is better"}
    (tmp_path / "registration.json").write_text(json.dumps(document))
    return str(tmp_path)


def run(file: Path, monkeypatch: pytest.MonkeyPatch, conf: dict[str, Any] | None = None) -> Any:
    monkeypatch.setenv("RECLOOP_RECIPES", str(file))
    return build_dag(file, read_recipe(file)).test(run_conf=conf or {})


def test_a_gate_that_stops_a_run_is_told_once_with_its_reason(
    write_recipe: WriteRecipe,
    fake_stages: FakeStages,
    monkeypatch: pytest.MonkeyPatch,
    webhook: Webhook,
    mail: MailServer,
) -> None:
    fake_stages.plan(
        ingest={
            "code": 3,
            "message": "GateFailed: volume: half\nwhat was found is kept at /store/ingest.failed",
            "gates": [VOLUME.document(), NOVELTY.document()],
        }
    )
    dag_run = run(write_recipe(TOLD), monkeypatch)
    assert dag_run.state == "failed"
    assert fake_stages.tries("ingest") == 1
    [text] = webhook.texts
    assert webhook.paths == ["/T0/B0/X0"]
    lines = text.splitlines()
    assert lines[0] == "*tiny: a gate stopped ingest*"
    assert lines[1] == (
        "• volume of previous: got 0.48, need at least 0.5 and at most 2: &lt;half&gt; of it is gone"
    )
    assert lines[2] == f"run `{dag_run.run_id}`"
    assert lines[3].startswith("<http://localhost:8080/dags/tiny/runs/")
    assert lines[3].endswith("|log>")
    assert lines[4] == "what was found: `/store/ingest.failed`"
    [letter] = mail.mails
    assert letter["Subject"] == "tiny: a gate stopped ingest"
    assert letter["From"] == "recloop@shop.example"
    assert letter["To"] == "ana@shop.example, ben@shop.example"
    body = letter.get_body().get_content()  # type: ignore[attr-defined]
    assert "need at least 0.5 and at most 2: &lt;half&gt; of it is gone" in body
    assert "<code>/store/ingest.failed</code>" in body


def test_a_promotion_is_told_with_the_report_and_warnings_by_themselves(
    write_recipe: WriteRecipe,
    fake_stages: FakeStages,
    monkeypatch: pytest.MonkeyPatch,
    webhook: Webhook,
    mail: MailServer,
    registered: str,
) -> None:
    passed = VOLUME.model_copy(update={"passed": True})
    fake_stages.plan(
        ingest={"result": {"gates": [passed.document(), NOVELTY.document()]}},
        register={"result": {"uri": registered}},
    )
    assert run(write_recipe(TOLD), monkeypatch).state == "success"
    warned, promoted = webhook.texts
    assert warned.splitlines()[:2] == [
        "*tiny: 1 of the gates of ingest spoke; the run goes on*",
        "• new_items of champion: got 0.3, need at most 0.2",
    ]
    assert warned.endswith("\ndata docs: `/store/ingest.checks/data_docs/index.html`")
    assert promoted.splitlines()[:2] == ["*tiny: version 7 of tiny is champion*", "• it is better"]
    assert "report: `/store/evaluate/report.html`" in promoted
    assert [letter["Subject"] for letter in mail.mails] == [
        "tiny: 1 of the gates of ingest spoke; the run goes on",
        "tiny: version 7 of tiny is champion",
    ]


def test_only_what_was_asked_for_is_told_and_a_repeated_run_tells_nothing_new(
    write_recipe: WriteRecipe,
    fake_stages: FakeStages,
    monkeypatch: pytest.MonkeyPatch,
    webhook: Webhook,
    registered: str,
) -> None:
    file = write_recipe(
        "notifications: [{kind: slack, connection: team, when: [promoted, done, gate_warned]}]"
    )
    skipped = {"status": "skipped", "uri": registered}
    fake_stages.plan(
        ingest={"result": {"status": "skipped", "gates": [NOVELTY.document()]}}, register={"result": skipped}
    )
    run(file, monkeypatch)
    assert [text.splitlines()[0] for text in webhook.texts] == [
        "*tiny: done before: version 7 of tiny is champion*"
    ]
    fake_stages.plan(register={"code": 2, "message": "InvalidInput: no"})
    assert run(file, monkeypatch).state == "failed"
    assert len(webhook.texts) == 1


def test_a_fault_is_told_after_the_last_try(
    write_recipe: WriteRecipe, fake_stages: FakeStages, monkeypatch: pytest.MonkeyPatch, webhook: Webhook
) -> None:
    file = write_recipe(TOLD.partition("  - {kind: email")[0])
    fake_stages.plan(prepare={"code": 6, "message": "Infrastructure: the disk is full"})
    run(file, monkeypatch)
    assert fake_stages.tries("prepare") == 2
    [text] = webhook.texts
    assert text.splitlines()[:2] == [
        "*tiny: prepare failed*",
        "• prepare: Infrastructure: the disk is full (exit code 6)",
    ]


def test_a_mistake_in_the_form_is_told_too(
    write_recipe: WriteRecipe, fake_stages: FakeStages, monkeypatch: pytest.MonkeyPatch, webhook: Webhook
) -> None:
    file = write_recipe(TOLD.partition("  - {kind: email")[0])
    run(file, monkeypatch, {"recipe.overrides": ["training.modle=3"]})
    [text] = webhook.texts
    assert text.startswith("*tiny: ingest failed*")
    assert "did you mean 'model'?" in text


def test_a_notifier_that_fails_changes_nothing_and_is_told_in_the_log(
    write_recipe: WriteRecipe,
    fake_stages: FakeStages,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    webhook: Webhook,
    mail: MailServer,
    registered: str,
) -> None:
    webhook.status = 500
    fake_stages.plan(register={"result": {"uri": registered}})
    with caplog.at_level(logging.ERROR, "dags.notifications"):
        assert run(write_recipe(TOLD), monkeypatch).state == "success"
    assert [letter["Subject"] for letter in mail.mails] == ["tiny: version 7 of tiny is champion"]
    assert "promoted could not be told by slack (connection team): " in caplog.text
    monkeypatch.delenv("AIRFLOW_CONN_TEAM")
    with caplog.at_level(logging.ERROR, "dags.notifications"):
        assert run(write_recipe(TOLD), monkeypatch).state == "success"
    assert "The conn_id `team` isn't defined" in caplog.text
    assert len(mail.mails) == 2


@pytest.mark.parametrize(
    ("decided", "promoted", "lines"),
    [
        (
            {"action": "rollback", "to_version": "3", "promoted": True},
            1.0,
            ["*tiny: version 3 of tiny is champion*", "• rollback by ana: it was worse"],
        ),
        (
            {"action": "reject", "to_version": "4", "promoted": False},
            0.0,
            ["*tiny: version 4 of tiny stays champion*", "• reject by ana: it was worse"],
        ),
    ],
)
def test_a_decision_by_hand_is_told(
    write_recipe: WriteRecipe,
    webhook: Webhook,
    tmp_path: Path,
    decided: dict[str, object],
    promoted: float,
    lines: list[str],
) -> None:
    document = {"model": "tiny", "who": "ana", "why": "it was worse", **decided}
    (tmp_path / "promotion.json").write_text(json.dumps(document))
    file = write_recipe("notifications: [{kind: slack, connection: team, when: [promoted, done]}]")
    task = AnswerOperator(task_id="promote", recipe=str(file), registration={}, answer={})
    record = StageRecord(
        "promote", "done", "2026-11-21T10:00:00+00:00", 1.0, uri=str(tmp_path), metrics={"promoted": promoted}
    )
    write_record(record_place(read_recipe(file), "by-hand", position_of(PROMOTE), "promote"), record)
    ti = SimpleNamespace(task_id="promote", dag_id="tiny", run_id="by-hand", log_url="http://here/log")
    tell_success({"task": task, "ti": ti, "run_id": "by-hand", "params": {}})  # type: ignore[typeddict-item]
    [text] = webhook.texts
    assert text.splitlines()[:2] == lines


def test_a_question_is_told(write_recipe: WriteRecipe, webhook: Webhook) -> None:
    file = write_recipe(TOLD.partition("  - {kind: email")[0])
    task = SimpleNamespace(recipe=str(file), subject="Make version 4 of tiny champion?")
    ti = SimpleNamespace(task_id="approve", dag_id="tiny", run_id="r", log_url="http://here/log")
    AskedNotifier()({"task": task, "ti": ti, "run_id": "r", "params": {}})
    [text] = webhook.texts
    assert text.splitlines()[:2] == ["*tiny: waits for an answer*", "• Make version 4 of tiny champion?"]


@pytest.mark.parametrize(
    ("gate", "line"),
    [
        (VOLUME, "volume of previous: got 0.48, need at least 0.5 and at most 2: <half> of it is gone"),
        (NOVELTY, "new_items of champion: got 0.3, need at most 0.2"),
        (Gate(name="leak", subject="test", passed=False, told="3 pairs"), "leak of test: 3 pairs"),
    ],
)
def test_a_gate_in_one_line(gate: Gate, line: str) -> None:
    assert describe(gate) == line


def test_a_url_is_a_link_and_text_is_text() -> None:
    message = Message(
        about="tiny",
        run="r<1>",
        happened="it & that",
        reasons=["a <b>"],
        links={"log": "https://a.example/l?x=1&y=2", "report": "s3://b/r.html"},
    )
    assert message.markdown() == (
        "*tiny: it &amp; that*\n• a &lt;b&gt;\nrun `r&lt;1&gt;`\n"
        "<https://a.example/l?x=1&y=2|log>\nreport: `s3://b/r.html`"
    )
    assert '<a href="https://a.example/l?x=1&amp;y=2">log</a>' in message.html()
    assert "<li>report: <code>s3://b/r.html</code></li>" in message.html()
