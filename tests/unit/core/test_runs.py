import json
import shlex
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.catalog import INGEST, PREPARE, REGISTER, STAGES
from components.core.errors import GateFailedError, IntegrityError, InvalidInputError
from components.core.gates import Gate
from components.core.recipe.reading import build_recipe
from components.core.runs import (
    StageRecord,
    check_workspace,
    new_run_id,
    plan,
    read_runs,
    record_place,
    slug,
    write_record,
)
from components.core.stage import StageResult


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    document = {
        "name": "toy",
        "workspace": str(tmp_path),
        "source": {"kind": "files", "parts": {"train": "/in/a", "test": "s3://b/c"}},
        "prepare": {"split": {"kind": "given"}},
    }
    return build_recipe(document, place="toy")


def test_the_plan_follows_the_catalogue(recipe, tmp_path):
    artifacts = {}
    for spec in STAGES:
        todo = plan(recipe, spec, artifacts)
        assert isinstance(todo.params, spec.params)
        assert todo.output == f"{tmp_path}/toy/{spec.output}/{{key}}"
        assert set(todo.inputs) == {entry.name for entry in spec.inputs if entry.required} or spec is INGEST
        artifacts[spec.output] = f"/artifacts/{spec.output}"
    assert plan(recipe, INGEST, {}).inputs == {"train": "/in/a", "test": "s3://b/c"}


def test_the_command_carries_the_parameters_whole(recipe):
    todo = plan(recipe, PREPARE, {"interactions": "/artifacts/with space"})
    command = shlex.split(shlex.join(todo.command()))
    assert command[:3] == ["python", "-m", "components.prepare"]
    assert PREPARE.parse(command[4]) == todo.params
    assert command[5:] == ["--in-interactions", "/artifacts/with space", "--out-dataset", todo.output]


@given(st.text())
def test_a_slug_may_stand_in_a_path(text):
    assert set(slug(text)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
    assert slug(slug(text)) == slug(text)
    assert not slug(text).startswith(".")


def test_run_ids_sort_by_time_and_keep_airflows():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [new_run_id(start + timedelta(microseconds=step)) for step in (0, 1, 10**6, 10**11)]
    assert ids == sorted(set(ids))
    assert [slug(run_id) for run_id in ids] == ids
    assert slug("scheduled__2026-01-01T00:00:00+00:00") == "scheduled__2026-01-01T00-00-00-00-00"


def record(stage, status="done", minute=0, **more):
    return StageRecord(stage, status, f"2026-01-01T00:{minute:02d}:00+00:00", 2.0, **more)


def test_runs_come_back_as_they_were_the_newest_first(recipe):
    assert read_runs(recipe) == []
    told = {
        "old": [record(spec.name, uri="/u", sha256="s", metrics={"a": 0.1}) for spec in STAGES],
        "new": [record("ingest", "skipped", 5), record("prepare", "failed", 6, error="empty core")],
        "cut": [record("ingest", minute=3)],
    }
    for run_id, records in told.items():
        for position, entry in enumerate(records):
            write_record(record_place(recipe, run_id, position, entry.stage), entry)
    runs = read_runs(recipe)
    assert [(run.run_id, run.status) for run in runs] == [
        ("new", "failed"), ("cut", "unfinished"), ("old", "done")
    ]  # fmt: skip
    assert {run.run_id: list(run.stages) for run in runs} == told
    write_record(record_place(recipe, "new", 1, "prepare"), record("prepare", minute=7))  # a retry
    assert read_runs(recipe)[0].status == "unfinished"


def test_records_of_results():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    result = StageResult("register", "/u", "sha", {"version": 1.0}, True, 0.5)
    assert StageRecord.of(result, now) == StageRecord(
        "register", "skipped", "2026-01-01T00:00:00.000+00:00", 0.5, "/u", "sha", {"version": 1.0}
    )
    gate = Gate(name="volume", subject="interactions", passed=False)
    stopped = StageRecord.failed("ingest", "why", now, GateFailedError("why", [gate]))
    assert stopped.gates == [gate.document()]
    failed = StageRecord.failed("register", "why", now)
    assert (failed.status, failed.error) == ("failed", "why")
    assert REGISTER.name == "register"


@pytest.mark.parametrize("text", ["", "[]", '{"stage": "x"}', json.dumps({**record("x").__dict__, "y": 1})])
def test_a_record_that_is_none(recipe, tmp_path, text):
    write_record(record_place(recipe, "run", 0, "ingest"), record("ingest"))
    (tmp_path / "toy" / "runs" / "run" / "0-ingest.json").write_text(text)
    with pytest.raises(IntegrityError, match=r"0-ingest\.json: not the record of a stage; delete it"):
        read_runs(recipe)


def test_an_unusable_workspace_is_found_before_any_work(recipe, tmp_path):
    check_workspace(recipe)
    assert read_runs(recipe) == []
    (tmp_path / "file").touch()
    blocked = recipe.model_copy(update={"workspace": str(tmp_path / "file")})
    with pytest.raises(InvalidInputError, match=rf"^workspace {tmp_path}/file: .*Not a directory"):
        check_workspace(blocked)
