"""The DAGs recloop_promote and recloop_rollback: decisions on the champion, from Airflow's UI or its API.

They do what `recloop promote` and `recloop rollback` do, where the recipe's stages run, in the name of the
user who triggers them.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, AssetAlias, Param

from dags import champion_of
from dags.factory import known_recipes, report_failure, report_retry
from dags.notifications import tell_failure, tell_success
from dags.promote_operator import DecisionOperator

_ASKED: dict[str, tuple[str, str]] = {
    "promote": (
        "Make a version champion",
        "The version; by default the challenger. Its evaluation must speak for it, against today's champion.",
    ),
    "rollback": (
        "Make a former champion champion again",
        "The version; by default the champion before. Takes effect for the next load.",
    ),
}


def build(action: str, recipes: dict[str, str]) -> DAG:
    """The DAG of one kind of decision."""
    title, versions = _ASKED[action]
    params: dict[str, Param] = {
        "recipe": Param(min(recipes), type="string", enum=sorted(recipes), description="Whose model."),
        "version": Param(None, type=["null", "string"], pattern="^[1-9][0-9]*$", description=versions),
        "why": Param(type="string", minLength=1, description="Stands in the ledger beside your name."),
    }
    if action == "promote":
        params["force"] = Param(False, type="boolean", description="Against the evidence; is recorded.")
    settings: dict[str, Any] = {
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "on_failure_callback": [report_failure, tell_failure],
        "on_retry_callback": report_retry,
        "on_success_callback": tell_success,
    }
    with DAG(
        dag_id=f"recloop_{action}",
        schedule=None,
        description=title,
        doc_md=f"{title}. See `recloop {action} --help`; `recloop history MODEL` tells what was decided.",
        is_paused_upon_creation=False,
        tags=["recloop", "promotion"],
        params=params,
        default_args=settings,
    ) as dag:
        DecisionOperator(
            task_id=action,
            action=action,
            recipes=recipes,
            outlets=[AssetAlias(champion_of(name)) for name in sorted(recipes)],
        )
    return dag


_recipes = known_recipes()
if _recipes:
    recloop_promote = build("promote", _recipes)
    recloop_rollback = build("rollback", _recipes)
