"""DAGs have the catalogue's shape and the recipe's settings."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, Asset, AssetAlias

from components.catalog import STAGES
from components.core.errors import InvalidInputError
from components.core.recipe.reading import read_recipe
from dags import HOME, OVERRIDES
from dags.factory import build_dag, load

WriteRecipe = Callable[..., Path]


def dag_of(file: Path) -> DAG:
    return build_dag(file, read_recipe(file))


def test_the_golden_dag(write_recipe: WriteRecipe) -> None:
    dag = dag_of(write_recipe("training: {device: auto}"))
    seen = {
        task.task_id: (sorted(task.upstream_task_ids), task.pool, [outlet.name for outlet in task.outlets])
        for task in dag.tasks
    }
    assert seen == {
        "ingest": ([], "default_pool", []),
        "prepare": (["ingest"], "default_pool", ["recloop/tiny/dataset"]),
        "search": (["prepare"], "gpu", []),
        "retrain": (["prepare", "search"], "gpu", ["recloop/tiny/model"]),
        "evaluate": (["ingest", "prepare", "retrain", "search"], "gpu", []),
        "register": (
            ["evaluate", "ingest", "prepare", "retrain", "search"],
            "default_pool",
            ["recloop/tiny/champion"],
        ),
    }
    assert isinstance(dag.get_task("register").outlets[0], AssetAlias)
    assert dag.max_active_runs == 1
    assert not dag.catchup


def test_the_dag_is_the_catalogue(write_recipe: WriteRecipe) -> None:
    dag = dag_of(write_recipe())
    made_by = {spec.output: spec.name for spec in STAGES}
    for spec in STAGES:
        needs = {made_by[entry.artifact] for entry in spec.inputs if entry.required and entry.artifact}
        assert dag.get_task(spec.name).upstream_task_ids == needs


def test_orchestration_section(write_recipe: WriteRecipe) -> None:
    dag = dag_of(
        write_recipe(
            "description: |\n  One line.\n  Another.\n"
            "orchestration: {owner: ana, tags: [shop], paused: true, retries: 5, retry_delay_s: 10,"
            " max_retry_delay_s: 90, stage_timeout_s: 120}\n"
        )
    )
    assert dag.description == "One line."
    assert dag.tags == {"recloop", "shop"}
    assert dag.is_paused_upon_creation is True
    for task in dag.tasks:
        assert task.owner == "ana"
        assert task.retries == 5
        assert task.retry_delay == timedelta(seconds=10)
        assert task.retry_exponential_backoff == 2.0
        assert task.max_retry_delay == timedelta(seconds=90)
        assert task.execution_timeout == timedelta(seconds=120)
        assert task.has_on_failure_callback


def test_work_on_the_cpu_does_not_queue_for_the_gpu(write_recipe: WriteRecipe) -> None:
    dag = dag_of(write_recipe("training: {device: cpu}"))
    assert {task.pool for task in dag.tasks} == {"default_pool"}


def test_the_trigger_form_shows_the_parameters(write_recipe: WriteRecipe) -> None:
    dag = dag_of(
        write_recipe(
            "parameters:\n"
            "  place: {default: here, description: where the data lies}\n"
            "  count: {default: 3}\n  rate: {default: 0.5}\n  fast: {default: false}\n"
        )
    )
    params = {name: dag.params.get_param(name) for name in dag.params}
    shown = {name: (param.value, param.schema["type"]) for name, param in params.items()}
    assert shown == {
        "place": ("here", "string"),
        "count": (3, "integer"),
        "rate": (0.5, "number"),
        "fast": (False, "boolean"),
        OVERRIDES: ([], "array"),
    }
    assert params["place"].description == "where the data lies"


def test_no_schedule(write_recipe: WriteRecipe) -> None:
    dag = dag_of(write_recipe())
    assert dag.schedule is None
    assert dag.start_date is None


def test_cron_waits_for_its_next_tick(write_recipe: WriteRecipe) -> None:
    dag = dag_of(write_recipe('schedule: {kind: cron, cron: "0 4 * * 1", timezone: Europe/Berlin}'))
    assert dag.timetable.expression == "0 4 * * 1"
    assert str(dag.timetable.timezone) == "Europe/Berlin"
    assert dag.start_date is None  # with one in the past Airflow would run the latest tick at once
    assert not dag.catchup


def test_cron_catches_up_when_asked(write_recipe: WriteRecipe) -> None:
    dag = dag_of(
        write_recipe(
            'schedule: {kind: cron, cron: "@daily", timezone: Europe/Berlin, start: 2026-03-01,'
            " catchup: true}"
        )
    )
    assert dag.catchup
    assert dag.start_date == datetime(2026, 3, 1, tzinfo=ZoneInfo("Europe/Berlin"))


def test_a_start_in_the_future_is_kept(write_recipe: WriteRecipe) -> None:
    dag = dag_of(write_recipe('schedule: {kind: cron, cron: "@daily", start: 2199-01-01}'))
    assert dag.start_date == datetime(2199, 1, 1, tzinfo=ZoneInfo("UTC"))


def test_a_delivery(write_recipe: WriteRecipe) -> None:
    dag = dag_of(write_recipe("schedule: {kind: asset, asset: 's3://shop/orders'}"))
    assert dag.timetable.asset_condition == Asset(uri="s3://shop/orders")


@pytest.mark.parametrize("cron", ["@often", "noon * * * *", "*/0 * * * *"])
def test_a_cron_that_airflow_cannot_read(write_recipe: WriteRecipe, cron: str) -> None:
    file = write_recipe(f"schedule: {{kind: cron, cron: '{cron}'}}")
    with pytest.raises(InvalidInputError, match=rf"tiny\.yaml: schedule\.cron: got '{re.escape(cron)}'"):
        dag_of(file)


def test_documentation_tells_what_the_recipe_does(write_recipe: WriteRecipe) -> None:
    text = "description: Rows | columns\ntraining: {model: {kind: lightgcn}, epochs: 7}"
    page = dag_of(write_recipe(text)).doc_md
    assert page is not None
    assert "`lightgcn`, sampler `uniform`, at most 7 epochs" in page
    assert text in page


def test_documentation_of_a_classifier_tells_of_fields_and_losses(write_recipe: WriteRecipe) -> None:
    text = "task: classification\npromotion: {limits: {auc: {min: 0.7}, calibration: {min: 0.9, max: 1.1}}}\n"
    page = dag_of(write_recipe(text)).doc_md
    for line in (
        "| prepare | 6 fields, split `random` |",
        "| training | `deepfm`, loss `cross_entropy`, at most 30 epochs, on `auto` |",
        "limits: `auc` ≥ 0.7, `calibration` ≥ 0.9 and ≤ 1.1; who wins is promoted at once |",
    ):
        assert line in page


def test_a_broken_recipe_leaves_the_others_alone(
    write_recipe: WriteRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = write_recipe(), write_recipe("traning: {}", name="bad")
    again = good.with_name("again.yaml")
    again.write_text(good.read_text())
    monkeypatch.setenv("RECLOOP_RECIPES", f"{good.parent}:{good.parent / 'gone.yaml'}")
    bag = DagBag(HOME / "dags", bundle_path=HOME / "dags", bundle_name="test")
    assert sorted(bag.dags) == ["recloop_promote", "recloop_rollback", "tiny"]
    assert bag.dags["tiny"].relative_fileloc == "recipes.py"
    assert list(bag.import_errors) == ["recipe_errors.py"]  # else Airflow would disable recipes.py
    message = bag.import_errors["recipe_errors.py"]
    assert f"{bad}: 1 mistake" in message
    assert "did you mean 'training'?" in message
    assert f"'tiny', but {again} makes the DAG tiny" in message
    assert "gone.yaml: cannot be read" in message


def test_the_included_recipes_load() -> None:
    files = sorted((HOME / "pipelines" / "recipes").glob("*.yaml"))
    dags, problems = load(files)
    assert problems == []
    assert {"demo", "ml-100k", "taobao-buy", "gowalla"} <= {dag.dag_id for dag in dags}
