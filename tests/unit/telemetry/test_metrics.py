"""What is pushed, at a real gateway."""

import shutil
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from components.catalog import EVALUATE, PROMOTE, REGISTER
from components.core.observing import Observation, Watched
from components.core.runs import StageRecord
from components.telemetry.metrics import registry_of
from tests.services import free_port, serving

ENDED = datetime(2026, 11, 1, 3, 2, tzinfo=UTC).timestamp()
GATEWAY = "prometheus-pushgateway"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[str]:
    """URL of a push gateway."""
    if shutil.which(GATEWAY) is None:
        pytest.skip(f"{GATEWAY} is not installed")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [GATEWAY, f"--web.listen-address=127.0.0.1:{port}", "--persistence.file="]
    with serving(command, f"{url}/-/ready", tmp_path / "log"):
        yield url


@pytest.fixture
def push(gateway: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[StageRecord], Mapping[str, object]]:
    """Pushes a record as its stage would; then what the gateway has of it."""
    monkeypatch.setenv("PROMETHEUS_PUSHGATEWAY_URL", gateway)

    def push(record: StageRecord) -> Mapping[str, object]:
        spec = {"evaluate": EVALUATE, "register": REGISTER, "promote": PROMOTE}[record.stage]
        watched = Watched(
            spec=spec,
            inputs={},
            place=f"/store/shop/runs/manual-1/4-{record.stage}.json",
            started=datetime.now(UTC),
        )
        Observation(watched).end(record)
        with urllib.request.urlopen(f"{gateway}/metrics") as answer:  # noqa: S310  # our own
            text = answer.read().decode()
        return {
            key: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.labels.get("job") == "recloop"
            for key in [_key(sample.name, sample.labels)]
        }

    return push


def _key(name: str, labels: Mapping[str, str]) -> str:
    own = {key: value for key, value in labels.items() if key not in {"job", "instance"}}
    group = "/".join([own.pop("recipe"), own.pop("stage")])
    shown = ", ".join(f"{key}={value}" for key, value in sorted(own.items()))
    return f"{group} {name.removeprefix('recloop_')}" + (f"{{{shown}}}" if shown else "")


def test_a_stage_is_pushed_under_its_recipe_and_name(push, record):
    found = push(record)
    assert {key: value for key, value in found.items() if "_seconds" not in key} == {
        "shop/evaluate stage_outcome{outcome=done}": 1,
        "shop/evaluate stage_outcome{outcome=skipped}": 0,
        "shop/evaluate stage_outcome{outcome=stopped}": 0,
        "shop/evaluate stage_outcome{outcome=failed}": 0,
        "shop/evaluate stage_gates{outcome=passed}": 1,
        "shop/evaluate stage_gates{outcome=warned}": 1,
        "shop/evaluate stage_gates{outcome=held}": 0,
        "shop/evaluate stage_gates{outcome=stopped}": 0,
        "shop/evaluate gate_outcome{gate=volume, outcome=warned, subject=interactions}": 1,
        "shop/evaluate gate_outcome{gate=nulls, outcome=passed, subject=interactions}": 1,
        "shop/evaluate gate_value{gate=volume, subject=interactions}": 0.4,
        "shop/evaluate gate_value{gate=nulls, subject=interactions}": 0,
        "shop/evaluate gate_low{gate=volume, subject=interactions}": 0.5,
        "shop/evaluate gate_high{gate=volume, subject=interactions}": 2,
        "shop/evaluate gate_high{gate=nulls, subject=interactions}": 0.1,
        "shop/evaluate stage_metric{metric=ndcg@20}": 0.25,
    }
    assert found["shop/evaluate stage_duration_seconds"] == 120
    assert found["shop/evaluate stage_last_success_timestamp_seconds"] == ENDED
    assert found["shop/evaluate stage_last_run_timestamp_seconds"] == ENDED


def test_a_failure_leaves_the_last_success_and_its_numbers(push, record):
    push(record)
    later = "2026-11-02T03:00:00.000+00:00"
    stopping = [{**gate, "severity": "stop"} for gate in record.gates]
    found = push(
        StageRecord(
            stage="evaluate", status="failed", started=later, seconds=5.0, error="volume", gates=stopping
        )
    )
    assert found["shop/evaluate stage_outcome{outcome=stopped}"] == 1
    assert found["shop/evaluate stage_outcome{outcome=done}"] == 0
    assert found["shop/evaluate stage_gates{outcome=stopped}"] == 1
    assert "shop/evaluate gate_outcome{gate=volume, outcome=warned, subject=interactions}" not in found
    assert found["shop/evaluate stage_last_success_timestamp_seconds"] == ENDED
    assert found["shop/evaluate stage_metric{metric=ndcg@20}"] == 0.25
    assert found["shop/evaluate stage_last_run_timestamp_seconds"] == ENDED + 24 * 3600 - 115


def test_work_that_was_done_does_not_hide_how_long_it_took(push, record):
    push(record)
    found = push(replace(record, status="skipped", seconds=0.1))
    assert found["shop/evaluate stage_duration_seconds"] == 120
    assert found["shop/evaluate stage_outcome{outcome=skipped}"] == 1


def test_the_champion_is_a_group_of_its_own(push, record):
    promoted = replace(record, stage="register", metrics={"version": 3.0, "promoted": 1.0}, gates=[])
    assert push(promoted)["shop/champion champion_version"] == 3
    found = push(replace(promoted, metrics={"version": 4.0, "promoted": 0.0}))
    assert found["shop/champion champion_version"] == 3
    rolled_back = replace(promoted, stage="promote", metrics={"version": 2.0, "promoted": 1.0, "entry": 2.0})
    assert push(rolled_back)["shop/champion champion_version"] == 2
    assert found["shop/champion champion_since_timestamp_seconds"] == ENDED


def test_a_gate_without_a_number_pushes_none(record):
    gates = [{"name": "readable", "subject": "t", "passed": True, "outcome": "passed"}]
    families = {family.name: family for family in registry_of(replace(record, gates=gates)).collect()}
    assert families["recloop_gate_value"].samples == []
    assert len(families["recloop_gate_outcome"].samples) == 1


def test_a_gateway_that_is_not_there_is_told_in_the_log(record, monkeypatch, caplog):
    monkeypatch.setenv("PROMETHEUS_PUSHGATEWAY_URL", f"http://127.0.0.1:{free_port()}")
    watched = Watched(spec=EVALUATE, inputs={}, place=None, started=datetime.now(UTC))
    Observation(watched).end(record)
    assert "metrics was not told of the end: URLError" in caplog.text
