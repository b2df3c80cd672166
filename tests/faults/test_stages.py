"""Stages whose workspace is in S3, while things go wrong: finished and right, or not there."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.catalog import STAGES
from components.core.errors import InfrastructureError
from components.core.manifest import MANIFEST
from components.core.recipe.reading import build_recipe
from components.core.runs import plan
from components.core.stage import execute
from components.core.store import open_store
from tests.faults import leased_stage
from tests.faults.leased_stage import Params

PROJECT = Path(__file__).parents[2]
DEAD_S = 4.0


@pytest.fixture
def source(bucket):
    uri = f"{bucket}/in/a.txt"
    open_store(uri).write_bytes(uri, b"some text")
    return uri


def finished(contents):
    """The artifacts that are there."""
    return {name for name in contents() if name.endswith(MANIFEST)}


def run_stages(workspace):
    """Ingest and prepare a synthetic data set; the artifacts' hashes."""
    document = {
        "name": "toy",
        "workspace": workspace,
        "source": {"kind": "synthetic", "num_users": 60, "num_items": 40},
        "registry": {"tracking_uri": "http://nobody"},
    }
    recipe = build_recipe(document, place="toy")
    artifacts, hashes = {}, {}
    for spec in STAGES[:2]:
        invocation = plan(recipe, spec, artifacts)
        result = execute(spec, invocation.params, invocation.inputs, invocation.output)
        artifacts[spec.output] = result.uri
        hashes[spec.output] = result.sha256
    return hashes


def test_the_first_stages_through_a_bad_network_make_the_same_bytes(proxy, bucket, contents, tmp_path):
    parquet = r"\.parquet"
    faults = [
        proxy.add(method="PUT", path=parquet, cut_request_at=200, times=2),
        proxy.add(method="GET", path=parquet, cut_response_at=100, times=2),
        proxy.add(method="PUT", path=MANIFEST, lose_answer=True, times=1),
        proxy.add(method="PUT", path=MANIFEST, answer=(503, "SlowDown"), times=1),
        proxy.add(method="GET", path=MANIFEST, answer=(500, "InternalError"), times=2),
        proxy.add(method="HEAD", answer=(500, "InternalError"), times=2),
    ]
    through = run_stages(bucket)
    assert [fault.times for fault in faults] == [0] * len(faults)
    assert through == run_stages(str(tmp_path))
    assert len(finished(contents)) == 2
    assert not [name for name in contents() if name.endswith(".lock") or name.startswith("unfinished")]


def test_an_upload_that_fails_leaves_nothing_finished(proxy, bucket, source, contents):
    outage = proxy.add(method="PUT", path=r"result\.txt", cut_request_at=3, times=999)
    output = f"{bucket}/out/{{key}}"
    with pytest.raises(InfrastructureError, match=r"result\.txt: the connection to .* failed"):
        execute(leased_stage.SPEC, Params(), {"source": source}, output)
    assert finished(contents) == set()
    assert not [name for name in contents() if name.endswith(".lock")]
    outage.times = 0
    result = execute(leased_stage.SPEC, Params(), {"source": source}, output)
    assert result.metrics == {"resumed_after": 7}  # the checkpoint was not lost
    assert contents() == {
        "in/a.txt",
        f"out/{result.uri[-16:]}/result.txt",
        f"out/{result.uri[-16:]}/{MANIFEST}",
    }


@pytest.mark.parametrize("behave", ["robbed", "robbed late"])
def test_who_lost_the_lock_publishes_nothing(proxy, bucket, source, contents, behave):
    output = f"{bucket}/out"
    params = Params(behave=behave, marker=f"{output}.lock")
    with pytest.raises(InfrastructureError, match=r'lost the right to write it: .*"host": "elsewhere"'):
        execute(leased_stage.SPEC, params, {"source": source}, output)
    assert not [name for name in contents() if name.startswith("out/")]
    pointer = json.loads(open_store(output).read_bytes(f"{output}.checkpoint/latest.json"))
    assert pointer["slot"] == 1  # the first: nothing was saved after the loss
    assert b"elsewhere" in open_store(output).read_bytes(f"{output}.lock")  # it is not ours to remove


def test_a_killed_stage_is_taken_over_and_goes_on_from_its_checkpoint(proxy, bucket, source, tmp_path):
    marker = tmp_path / "marker"
    params = Params(behave="hang", marker=str(marker)).model_dump_json()
    command = [sys.executable, "-m", "tests.faults.leased_stage", "0.5", str(DEAD_S)]
    command += ["--params", params, "--in-source", source, "--out-results", f"{bucket}/out/{{key}}"]
    first = subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not marker.exists():
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)

    refused = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)  # it lives
    assert refused.returncode == 4, refused.stderr
    assert f'another run is writing this ({{"pid": {first.pid}' in refused.stderr

    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    before = time.monotonic()
    again = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert time.monotonic() - before >= DEAD_S
    assert "took over from" in again.stderr
    assert json.loads(again.stdout)["metrics"] == {"resumed_after": 7}
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in again.stderr + refused.stderr


def test_a_stage_told_to_stop_lets_go_at_once(proxy, bucket, source, contents, tmp_path):
    marker = tmp_path / "marker"
    params = Params(behave="hang", marker=str(marker)).model_dump_json()
    command = [sys.executable, "-m", "tests.faults.leased_stage", "0.5", "60"]
    command += ["--params", params, "--in-source", source, "--out-results", f"{bucket}/out"]
    with subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.DEVNULL) as stage:
        while not marker.exists():
            assert stage.poll() is None
            time.sleep(0.05)
        stage.terminate()
    assert stage.returncode != 0
    assert "out.lock" not in contents()
    assert finished(contents) == set()
