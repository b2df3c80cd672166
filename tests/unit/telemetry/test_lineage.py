"""Events of stages that really run, at a receiver that really listens."""

import copy
import json
import socket
import time
import uuid
from pathlib import Path
from types import ModuleType

import pytest

from components.core import observing
from components.core.command import main
from components.core.manifest import read_manifest
from components.core.runs import read_record

from .conftest import Receiver
from .openlineage_schema import mistakes


def command(source: Path, root: Path, stage: str = "0-count", **params: object) -> list[str]:
    return [
        "--params", json.dumps(params),
        "--in-source", str(source),
        "--out-counts", str(root / "shop" / "counts" / "{key}"),
        "--record", str(root / "shop" / "runs" / "manual-1" / f"{stage}.json"),
    ]  # fmt: skip


@pytest.fixture
def listening(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    monkeypatch.setenv("OPENLINEAGE_URL", receiver.url)
    return receiver


def test_a_stage_tells_what_it_read_and_wrote(
    toy: ModuleType, source: Path, tmp_path: Path, listening: Receiver
) -> None:
    assert main(toy.COUNT, command(source, tmp_path)) == 0
    assert [path for path, _ in listening.posted] == ["/api/v1/lineage"] * 2
    start, complete = listening.events
    assert [mistakes(event) for event in listening.events] == [[], []]
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start["job"]["namespace"] == "recloop"
    assert start["job"]["name"] == complete["job"]["name"] == "shop.count"
    assert start["run"]["runId"] == complete["run"]["runId"]
    parent = complete["run"]["facets"]["parent"]
    assert parent["job"] == {"namespace": "recloop", "name": "shop", "facets": {}}
    assert parent["run"]["runId"] == str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tmp_path}/shop/runs/manual-1"))

    record = read_record(str(tmp_path / "shop/runs/manual-1/0-count.json"))
    assert record is not None
    manifest = read_manifest(record.uri)
    (read,), (wrote,) = complete["inputs"], complete["outputs"]
    assert (read["namespace"], read["name"]) == ("file", str(source))
    assert read["facets"]["version"]["datasetVersion"] == manifest.inputs["source"].sha256
    assert (wrote["namespace"], wrote["name"]) == ("file", f"{tmp_path}/shop/counts")
    assert wrote["facets"]["version"]["datasetVersion"] == manifest.sha256
    assert wrote["facets"]["dataSource"]["uri"] == record.uri
    assert wrote["outputFacets"]["outputStatistics"]["rowCount"] == 1
    assert "outputs" not in start or start["outputs"] == []


def test_the_next_stage_reads_what_the_last_one_wrote_with_its_checks(
    toy: ModuleType, source: Path, tmp_path: Path, listening: Receiver
) -> None:
    main(toy.COUNT, command(source, tmp_path, behave="warn"))
    counts = read_record(str(tmp_path / "shop/runs/manual-1/0-count.json"))
    assert counts is not None
    copies = str(tmp_path / "shop" / "copies" / "{key}")
    arguments = [
        "--params",
        "{}",
        "--in-source",
        str(source),
        "--in-counts",
        counts.uri,
        "--out-copies",
        copies,
    ]
    assert main(toy.COPY, arguments) == 0
    assert [mistakes(event) for event in listening.events] == [[]] * 4
    wrote = listening.events[1]["outputs"][0]
    read = next(one for one in listening.events[3]["inputs"] if one["name"].endswith("counts"))
    assert (read["namespace"], read["name"]) == (wrote["namespace"], wrote["name"])
    assert read["facets"]["version"] == wrote["facets"]["version"]
    (found,) = read["inputFacets"]["dataQualityAssertions"]["assertions"]
    (test,) = listening.events[1]["run"]["facets"]["test"]["tests"]
    assert (found["success"], found["severity"]) == (False, "warn")
    assert (test["name"], test["status"]) == (found["name"], "fail")
    assert listening.events[3]["job"]["name"] == "copy"  # outside of any run
    assert "parent" not in listening.events[3]["run"]["facets"]


@pytest.mark.parametrize(
    ("params", "code", "told"),
    [
        ({"behave": "gate"}, 3, "too few lines"),
        ({"behave": "crash"}, 1, "a bug"),
        ({"factor": "x"}, 2, "factor"),
    ],
)
def test_a_failure_is_told_with_its_reason(
    toy: ModuleType, source: Path, tmp_path: Path, listening: Receiver, params: dict[str, object], code: int,
    told: str,
) -> None:  # fmt: skip
    assert main(toy.COUNT, command(source, tmp_path, **params)) == code
    start, fail = listening.events
    assert mistakes(fail) == []
    assert (start["eventType"], fail["eventType"]) == ("START", "FAIL")
    assert told in fail["run"]["facets"]["errorMessage"]["message"]
    assert [one["name"] for one in fail["inputs"]] == [str(source)]


def test_work_that_was_done_is_told_as_the_same_dataset(
    toy: ModuleType, source: Path, tmp_path: Path, listening: Receiver
) -> None:
    main(toy.COUNT, command(source, tmp_path))
    main(toy.COUNT, command(source, tmp_path))
    first, again = listening.events[1], listening.events[3]
    assert again["outputs"] == first["outputs"]
    assert again["run"]["runId"] == first["run"]["runId"]
    tags = {tag["key"]: tag["value"] for tag in again["run"]["facets"]["tags"]["tags"]}
    assert (tags["run"], tags["status"]) == ("manual-1", "skipped")


def test_nobody_is_told_unless_the_setting_is_there(toy: ModuleType, source: Path, tmp_path: Path) -> None:
    assert main(toy.COUNT, command(source, tmp_path)) == 0


def test_a_receiver_that_is_not_there_fails_no_stage(
    toy: ModuleType,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as deaf:  # takes connections, and never answers
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        monkeypatch.setattr(observing, "WAIT_S", 0.5)
        started = time.monotonic()
        assert main(toy.COUNT, command(source, tmp_path)) == 0
        assert time.monotonic() - started < 5
    assert "lineage does not answer; not waited for" in caplog.text
    monkeypatch.setenv("OPENLINEAGE_URL", "not a url")
    assert main(toy.COUNT, command(source, tmp_path)) == 0
    assert "lineage is left out: ValueError" in caplog.text


def test_the_schema_finds_mistakes(
    toy: ModuleType, source: Path, tmp_path: Path, listening: Receiver
) -> None:
    main(toy.COUNT, command(source, tmp_path))
    event = listening.events[1]
    wrong = copy.deepcopy(event)
    wrong["run"]["facets"]["parent"]["run"]["runID"] = wrong["run"]["facets"]["parent"]["run"].pop("runId")
    wrong["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] = "1"
    wrong["inputs"][0]["facets"]["errorMessage"] = wrong["run"]["facets"]["tags"]
    assert len(mistakes(wrong)) == 4
