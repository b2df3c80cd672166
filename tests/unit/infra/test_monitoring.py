"""Alert rules, scrape configuration and dashboard, against the real tools and what is really pushed."""

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from components.catalog import EVALUATE, REGISTER
from components.core.gates import Gate
from components.core.observing import Observation, Watched
from components.core.runs import StageRecord
from tests.services import free_port, serving

FOLDER: Final = Path(__file__).parents[3] / "infra" / "monitoring"
DASHBOARD: Final = json.loads((FOLDER / "grafana" / "recloop.json").read_text())
QUERIES: Final = [
    target["expr"].replace("$recipe", ".*").replace("$metric", ".*")
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]
(_GROUP,) = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
RULES: Final = _GROUP["rules"]
_WAIT_S: Final = 60


def tool(name: str) -> str:
    """A program that must be installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "alerts.yaml"),
        ("test", "rules", "alerts_test.yaml"),
        ("check", "config", "prometheus.yaml"),
    ],
)
def test_promtool_agrees(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([tool("promtool"), *arguments], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_both_ways() -> None:
    tests = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    for rule in RULES:
        spoke = {bool(case["exp_alerts"]) for case in cases if case["alertname"] == rule["alert"]}
        assert spoke == {True, False}, rule["alert"]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Prometheus that has scraped a gateway, to which two stages were pushed."""
    place = tmp_path_factory.mktemp("monitoring")
    ports = free_port(), free_port()
    gateway, url = (f"http://127.0.0.1:{port}" for port in ports)
    config = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{ports[0]}"]}]
    config["rule_files"] = [str(FOLDER / "alerts.yaml")]
    (place / "prometheus.yaml").write_text(yaml.safe_dump(config))
    pushed = [
        tool("prometheus-pushgateway"), f"--web.listen-address=127.0.0.1:{ports[0]}", "--persistence.file=",
    ]  # fmt: skip
    scraping = [
        tool("prometheus"), f"--web.listen-address=127.0.0.1:{ports[1]}",
        f"--config.file={place}/prometheus.yaml", f"--storage.tsdb.path={place}/data",
    ]  # fmt: skip
    with (
        pytest.MonkeyPatch.context() as patch,
        serving(pushed, f"{gateway}/-/ready", place / "gateway.log"),
        serving(scraping, f"{url}/-/ready", place / "prometheus.log"),
    ):
        patch.setenv("PROMETHEUS_PUSHGATEWAY_URL", gateway)
        push_two_stages()
        yield url


def push_two_stages() -> None:
    """A registration that promoted, and an evaluation that a gate stopped."""
    now = datetime.now(UTC)
    gate = Gate(name="ndcg@20", subject="model", value=0.1, low=0.2, high=1.0, passed=False)
    started, metrics = now.isoformat(), {"version": 3.0, "promoted": 1.0}
    done = StageRecord(
        stage="register", status="done", started=started, seconds=1.0, sha256="ab", metrics=metrics
    )
    stopped = StageRecord(
        stage="evaluate",
        status="failed",
        started=started,
        seconds=2.0,
        metrics={"ndcg@20": 0.1},
        gates=[gate.document()],
    )
    for position, spec, record in ((5, REGISTER, done), (4, EVALUATE, stopped)):
        place = f"/store/shop/runs/1/{position}-{spec.name}.json"
        Observation(Watched(spec=spec, inputs={}, place=place, started=now)).end(record)


def ask(url: str, path: str, **parameters: str) -> Any:
    """An answer of Prometheus' API."""
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:  # noqa: S310
        return json.load(answer)["data"]


def waited(url: str, path: str, name: str, **parameters: str) -> list[Any]:
    """The same, once it holds something."""
    until = time.monotonic() + _WAIT_S
    while not (found := ask(url, path, **parameters)[name]) and time.monotonic() < until:
        time.sleep(0.5)
    return list(found)


def test_what_stages_push_arrives_and_a_gate_is_alarmed(prometheus: str) -> None:
    version = waited(prometheus, "query", "result", query='recloop_champion_version{recipe="shop"}')
    assert version[0]["value"][1] == "3"
    alerts = waited(prometheus, "alerts", "alerts")
    assert [(alert["labels"]["alertname"], alert["state"]) for alert in alerts] == [
        ("RecloopGateStopped", "firing")
    ]
    assert alerts[0]["annotations"]["summary"] == "shop: evaluate was stopped by model: ndcg@20"


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_of_the_dashboard_finds_something(prometheus: str, query: str) -> None:
    assert waited(prometheus, "query", "result", query=query), query


def test_the_dashboard_and_the_rules_ask_for_what_is_pushed(prometheus: str) -> None:
    waited(prometheus, "query", "result", query="recloop_champion_version")
    known = set(ask(prometheus, "label/__name__/values"))
    texts = [*QUERIES, *(rule["expr"] for rule in RULES)]
    asked = {name for text in texts for name in re.findall(r"recloop_\w+", text)}
    assert asked <= known


def test_panels_lie_beside_each_other_and_have_names() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        own = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not own & cells, panel["title"]
        assert max(x for x, _ in own) < 24
        cells |= own
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
