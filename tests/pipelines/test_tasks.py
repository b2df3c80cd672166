"""What runs in the containers: the plan, a stage's translation for KFP, and the exit handler."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from components.catalog import INGEST, STAGES
from components.core.errors import GateFailedError
from components.core.recipe.reading import build_recipe
from components.core.runs import StageRecord, read_record, read_runs, record_place, write_record
from components.core.stage import Context, Validation
from pipelines import RUN_ID, component, conclude, interface, plan
from pipelines.protocol import Task

TINY = {
    "name": "tiny",
    "parameters": {"seed": {"default": 5}, "text": {"default": "x"}},
    "seed": "${seed}",
    "description": "${text}",
    "source": {"kind": "synthetic"},
}
Describe = Callable[..., str]
Left = Callable[[], dict[str, Any]]


def values(**more: Any) -> dict[str, Any]:
    return {"recipe": json.dumps(TINY), "seed": 5, "text": "x", "overrides": [], **more}


# The plan


def test_the_plan_takes_the_runs_values(
    executor_input: Describe, executor_output: Left, tmp_path: Path
) -> None:
    given = values(seed=6, text="1e3", overrides=["training.model={kind: mf, dim: 12}"])
    assert plan.main([executor_input(given)]) == 0
    left = executor_output()["parameterValues"]
    assert json.loads(left["search_params"])["training"]["model"]["dim"] == 12
    assert json.loads(left["register_params"])["recipe"]["description"] == "1e3"  # a text stays a text
    recipe = build_recipe(TINY, ["seed=6", "text=1e3", "training.model={kind: mf, dim: 12}"], place="tiny")
    assert left == plan.planned(recipe)
    assert left["runs"] == f"{tmp_path}/workspace/tiny/runs"


def test_the_plan_tells_every_mistake(executor_input: Describe, capsys: pytest.CaptureFixture[str]) -> None:
    given = values(seed=-1, overrides=["training.epochs=none"])
    assert plan.main([executor_input(given)]) == 2
    said = capsys.readouterr().err
    assert "seed: got -1" in said
    assert "training.epochs: got 'none'" in said


@pytest.mark.parametrize(
    "override",
    ["orchestration.retries=9", "training.device=cuda", "source={kind: files, path: /data}"],
)
def test_what_was_compiled_in_stays(
    override: str, executor_input: Describe, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan.main([executor_input(values(overrides=[override]))]) == 2
    assert "compile it again with --set" in capsys.readouterr().err


def test_a_pod_needs_a_workspace_that_others_see(
    executor_input: Describe, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert plan.main([executor_input(values())]) == 2
    assert "name a workspace on s3://" in capsys.readouterr().err


def test_the_plan_finds_a_workspace_that_cannot_be_written(executor_input: Describe, tmp_path: Path) -> None:
    (tmp_path / "workspace").write_text("a file")
    assert plan.main([executor_input(values())]) == 2


# A stage


def write_page(params: Any, inputs: Mapping[str, Path], output: Path, context: Context) -> dict[str, float]:
    (output / "page.html").write_text(f"<p>{params.seed}</p>")
    return {"rows": 3.0}


def refuse(params: Any, inputs: Mapping[str, Path], output: Path, context: Context) -> dict[str, float]:
    raise GateFailedError("too few rows")


def accept(output: Path, params: Any, inputs: Mapping[str, Path], docs: Path) -> Validation:
    return Validation(tables={}, summary={})


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, executor_input: Describe) -> Callable[..., int]:
    """Runs a stage named ingest, which makes a page, as a task of the run `run:1`."""
    fakes = {"run": write_page, "refuse": refuse}
    monkeypatch.setattr("components.core.spec.load_object", lambda path: {**fakes, "accept": accept}[path])
    monkeypatch.setattr(interface, "PAGES", {"interactions": {"report": ("HTML", "page.html")}})
    monkeypatch.setattr(component, "PAGES", interface.PAGES)

    def start(how: str = "run", *, seed: int = 5, run_id: str = "run:1") -> int:
        fake = dataclasses.replace(INGEST, run=how, contract="accept")
        monkeypatch.setattr(component, "STAGES", (fake, *STAGES[1:]))
        monkeypatch.setenv(RUN_ID, run_id)
        task = executor_input(artifacts=("interactions", "report"))
        params = json.dumps({"source": {"kind": "synthetic"}, "seed": seed})
        own = ["ingest", "--task", task, "--runs", f"{tmp_path}/runs", "--page", "report"]
        own += [str(tmp_path / "kfp" / "report")]
        place = f"{tmp_path}/interactions/{{key}}"
        return component.main(
            [*own, "--", "--params", params, "--in-source", "", "--out-interactions", place]
        )

    return start


def test_kfp_learns_what_a_stage_made(
    stage: Callable[..., int], executor_output: Left, tmp_path: Path
) -> None:
    assert stage() == 0
    record = read_record(f"{tmp_path}/runs/run-1/0-ingest.json")
    assert record is not None
    assert record.status == "done"
    left = executor_output()
    assert left["parameterValues"] == {"uri": record.uri, "sha256": record.sha256}
    (made,) = left["artifacts"]["interactions"]["artifacts"]
    assert made["uri"] == str(tmp_path / "kfp" / "interactions")  # KFP's own, or its launcher fails
    shown = made["metadata"]
    assert shown["uri"] == record.uri
    assert shown["sha256"] == record.sha256
    assert shown["status"] == "done"
    assert shown["rows"] == 3.0
    assert shown["seed"] == 5
    assert len(shown["key"]) == 64
    assert "image_digest" not in shown  # none is known here
    assert (tmp_path / "kfp" / "report").read_text() == "<p>5</p>"


def test_kfp_learns_the_same_of_what_was_done_before(
    stage: Callable[..., int], executor_output: Left
) -> None:
    assert stage() == 0
    first = executor_output()
    assert stage(run_id="run:2") == 0
    second = executor_output()
    metadata = [left["artifacts"]["interactions"]["artifacts"][0].pop("metadata") for left in (first, second)]
    assert first == second
    assert metadata[0].pop("status") == "done"
    assert metadata[1].pop("status") == "skipped"
    assert metadata[0] == metadata[1]


def test_a_failed_gate_leaves_a_record_and_nothing_for_kfp(stage: Callable[..., int], tmp_path: Path) -> None:
    assert stage("refuse") == 3
    record = read_record(f"{tmp_path}/runs/run-1/0-ingest.json")
    assert record is not None
    assert record.status == "failed"
    assert "too few rows" in record.error
    assert not (tmp_path / "kfp" / "executor_output.json").exists()


def test_a_retry_forgets_the_earlier_record(
    stage: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stage("refuse") == 3

    def killed(*_: Any) -> int:
        raise SystemExit(137)

    monkeypatch.setattr(component, "stage_command", killed)
    with pytest.raises(SystemExit):
        stage()
    assert read_record(f"{tmp_path}/runs/run-1/0-ingest.json") is None


def test_a_task_outside_of_any_run_leaves_no_record(stage: Callable[..., int], tmp_path: Path) -> None:
    assert stage(run_id="") == 0
    assert not (tmp_path / "runs").exists()


def test_values_may_be_missing() -> None:
    task = Task.parse('{"outputs": {"outputFile": "/x"}}')
    assert task.values == {}
    assert task.artifacts == {}


# The exit handler


def remember(*records: StageRecord, run_id: str = "r1") -> None:
    recipe = build_recipe(TINY, place="tiny")
    for position, record in enumerate(records):
        write_record(record_place(recipe, run_id, position, record.stage), record)


def done(stage: str, status: str = "done", **metrics: float) -> StageRecord:
    started = "2026-01-01T00:00:00+00:00"
    return StageRecord(stage, status, started, 1.0, f"/store/{stage}", "ab" * 32, metrics)


def failed(stage: str, error: str) -> StageRecord:
    return StageRecord(stage, "failed", "2026-01-01T00:00:00+00:00", 1.0, error=error)


NAMES = [spec.name for spec in STAGES]
FAILED = {"state": "FAILED", "error": {"message": "DAG failed"}}


def test_success_names_the_model(
    executor_input: Describe, executor_output: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(
        done("ingest", "skipped"),
        *map(done, NAMES[1:4]),
        done("evaluate", **{"ndcg@20": 0.28459}),
        done("register", version=4, promoted=1),
    )
    monkeypatch.setenv(RUN_ID, "r1")
    assert conclude.main([executor_input(values(status={"state": "SUCCEEDED"}))]) == 0
    said = executor_output()["parameterValues"]["message"]
    assert said == (
        "recloop SUCCEEDED tiny run r1: version 4 of tiny was made champion, ndcg@20 0.2846; "
        "already done: ingest"
    )


@pytest.mark.parametrize(
    ("records", "said"),
    [
        (
            [done("ingest"), failed("prepare", "GateFailed: dataset: test: 0 rows")],
            "at prepare: GateFailed: dataset: test: 0 rows (trying again will not help)",
        ),
        (
            [failed("ingest", "Infrastructure: s3://b: timed out")],
            "at ingest: Infrastructure: s3://b: timed out (try again)",
        ),
        (
            [failed("ingest", "this is a bug in the stage:\nTraceback")],
            "at ingest: this is a bug in the stage: Traceback (try again)",
        ),
        (
            [done("ingest"), done("prepare")],
            "at search, which left no record: its container never started or was ended from outside (memory, "
            "deadline, eviction); try again; Kubeflow says: DAG failed",
        ),
        (
            [],
            "before any stage left a record; see the log of the plan and of ingest; "
            + "Kubeflow says: DAG failed",
        ),
    ],
)
def test_failure_names_the_stage_the_reason_and_what_to_do(records: list[StageRecord], said: str) -> None:
    remember(*records)
    assert conclude.conclude(values(status=FAILED), "r1") == f"recloop FAILED tiny run r1: {said}"


def test_a_recipe_that_the_plan_refused_is_told_again() -> None:
    said = conclude.conclude(values(seed=-1, status=FAILED), "r1")
    assert said.startswith("recloop FAILED run r1: recipe tiny: 1 mistake seed: got -1")
    assert said.endswith("(trying again will not help)")


def test_a_long_reason_keeps_its_end() -> None:
    remember(failed("ingest", "this is a bug in the stage:\n" + "  frame\n" * 500 + "ValueError: the point"))
    said = conclude.conclude(values(status=FAILED), "r1")
    assert "this is a bug" in said
    assert said.endswith("ValueError: the point (try again)")
    assert len(said) < 700


def test_kubeflows_runs_are_listed_with_the_others() -> None:
    remember(*map(done, NAMES[:5]), done("register", version=1, promoted=0), run_id="0f6d7a52-uid")
    (run,) = read_runs(build_recipe(TINY, place="tiny"))
    assert run.run_id == "0f6d7a52-uid"
    assert run.status == "done"
