"""The command of a stage, as an operator or a container starts it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.core.manifest import MANIFEST, read_manifest
from components.core.stage import execute


@pytest.fixture
def start(tmp_path, source):
    """Start the toy stage's command."""
    environment = {
        **os.environ, "PYTHONPATH": str(Path(__file__).parent), "TOY_MARKER": str(tmp_path / "marker")
    }  # fmt: skip

    def start(params, *arguments):
        given = params if isinstance(params, str) else json.dumps(params)
        command = [sys.executable, "-m", "toystage", "--params", given, "--in-source", str(source)]
        return subprocess.Popen(
            [*command, *(arguments or ("--out-counts", f"{tmp_path}/out/{{key}}"))],
            env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return start


def wait_until_it_works(tmp_path):
    deadline = time.monotonic() + 20
    while not (tmp_path / "marker").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def scratch(tmp_path):
    return list((tmp_path / "out").glob(".*scratch*"))


def test_the_last_line_says_where_the_artifact_is(start, tmp_path):
    process = start({"factor": 2})
    out, err = process.communicate()
    assert process.returncode == 0, err
    answer = json.loads(out.splitlines()[-1])
    assert len(out.splitlines()) == 1
    assert read_manifest(answer["uri"]).sha256 == answer["sha256"]
    assert (answer["stage"], answer["skipped"], answer["metrics"]) == ("count", False, {"lines": 4.0})
    again, err = start({"factor": 2}).communicate()
    assert json.loads(again)["skipped"]
    assert "already done" in err


def test_parameters_may_come_from_a_file(start, tmp_path):
    (tmp_path / "params.json").write_text('{"factor": 3}')
    out, _ = start(str(tmp_path / "params.json")).communicate()
    assert (Path(json.loads(out)["uri"]) / "table" / "count.txt").read_text() == "12"


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ({"factor": "x", "colour": 1}, 2, "factor: got 'x'"),
        ("none.json", 2, "no such file, and not JSON"),
        ("{", 2, "--params"),
        ({"behave": "gate"}, 3, "too few lines"),
        ({"behave": "enospc"}, 6, "the disk is full"),
        ({"behave": "crash"}, 1, "this is a bug in the stage"),
    ],
)
def test_it_ends_with_a_code_and_a_message(start, tmp_path, params, code, message):
    process = start(params)
    out, err = process.communicate()
    assert (process.returncode, out) == (code, "")
    assert message in err
    assert ("Traceback" in err) == (code == 1)
    assert not list(tmp_path.rglob(MANIFEST))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stage_that_is_stopped_leaves_nothing(start, tmp_path, number, code):
    process = start({"behave": "sleep"})
    wait_until_it_works(tmp_path)
    assert scratch(tmp_path)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in err
    assert not scratch(tmp_path)
    assert not list(tmp_path.rglob(MANIFEST))


def test_a_killed_stage_holds_no_lock_and_its_scratch_goes_next_time(start, tmp_path, toy, source):
    process = start({"behave": "sleep"})
    wait_until_it_works(tmp_path)
    second = start({"behave": "sleep"})
    _, err = second.communicate(timeout=20)
    assert second.returncode == 4
    assert "another run is writing this" in err
    assert f'"pid": {process.pid}' in err
    process.kill()
    process.communicate()
    (stale,) = scratch(tmp_path)
    result = execute(toy.COUNT, toy.ToyParams(), {"source": str(source)}, f"{tmp_path}/out/{{key}}")
    assert not result.skipped
    assert not stale.exists()
    assert not scratch(tmp_path)
