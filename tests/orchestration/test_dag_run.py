"""Whole DAG runs in this process, on SQLite, with fake stages."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from components.catalog import STAGES
from components.core.recipe.reading import build_recipe, read_recipe
from components.core.recipe.source import FilesSource
from components.core.runs import RunRecord, plan, read_runs
from dags import OVERRIDES
from dags.factory import build_dag
from dags.stage_operator import StageFailedError, StageOperator, overrides_of

from .conftest import FakeStages

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("airflow_db")]
WriteRecipe = Callable[..., Path]
NO_DELAY = "orchestration: {retries: 2, retry_delay_s: 0, max_retry_delay_s: 1}\n"


def run(file: Path, monkeypatch: pytest.MonkeyPatch, conf: Mapping[str, Any] | None = None) -> Any:
    monkeypatch.setenv("RECLOOP_RECIPES", str(file))
    return build_dag(file, read_recipe(file)).test(run_conf=dict(conf or {}))


def states(dag_run: Any) -> dict[str, tuple[str, int]]:
    return {task.task_id: (str(task.state), task.try_number) for task in dag_run.get_task_instances()}


def record(file: Path) -> RunRecord:
    return read_runs(read_recipe(file))[0]


def asset_events(dag_run: Any) -> dict[str, dict[str, Any]]:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    with create_session() as session:
        events = session.scalars(select(AssetEvent).where(AssetEvent.source_run_id == dag_run.run_id)).all()
        return {event.asset.name: event.extra for event in events}


def test_a_run_passes_uris_and_announces_artifacts(
    write_recipe: WriteRecipe, fake_stages: FakeStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_recipe("parameters: {seed: {default: 1}}\nseed: ${seed}\n")
    dag_run = run(file, monkeypatch, {"seed": 7, OVERRIDES: ["training.model.dim=8"]})
    assert dag_run.state == "success"
    assert states(dag_run) == {spec.name: ("success", 1) for spec in STAGES}
    arguments = fake_stages.arguments("evaluate")
    assert arguments[arguments.index("--in-model") + 1] == "/store/retrain"
    assert arguments[arguments.index("--in-dataset") + 1] == "/store/prepare"
    assert fake_stages.params("prepare")["seed"] == 7
    assert fake_stages.params("retrain")["training"]["model"]["dim"] == 8  # type: ignore[index]
    said = {"uri": "/store/retrain", "sha256": "ab" * 32, "metrics": {"promoted": 1.0}, "skipped": False}
    silent = {"passed": 0, "warned": [], "held": [], "stopped": []}
    said |= {"gates": silent, "pages": {}}
    assert dag_run.get_task_instance("retrain").xcom_pull(task_ids="retrain") == said
    events = asset_events(dag_run)
    assert set(events) == {"recloop/tiny/dataset", "recloop/tiny/model", "recloop/tiny/champion"}
    assert events["recloop/tiny/model"] == said
    kept = record(file)
    assert kept.status == "done"
    assert [stage.uri for stage in kept.stages] == [f"/store/{spec.name}" for spec in STAGES]


@pytest.mark.parametrize("result", [{"metrics": {"promoted": 0.0}}, {"status": "skipped"}])
def test_the_champion_is_announced_only_when_it_is_new(
    write_recipe: WriteRecipe,
    fake_stages: FakeStages,
    monkeypatch: pytest.MonkeyPatch,
    result: dict[str, object],
) -> None:
    fake_stages.plan(register={"result": result})
    dag_run = run(write_recipe(), monkeypatch)
    assert dag_run.state == "success"
    assert set(asset_events(dag_run)) == {"recloop/tiny/dataset", "recloop/tiny/model"}


def test_a_failed_gate_stops_the_run_at_once(
    write_recipe: WriteRecipe, fake_stages: FakeStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_recipe(NO_DELAY)
    fake_stages.plan(prepare={"code": 3, "message": "GateFailed: not enough rows"})
    dag_run = run(file, monkeypatch)
    assert dag_run.state == "failed"
    assert fake_stages.tries("prepare") == 1
    assert fake_stages.tries("search") == 0
    assert states(dag_run)["prepare"] == ("failed", 1)
    assert states(dag_run)["register"][0] == "upstream_failed"
    kept = record(file)
    assert kept.status == "failed"
    assert kept.stages[-1].error == "GateFailed: not enough rows (exit code 3)"


def test_infrastructure_is_tried_again(
    write_recipe: WriteRecipe, fake_stages: FakeStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_recipe(NO_DELAY)
    fake_stages.plan(retrain={"code": 6, "times": 2, "message": "Infrastructure: the disk is full"})
    dag_run = run(file, monkeypatch)
    assert dag_run.state == "success"
    assert states(dag_run)["retrain"] == ("success", 3)
    assert fake_stages.tries("retrain") == 3
    assert record(file).status == "done"


def test_a_stage_that_takes_too_long_is_stopped(
    write_recipe: WriteRecipe, fake_stages: FakeStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_recipe("orchestration: {retries: 0, stage_timeout_s: 2}\n")
    fake_stages.plan(ingest={"sleep": 600})
    dag_run = run(file, monkeypatch)
    assert states(dag_run)["ingest"] == ("failed", 1)
    with pytest.raises(ProcessLookupError):
        os.kill(fake_stages.pid("ingest"), 0)
    assert record(file).stages[0].error == "not done after 0:00:02"


def test_a_mistake_in_the_form_fails_the_first_task(
    write_recipe: WriteRecipe, fake_stages: FakeStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag_run = run(write_recipe(NO_DELAY), monkeypatch, {OVERRIDES: ["training.modle=3"]})
    assert states(dag_run)["ingest"] == ("failed", 1)
    assert fake_stages.tries("ingest") == 0


@pytest.mark.parametrize(
    ("code", "retryable"),
    [(1, True), (2, False), (3, False), (4, False), (5, False), (6, True), (137, True), (143, True)],
)
def test_exit_codes(
    write_recipe: WriteRecipe, fake_stages: FakeStages, tmp_path: Path, code: int, retryable: bool
) -> None:
    recipe = read_recipe(write_recipe())
    fake_stages.plan(ingest={"code": code, "message": "why"})
    spec = STAGES[0]
    operator = StageOperator(task_id="ingest", spec=spec, recipe="", artifacts={})
    with pytest.raises(StageFailedError, match=rf"exit code {code}\)") as failure:
        operator.run_stage(recipe, plan(recipe, spec, {}, record=str(tmp_path / "record.json")), {})
    assert failure.value.retryable is retryable


def test_a_stage_without_a_record_has_failed(
    write_recipe: WriteRecipe, fake_stages: FakeStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_recipe(NO_DELAY)
    fake_stages.plan(ingest={"record": False})
    dag_run = run(file, monkeypatch)
    assert states(dag_run)["ingest"] == ("failed", 3)
    assert record(file).stages[0].error.startswith("ended well, but left no record at /")


def test_a_killed_stage_does_not_count_as_done_because_an_earlier_try_was(
    write_recipe: WriteRecipe, fake_stages: FakeStages, tmp_path: Path
) -> None:
    recipe, place, spec = read_recipe(write_recipe()), str(tmp_path / "record.json"), STAGES[0]
    operator = StageOperator(task_id="ingest", spec=spec, recipe="", artifacts={})
    invocation = plan(recipe, spec, {}, record=place)
    assert operator.run_stage(recipe, invocation, {}).status == "done"
    fake_stages.plan(ingest={"code": 137})
    with pytest.raises(StageFailedError, match=r"ended by SIGKILL \(exit code 137\)"):
        operator.run_stage(recipe, invocation, {})


def test_a_delivery_sets_declared_parameters() -> None:
    event = SimpleNamespace(extra={"place": 's3://shop/Ü "2"/', "unknown": 1}, timestamp=0)
    context = {
        "params": {"place": "here", "count": 3, OVERRIDES: ["seed=1"]},
        "triggering_asset_events": {"delivery": [event]},
    }
    overrides = overrides_of(context)  # type: ignore[arg-type]
    assert overrides == ['place=s3://shop/Ü "2"/', "count=3", "seed=1"]


@pytest.mark.parametrize("place", ["data/shop", 's3://shop/Ü "2"=1/', "17", "yes"])
def test_a_text_parameter_arrives_as_it_is(place: str) -> None:
    document = {
        "name": "shop",
        "parameters": {"place": {"default": "elsewhere"}, "count": {"default": 1}},
        "source": {"kind": "files", "path": "${place}"},
        "training": {"epochs": "${count}"},
    }
    context = {"params": {"place": place, "count": 3, OVERRIDES: []}}
    recipe = build_recipe(document, overrides_of(context), place="here")  # type: ignore[arg-type]
    assert isinstance(recipe.source, FilesSource)
    assert recipe.source.path == place
    assert recipe.training.epochs == 3
