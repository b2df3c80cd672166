"""Decisions on the champion as tasks: they run where the recipe's stages run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import Context

from components.catalog import PROMOTE, position_of
from components.core.recipe import PromoteParams, Recipe
from components.core.recipe.base import ledgers_in
from components.core.recipe.reading import read_recipe
from components.core.runs import Invocation, record_place
from components.core.store import join, open_store
from dags import COMMENT
from dags.stage_operator import StageOperator

APPROVE = "Approve"
_NOBODY = "nobody"


class DecisionOperator(StageOperator):
    """Runs the promote stage with what a run's parameters say: of the DAGs recloop_promote and
    recloop_rollback.

    Args:
        action: promote or rollback.
        recipes: name → path of every recipe.
    """

    def __init__(self, *, action: str, recipes: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(spec=PROMOTE, recipe="", artifacts={}, **kwargs)
        self.action, self.recipes = action, recipes

    def read(self, context: Context) -> Recipe:
        return read_recipe(Path(self.recipes[context["params"]["recipe"]]))

    def plan(self, recipe: Recipe, context: Context) -> Invocation:
        params, run = context["params"], context["dag_run"]
        return invocation_of(
            recipe,
            context,
            action=self.action,
            version=params["version"] or None,
            who=run.triggering_user_name or "Airflow",
            why=params["why"],
            force=params.get("force", False),
            decision=f"{run.dag_id} {run.run_id}",
        )


class AnswerOperator(StageOperator):
    """Runs the promote stage with what a person has answered in this run.

    Args:
        registration: what the register stage returned.
        answer: what the task that asked returned.
    """

    template_fields = ("artifacts", "answer")

    def __init__(
        self, *, recipe: str, registration: Mapping[str, Any], answer: Mapping[str, Any], **kwargs: Any
    ) -> None:
        super().__init__(spec=PROMOTE, recipe=recipe, artifacts={"registration": registration}, **kwargs)
        self.answer = answer

    def plan(self, recipe: Recipe, context: Context) -> Invocation:
        registration = self.artifacts["registration"]
        user = self.answer["responded_by_user"]
        comment = str((self.answer["params_input"] or {}).get(COMMENT) or "").strip()
        approved = self.answer["chosen_options"] == [APPROVE]
        unasked = f"no answer within {recipe.promotion.answer_within_s:,} s"
        return invocation_of(
            recipe,
            context,
            inputs={"registration": registration["uri"]},
            approved=approved,
            who=(user["name"] or user["id"]) if user else _NOBODY,
            why=comment or (("approved" if approved else "rejected") if user else unasked),
            answered=self.answer["responded_at"].isoformat(timespec="seconds"),
            decision=decision_on(registration),
        )


def decision_on(registration: Mapping[str, Any]) -> str:
    """Names the answer to the question whether a registered version becomes champion: asked once."""
    return f"approve {registration['sha256']}"


def registered(uri: str) -> dict[str, Any]:
    """What stands in a registration."""
    place = join(uri, "registration.json")
    document: dict[str, Any] = json.loads(open_store(place).read_bytes(place))
    return document


def invocation_of(
    recipe: Recipe, context: Context, *, inputs: Mapping[str, str] | None = None, **decided: Any
) -> Invocation:
    """The promote stage for a recipe's model."""
    params = PromoteParams(
        model=recipe.model_name,
        tracking_uri=recipe.tracking_uri,
        ledger=ledgers_in(recipe.workspace_uri),
        **decided,
    )
    output = join(recipe.workspace_uri, recipe.name, PROMOTE.output, "{key}")
    record = record_place(recipe, context["run_id"], position_of(PROMOTE), PROMOTE.name)
    return Invocation(PROMOTE, params, dict(inputs or {}), output, record)
