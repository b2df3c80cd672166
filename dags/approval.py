"""A person's word on a challenger that has won: the question, as a task."""

from collections.abc import Mapping
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
from components.core.verdict import VERDICT_FILE, AnyVerdict, parse_verdict
from components.registry.ledger import Ledger
from dags import COMMENT
from dags.promote_operator import decision_on, registered
from dags.stage_operator import overrides_of
from dags.verdict_page import page


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

    def _unasked(self, recipe: Recipe, verdict: AnyVerdict, found: Mapping[str, Any]) -> str:
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


def read_verdict(evaluation: str) -> AnyVerdict:
    """The verdict of an evaluation."""
    place = join(evaluation, VERDICT_FILE)
    return parse_verdict(open_store(place).read_bytes(place))
