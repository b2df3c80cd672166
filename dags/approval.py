"""A person's word on a challenger that has won: the question, as a task and as a page."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from components.core.errors import RecloopError
from components.core.recipe import Recipe
from components.core.recipe.reading import read_recipe
from components.core.store import join, open_store
from components.core.verdict import VERDICT_FILE, Comparison, Verdict
from components.registry.ledger import Ledger
from dags import COMMENT
from dags.promote_operator import decision_on, registered
from dags.stage_operator import overrides_of

_ALL = "all users"


class ApproveOperator(ApprovalOperator):  # type: ignore[misc]  # Airflow's types are not checked here
    """Asks whether the challenger is to be champion, where the verdict says that it may.

    There is nothing to ask, and the task is skipped, where the verdict says no, this run's policy is
    another, or the same registration was answered before. A no is an answer: the next task records it.

    Args:
        recipe: path of the recipe.
        evaluation, registration: what the stages `evaluate` and `register` returned.
    """

    template_fields = ("subject", "evaluation", "registration")
    ui_color = "#fdf3d8"

    def __init__(
        self,
        *,
        recipe: str,
        evaluation: Mapping[str, Any],
        registration: Mapping[str, Any],
        answer_within_s: int,
        **kwargs: Any,
    ) -> None:
        comment = Param(
            "",
            type=["null", "string"],
            title="Comment",
            description="Stands in the ledger beside your name.",
            source="task",
        )
        super().__init__(
            **{
                **kwargs,  # with the DAG's parameters, which are none of the question's
                "params": {COMMENT: comment},
                "execution_timeout": None,  # would end the waiting
                "subject": "Make the challenger champion?",
                "defaults": self.REJECT,  # if nobody answers
                "response_timeout": timedelta(seconds=answer_within_s),
            }
        )
        self.recipe, self.evaluation, self.registration = recipe, evaluation, registration

    def execute(self, context: Context) -> Any:
        """Ask, if there is something to ask."""
        try:
            recipe = read_recipe(Path(self.recipe), overrides_of(context))
            verdict = read_verdict(self.evaluation["uri"])
            found = registered(self.registration["uri"])
            unasked = self._unasked(recipe, verdict, found)
        except RecloopError as error:
            kind = AirflowException if error.retryable else AirflowFailException
            raise kind(str(error)) from None
        if unasked:
            raise AirflowSkipException(unasked)
        self.subject = f"Make version {found['version']} of {found['model']} champion?"
        self.body = page(recipe, verdict, found, self.evaluation["uri"])
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """The answer. ApprovalOperator's own would skip what follows a no, and the no would be lost."""
        answer = HITLOperator.execute_complete(self, context, event)
        user = answer["responded_by_user"] or {"name": "nobody in time"}
        self.log.info("%s, by %s", ", ".join(answer["chosen_options"]), user["name"])
        return answer

    def _unasked(self, recipe: Recipe, verdict: Verdict, found: Mapping[str, Any]) -> str:
        """Why nobody is asked; empty if somebody is."""
        if recipe.promotion.policy != "approve":
            return f"the policy of this run is {recipe.promotion.policy}"
        if not verdict.promote:
            return f"the verdict says no: {verdict.reason}"
        entries = Ledger(found["ledger"]).read()
        key = decision_on(self.registration)
        answered = [entry for entry in entries if entry.evidence.get("decision") == key]
        if answered:
            return f"was answered before: {answered[0].action} by {answered[0].who}"
        champion = entries[-1].to_version if entries else verdict.champion_version
        if champion != verdict.champion_version:
            return f"compared with version {verdict.champion_version}, but version {champion} is champion now"
        return ""


def read_verdict(evaluation: str) -> Verdict:
    """The verdict of an evaluation."""
    place = join(evaluation, VERDICT_FILE)
    return Verdict.parse(open_store(place).read_bytes(place))


def page(recipe: Recipe, verdict: Verdict, found: Mapping[str, Any], evaluation: str) -> str:
    """Markdown: what the answer can rest on."""
    return "\n\n".join(part for part in _parts(recipe, verdict, found, evaluation) if part)


def _parts(recipe: Recipe, verdict: Verdict, found: Mapping[str, Any], evaluation: str) -> Iterator[str]:
    champion = verdict.champion_version
    named = f"**Version {found['version']}** of `{found['model']}`, from recipe `{recipe.name}`"
    yield f"{named}: {verdict.reason}."
    yield (
        f"It was compared with version {champion}, the champion, on {verdict.num_users:,} test users."
        if champion
        else "There is no champion yet: it was compared with the baselines."
    )
    yield _table(
        "Gates",
        ("", "gate", "of", "found"),
        [(gate.outcome, gate.name, gate.subject, gate.told) for gate in verdict.gates],
    )
    for other, comparisons in sorted(verdict.comparisons.items()):  # the champion comes first
        name = "the champion" if other == "champion" else other.replace("_", "-")
        ordered = sorted(comparisons, key=lambda metric: (metric != verdict.metric, metric))
        rows = [_comparison(metric, comparisons[metric]) for metric in ordered]
        yield _table(
            f"Against {name}",
            ("metric", "challenger", name, "difference", f"{verdict.confidence:.0%} interval", "p", "users"),
            rows,
        )
    yield _table(
        "Slices",
        ("whose", "metric", "users", "challenger", "champion", "difference", "interval"),
        [
            (
                one.slice.replace("all", _ALL).replace("_", " "),
                one.metric,
                f"{one.users:,}",
                _number(one.challenger),
                _number(one.champion),
                _signed(one.difference),
                _interval(one.low, one.high),
            )
            for one in verdict.slices
        ],
    )
    yield _table(
        "Beyond accuracy",
        ("measure", "challenger", "champion", "popularity", "item-knn"),
        [
            (name, *map(_number, (one.challenger, one.champion, one.popularity, one.item_knn)))
            for name, one in sorted(verdict.beyond_accuracy.items())
        ],
    )
    where = f"{recipe.tracking_uri}/#/models/{found['model']}/versions/{found['version']}"
    registry = f"<{where}>" if where.startswith("http") else f"`{recipe.tracking_uri}`"
    yield f"Report: `{join(evaluation, 'report.html')}`  \nMLflow: {registry}, run `{found['run_id']}`"
    yield "Approve makes it champion, for the next load; Reject changes nothing. The ledger keeps both."


def _comparison(metric: str, compared: Comparison) -> tuple[str, ...]:
    return (
        metric,
        _number(compared.challenger),
        _number(compared.other),
        _signed(compared.difference),
        _interval(compared.low, compared.high),
        f"{compared.p_value:.3g}",
        f"{compared.better:,} better, {compared.equal:,} equal, {compared.worse:,} worse",
    )


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = [columns, tuple("---" for _ in columns), *rows]
    return f"### {title}\n\n" + "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.4f}"


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{low:+.4f} … {high:+.4f}"
