"""Who is told what a run came to: messages from the callbacks of its tasks, through Airflow's notifiers.

Airflow runs a task's callbacks in the task's process once its state is known, so that a message changes
nothing about the run; it gives them `[core] task_success_overtime` (20 s). For a task that was killed, they
run in the DAG processor.
"""

import html
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from airflow.sdk import Context
from airflow.sdk.bases.notifier import BaseNotifier

from components.catalog import EVALUATE, INGEST, PREPARE, PROMOTE, REGISTER, position_of
from components.core.errors import RecloopError
from components.core.gates import Gate, gates_of
from components.core.recipe import Recipe
from components.core.recipe.notification import Notification, Occasion
from components.core.recipe.reading import read_recipe
from components.core.runs import StageRecord, read_record, record_place
from components.core.stage import StageSpec
from components.core.store import join, open_store
from dags.stage_operator import StageOperator, overrides_of

logger = logging.getLogger(__name__)
_TIMEOUT_S = 5  # of a webhook; the callbacks of a task have 20 s
_REASON_LENGTH = 1500
_DECISIONS = {REGISTER.name: "registration.json", PROMOTE.name: "promotion.json"}
_DOCS = {INGEST.name, PREPARE.name}
_KEPT = re.compile(r"what was found is kept at (\S+)")


@dataclass(frozen=True, kw_only=True)
class Message:
    """What somebody is told.

    Attributes:
        about: the recipe.
        happened: one line.
        reasons: one line each.
        links: name → URL, or the URI of a file.
    """

    about: str
    run: str
    happened: str
    reasons: Sequence[str] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    def markdown(self) -> str:
        """For a webhook, in Slack's dialect."""
        links = [
            f"<{url}|{name}>" if _is_url(url) else f"{name}: `{_plain(url)}`"
            for name, url in self.links.items()
        ]
        return "\n".join(
            [
                f"*{_plain(self.about)}: {_plain(self.happened)}*",
                *(f"• {_plain(reason)}" for reason in self.reasons),
                f"run `{_plain(self.run)}`",
                *links,
            ]
        )

    def html(self) -> str:
        """For a mail."""
        reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in self.reasons)
        links = "".join(
            f'<li><a href="{html.escape(url)}">{html.escape(name)}</a></li>'
            if _is_url(url)
            else f"<li>{html.escape(name)}: <code>{html.escape(url)}</code></li>"
            for name, url in self.links.items()
        )
        return (
            f"<p><b>{html.escape(self.about)}: {html.escape(self.happened)}</b></p>"
            f"<ul>{reasons}</ul><p>run <code>{html.escape(self.run)}</code></p><ul>{links}</ul>"
        )


@final
class AskedNotifier(BaseNotifier):  # type: ignore[misc]  # Airflow's types are not checked here
    """Tells those whom the recipe names that somebody must approve a challenger; never fails the task."""

    def notify(self, context: Context) -> None:
        recipe = _recipe_of(context)
        if recipe is not None:
            question = str(getattr(context["task"], "subject", ""))
            message = _message(recipe, context, "waits for an answer", [question])
            _tell(recipe, "approval_asked", message, context)


def tell_failure(context: Context) -> None:
    """After a task's last try: a gate's word, or what else went wrong."""
    recipe = _recipe_of(context)
    if recipe is None:
        return
    stage, record = context["ti"].task_id, _record_of(recipe, context)
    error = str(context.get("exception") or context.get("reason") or "ended without a word")
    if record is not None and record.error not in error:  # of an earlier try
        record = None
    stopped = [gate for gate in _gates(record) if gate.outcome == "stopped"]
    reasons = [describe(gate) for gate in stopped] or [_shortened(error)]
    kept = _KEPT.search(error)
    by_gate = bool(stopped) or f"{stage}: GateFailed: " in error
    happened = f"a gate stopped {stage}" if by_gate else f"{stage} failed"
    message = _message(recipe, context, happened, reasons, {"what was found": kept[1]} if kept else {})
    _tell(recipe, "gate_stopped" if by_gate else "failed", message, context)


def tell_success(context: Context) -> None:
    """After a stage: gates that spoke and let the run go on; a new champion; the end of a run."""
    recipe = _recipe_of(context)
    record = _record_of(recipe, context) if recipe is not None else None
    if recipe is None or record is None:
        return
    new = record.status != "skipped"
    spoke = [gate for gate in _gates(record) if gate.outcome != "passed"]
    if new and spoke:
        happened = f"{len(spoke)} of the gates of {record.stage} spoke; the run goes on"
        docs = {"data docs": f"{record.uri}.checks/data_docs/index.html"} if record.stage in _DOCS else {}
        message = _message(recipe, context, happened, [describe(gate) for gate in spoke], docs)
        _tell(recipe, "gate_warned", message, context)
    if record.stage in _DECISIONS:
        promoted = new and (record.metrics or {}).get("promoted") == 1
        happened, reason = _decided(recipe, record)
        message = _message(recipe, context, happened if new else f"done before: {happened}", [reason])
        _tell(recipe, "promoted" if promoted else "done", message, context)


def describe(gate: Gate) -> str:
    """One line: which gate, what it found, and what would have passed.

    >>> describe(Gate(name="volume", subject="previous", value=0.4, low=0.5, passed=False, told="half gone"))
    'volume of previous: got 0.4, need at least 0.5: half gone'
    """
    need = [
        f"{words} {bound:.4g}"
        for words, bound in (("at least", gate.low), ("at most", gate.high))
        if bound is not None
    ]
    found = [f"got {gate.value:.4g}"] if gate.value is not None else []
    found += [f"need {' and '.join(need)}"] if need else []
    parts = [f"{gate.name} of {gate.subject}", ", ".join(found), gate.told]
    return ": ".join(part for part in parts if part)


def _decided(recipe: Recipe, record: StageRecord) -> tuple[str, str]:
    """What became of a version, and why, as the artifact says."""
    place = join(record.uri, _DECISIONS[record.stage])
    try:
        document = json.loads(open_store(place).read_bytes(place))
    except (RecloopError, OSError, ValueError) as error:
        return f"{record.stage} is done", f"{place} cannot be read: {error}"
    reason = document.get("reason") or f"{document['action']} by {document['who']}: {document['why']}"
    version = f"version {document.get('version') or document['to_version']} of {recipe.model_name}"
    if document["promoted"]:
        return f"{version} is champion", reason
    stays = "is registered; the champion stays" if record.stage == REGISTER.name else "stays champion"
    return f"{version} {stays}", reason


def _message(
    recipe: Recipe,
    context: Context,
    happened: str,
    reasons: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
) -> Message:
    task = context["ti"]
    evaluated = _read(recipe, task.run_id, EVALUATE)
    report = {"report": join(evaluated.uri, "report.html")} if evaluated and evaluated.uri else {}
    return Message(
        about=recipe.name,
        run=task.run_id,
        happened=happened,
        reasons=reasons,
        links={"log": task.log_url, **report, **(links or {})},
    )


def _tell(recipe: Recipe, occasion: Occasion, message: Message, context: Context) -> None:
    for notification in recipe.notifications:
        if occasion in notification.when:
            try:
                notifier_of(notification, message).notify(context)
            except (
                Exception
            ) as error:  # whatever a notifier meets: a missing connection, a server that is down
                logger.error(
                    "%s could not be told by %s (connection %s): %s",
                    occasion, notification.kind, notification.connection, error,
                )  # fmt: skip


def notifier_of(notification: Notification, message: Message) -> BaseNotifier:
    """Airflow's notifier for one message. Its texts are final: call `notify`, which renders no templates."""
    if notification.kind == "slack":
        from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

        return SlackWebhookNotifier(
            slack_webhook_conn_id=notification.connection,
            text=message.markdown(),
            timeout=_TIMEOUT_S,
            unfurl_links=False,
        )
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    return SmtpNotifier(
        smtp_conn_id=notification.connection,
        to=list(notification.to),
        subject=f"{message.about}: {message.happened}",
        html_content=message.html(),
    )


def _recipe_of(context: Context) -> Recipe | None:
    """The run's recipe, or as its file has it where the run's own settings are the mistake; None where
    nobody is to be told."""
    task: Any = context["task"]
    try:
        recipe = (
            task.read(context)
            if isinstance(task, StageOperator)
            else read_recipe(Path(task.recipe), overrides_of(context))
        )
    except RecloopError as mistake:
        try:
            recipe = read_recipe(Path(task.recipe))
        except RecloopError:
            logger.error("nobody can be told: %s", mistake)
            return None
    return recipe if recipe.notifications else None


def _record_of(recipe: Recipe, context: Context) -> StageRecord | None:
    task: Any = context["task"]
    return _read(recipe, context["ti"].run_id, task.spec) if isinstance(task, StageOperator) else None


def _read(recipe: Recipe, run_id: str, spec: StageSpec) -> StageRecord | None:
    try:
        return read_record(record_place(recipe, run_id, position_of(spec), spec.name))
    except RecloopError as error:
        logger.error("%s", error)
        return None


def _gates(record: StageRecord | None) -> list[Gate]:
    return gates_of({"gates": record.gates}) if record is not None else []


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    half = _REASON_LENGTH // 2
    return line if len(line) <= _REASON_LENGTH else f"{line[:half]} … {line[-half:]}"


def _is_url(place: str) -> bool:
    return place.startswith(("http://", "https://"))


def _plain(text: str) -> str:
    """Text in which Slack finds no commands."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
