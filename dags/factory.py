"""From recipes to DAGs."""

import contextlib
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, Asset, AssetAlias, Context, CronTriggerTimetable, Param
from airflow.sdk.exceptions import AirflowTimetableInvalid

from components.catalog import PROMOTE, STAGES
from components.core.errors import InvalidInputError
from components.core.recipe import Recipe
from components.core.recipe.orchestration import Schedule
from components.core.recipe.reading import read_recipe
from components.core.stage import StageSpec
from dags import GPU_POOL, HOME, OVERRIDES, champion_of
from dags.approval import ApproveOperator
from dags.documentation import document
from dags.notifications import AskedNotifier, tell_failure, tell_success
from dags.promote_operator import AnswerOperator
from dags.stage_operator import StageOperator

logger = logging.getLogger(__name__)
_REASON_LENGTH = 600
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
# A tick this recent still counts for a new DAG: it may have passed between two looks of the scheduler.
_FIRST_RUN_WINDOW = timedelta(minutes=5)


def recipe_files() -> list[Path]:
    """The recipes: in `$RECLOOP_RECIPES` (directories and files, separated by colons) or the project."""
    named = os.environ.get("RECLOOP_RECIPES") or str(HOME / "pipelines" / "recipes")
    places = [Path(place).expanduser() for place in named.split(":") if place]
    return [
        file for place in places for file in (sorted(place.glob("*.y*ml")) if place.is_dir() else [place])
    ]


def known_recipes() -> dict[str, str]:
    """Name → path of every good recipe."""
    found: dict[str, str] = {}
    for file in recipe_files():
        with contextlib.suppress(InvalidInputError):  # told by recipe_errors.py
            found.setdefault(read_recipe(file).name, str(file.absolute()))
    return found


def load(files: Sequence[Path]) -> tuple[list[DAG], list[str]]:
    """The DAGs of every good recipe, and what is wrong with the others."""
    dags: dict[str, tuple[Path, DAG]] = {}
    problems = []
    for file in files:
        try:
            recipe = read_recipe(file)
            made = {dag.dag_id: (file, dag) for dag in _dags_of(file, recipe)}
            for taken in made.keys() & dags.keys():
                raise InvalidInputError(
                    f"recipe {file}: name: got {recipe.name!r}, but {dags[taken][0]} makes the DAG {taken}"
                )
            dags |= made
        except InvalidInputError as error:
            problems.append(str(error))
    return [dag for _, dag in dags.values()], problems


def _dags_of(file: Path, recipe: Recipe) -> list[DAG]:
    dags = [build_dag(file, recipe)]
    schedule = recipe.schedule
    if schedule.kind == "asset" and schedule.each is not None:
        from dags.deliveries import build_dispatcher  # brings Airflow's database models, which few need

        dags.append(
            build_dispatcher(file, recipe, schedule.asset, schedule.each, default_args=_default_args(recipe))
        )
    return dags


def build_dag(file: Path, recipe: Recipe, operator: type[StageOperator] = StageOperator) -> DAG:
    """The recipe's DAG: a task for each stage, wired as the catalogue says.

    Raises:
        InvalidInputError: the schedule means nothing to Airflow.
    """
    how = recipe.orchestration
    schedule = recipe.schedule
    with DAG(
        dag_id=recipe.name,
        auto_register=False,  # else every file that builds DAGs would own them; see recipe_errors.py
        schedule=_timetable(file, schedule),
        start_date=_start(schedule),
        catchup=schedule.kind == "cron" and schedule.catchup,
        description=recipe.description.strip().partition("\n")[0],
        doc_md=document(file, recipe),
        max_active_runs=1,
        is_paused_upon_creation=how.paused,
        tags=["recloop", *how.tags],
        params=_params(recipe),
        default_args=_default_args(recipe),
    ) as dag:
        made: dict[str, Any] = {}
        for spec in STAGES:
            made[spec.output] = operator(
                task_id=spec.name,
                spec=spec,
                recipe=str(file.absolute()),
                artifacts={entry.name: made[entry.name] for entry in spec.inputs if entry.name in made},
                outlets=_outlets(recipe, spec),
                pool=GPU_POOL if spec.resources.gpu and recipe.training.device != "cpu" else None,
            ).output
        if recipe.promotion.policy == "approve":
            _ask(file, recipe, made)
    return dag


def _ask(file: Path, recipe: Recipe, made: dict[str, Any]) -> None:
    """Somebody's answer, and what follows from it."""
    asked = ApproveOperator(
        task_id="approve",
        recipe=str(file.absolute()),
        evaluation=made["evaluation"],
        registration=made["registration"],
        answer_within_s=recipe.promotion.answer_within_s,
        notifiers=[AskedNotifier()],
    )
    AnswerOperator(
        task_id=PROMOTE.name,
        recipe=str(file.absolute()),
        registration=made["registration"],
        answer=asked.output,
        outlets=_outlets(recipe, PROMOTE),
    )


def _default_args(recipe: Recipe) -> dict[str, Any]:
    how = recipe.orchestration
    return {
        "owner": how.owner,
        "retries": how.retries,
        "retry_delay": timedelta(seconds=how.retry_delay_s),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(seconds=how.max_retry_delay_s),
        "execution_timeout": timedelta(seconds=how.stage_timeout_s),
        "on_failure_callback": [report_failure, tell_failure],
        "on_retry_callback": report_retry,
        "on_success_callback": tell_success,
    }


def report_failure(context: Context) -> None:
    """One line that says what failed, why, and where to read on."""
    _report("FAILED", context)


def report_retry(context: Context) -> None:
    """The same for a fault that will be tried again."""
    _report("will be retried:", context)


def _report(what: str, context: Context) -> None:
    task = context["ti"]
    reason = " ".join(str(context.get("exception") or "unknown").split())
    if len(reason) > _REASON_LENGTH:  # a bug's traceback: how it starts, and the error at its end
        reason = f"{reason[: _REASON_LENGTH // 4]} … {reason[-3 * _REASON_LENGTH // 4 :]}"
    logger.error(
        "%s %s.%s in run %s: %s; log: %s", what, task.dag_id, task.task_id, task.run_id, reason, task.log_url
    )


def _timetable(file: Path, schedule: Schedule) -> Asset | CronTriggerTimetable | None:
    if schedule.kind == "manual":
        return None
    if schedule.kind == "asset":
        return Asset(uri=schedule.asset)
    timetable = CronTriggerTimetable(
        schedule.cron, timezone=schedule.timezone, run_immediately=_FIRST_RUN_WINDOW
    )
    try:
        timetable.validate()
    except AirflowTimetableInvalid as error:
        raise InvalidInputError(f"recipe {file}: schedule.cron: got {schedule.cron!r}: {error}") from error
    return timetable


def _start(schedule: Schedule) -> datetime | None:
    # With a start in the past and no catch-up, Airflow would run the latest tick at once; with none it
    # waits for the next.
    if schedule.kind != "cron":
        return None
    start = datetime.combine(schedule.start, time.min, ZoneInfo(schedule.timezone))
    return start if schedule.catchup or start > datetime.now(UTC) else None


def _params(recipe: Recipe) -> dict[str, Param]:
    params = {
        name: Param(
            parameter.default, description=parameter.description or None, type=_TYPES[type(parameter.default)]
        )
        for name, parameter in recipe.parameters.items()
    }
    return params | {
        OVERRIDES: Param(
            [],
            type="array",
            items={"type": "string", "pattern": "^[^=]+="},
            description="Any other key of the recipe, one a line, such as `training.model.dim=32`.",
        )
    }


def _outlets(recipe: Recipe, spec: StageSpec) -> list[Asset | AssetAlias]:
    if spec.output in {"dataset", "model"}:
        return [Asset(f"recloop/{recipe.name}/{spec.output}")]
    if spec.output in {"registration", "promotion"}:  # an alias: news only when a model was promoted
        return [AssetAlias(champion_of(recipe.name))]
    return []
