"""`make up`'s command: a real scheduler, DAG processor and API server; runs are asked for by REST."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import mlflow
import pytest
import requests

from components.catalog import STAGES
from components.core.recipe.reading import read_recipe
from components.core.runs import read_runs
from dags import HOME, OVERRIDES
from tests.listeners import Webhook, serve

from .conftest import TINY, WAIT_S

pytestmark = [pytest.mark.airflow, pytest.mark.slow]
T = TypeVar("T")
SHOP = """\
name: shop
parameters: {period: {default: "0", description: which delivery}}
source: {kind: files, path: "PLACE/orders_${period}.csv"}
prepare: {core: 2}
training: {model: {kind: mf, dim: 8}, learning_rate: 0.01, batch_size: 256, epochs: 1, device: cpu}
promotion: {beat: []}
schedule: {kind: asset, asset: recloop/shop/delivery, each: period}
orchestration: {retries: 2, retry_delay_s: 1}
notifications: [{kind: slack, connection: team, when: [failed, gate_stopped, promoted, done]}]
"""
SPOILED = """\
name: spoiled
source: {kind: files, path: "PLACE"}
max_rejected_fraction: 0.1
orchestration: {retries: 2, retry_delay_s: 1}
"""


@dataclass(frozen=True)
class Server:
    """Airflow's REST API and its home, and MLflow's address."""

    url: str
    token: str
    mlflow: str = ""
    home: Path = Path()

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """The JSON that `path` answers."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.request(
            method, self.url + path, json=body, params=query, headers=headers, timeout=30
        )
        answer.raise_for_status()
        return answer.json()

    def run(self, dag_id: str, **conf: Any) -> tuple[str, str]:
        """Trigger a DAG and wait for the end: the run's id and state."""
        body = {"logical_date": None, "conf": conf}
        run_id = self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"]

        def ended() -> str | None:
            state: str = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"]
            return state if state in {"success", "failed"} else None

        return run_id, wait_for(ended, f"the run of {dag_id}")

    def tasks(self, dag_id: str, run_id: str) -> dict[str, tuple[str, int]]:
        """task → (state, tries)."""
        answer = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return {task["task_id"]: (task["state"], task["try_number"]) for task in answer["task_instances"]}

    def log(self, dag_id: str, run_id: str, task: str) -> str:
        """The text of a task's first try."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task}/logs/1"
        return "\n".join(str(line["event"]) for line in self.call("GET", path)["content"])


def wait_for(probe: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        found = probe()
        if found is not None:
            return found
        time.sleep(0.5)
    raise AssertionError(f"waited {WAIT_S:.0f} s for {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def orders(seed: int) -> str:
    """A delivery: users of three tastes."""
    chance = Random(seed)
    bought = [(user, item) for user in range(120) for item in chance.sample(range(user % 3, 60, 3), 9)]
    return "user_id,item_id\n" + "".join(f"u{user},i{item}\n" for user, item in bought)


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    server = Webhook()
    with serve(server):
        yield server


@pytest.fixture(scope="module")
def server(place: Path, environment: dict[str, str], webhook: Webhook) -> Iterator[Server]:
    for period in ("0", "1"):
        (place / f"orders_{period}.csv").write_text(orders(seed=int(period)))
    (place / "recipes" / "shop.yaml").write_text(SHOP.replace("PLACE", str(place)))
    data = place / "orders.csv"
    data.write_text(
        "user_id,item_id\n" + "".join(f"u{n % 50},i{n % 30}\nno comma here\n" for n in range(500))
    )
    (place / "recipes" / "spoiled.yaml").write_text(SPOILED.replace("PLACE", str(data)))
    (place / "recipes" / "broken.yaml").write_text(TINY.replace("training:", "traning:"))
    home, ports = place / "airflow", (free_port(), free_port())
    said = place / "up.log"
    with said.open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "dags.up", "--airflow-home", str(home)),
                *("--airflow-port", str(ports[0]), "--mlflow-port", str(ports[1])),
            ],
            env=environment | {"AIRFLOW_CONN_TEAM": webhook.connection},
            cwd=place,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:

        def ready() -> bool | None:
            assert process.poll() is None, said.read_text()
            return True if "Ctrl-C stops everything" in said.read_text() else None

        wait_for(ready, "Airflow")
        [(user, password)] = json.loads(
            (home / "simple_auth_manager_passwords.json.generated").read_text()
        ).items()
        assert password not in said.read_text()
        url = f"http://127.0.0.1:{ports[0]}"
        credentials = {"username": user, "password": password}
        token = Server(url, "").call("POST", "/auth/token", credentials)["access_token"]
        yield Server(url, token, f"http://127.0.0.1:{ports[1]}", home)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def texts_about(webhook: Webhook, recipe: str, count: int) -> list[str] | None:
    """What was told of a recipe, once so many messages have come: they follow the end of a task."""
    texts = [text for text in webhook.texts if text.startswith(f"*{recipe}: ")]
    return texts if len(texts) >= count else None


def versions(server: Server, model: str) -> list[str]:
    client = mlflow.MlflowClient(tracking_uri=server.mlflow)
    return [version.version for version in client.search_model_versions(f"name = '{model}'")]


def test_a_run_makes_a_champion_and_a_failed_gate_does_not(server: Server, webhook: Webhook) -> None:
    def listed() -> list[dict[str, Any]] | None:
        dags: list[dict[str, Any]] = server.call("GET", "/api/v2/dags")["dags"]
        return dags if {dag["dag_id"] for dag in dags} >= {"tiny", "spoiled", "shop"} else None

    assert not any(dag["is_paused"] or dag["has_import_errors"] for dag in wait_for(listed, "the DAGs"))

    run_id, state = server.run("tiny", seed=11)
    assert server.tasks("tiny", run_id) == {spec.name: ("success", 1) for spec in STAGES}
    assert state == "success"
    client = mlflow.MlflowClient(tracking_uri=server.mlflow)
    champion = client.get_model_version_by_alias("tiny", "champion")
    assert champion.version == "1"
    params = client.get_run(champion.run_id).data.params
    assert params["recipe.seed"] == "11"

    overrides = ["promotion.floors={ndcg@20: 0.999}", "notifications=[{kind: slack, connection: team}]"]
    run_id, state = server.run("tiny", **{"seed": 11, OVERRIDES: overrides})
    assert state == "failed"
    tasks = server.tasks("tiny", run_id)
    assert tasks["retrain"] == ("success", 1)
    assert tasks["evaluate"] == ("failed", 1)  # no retry
    assert tasks["register"][0] == "upstream_failed"
    log = server.log("tiny", run_id, "evaluate")
    assert "FAILED tiny.evaluate" in log
    assert "ndcg@20" in log
    [told] = wait_for(lambda: texts_about(webhook, "tiny", 1), "the message")
    assert told.startswith("*tiny: a gate stopped evaluate*\n• ")
    assert "ndcg@20" in told
    assert versions(server, "tiny") == ["1"]


def test_deliveries_become_runs_in_their_order(
    server: Server,
    place: Path,
    environment: dict[str, str],
    webhook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RECLOOP_WORKSPACE", environment["RECLOOP_WORKSPACE"])
    recipe = read_recipe(place / "recipes" / "shop.yaml")
    where = ["--url", server.url, "--airflow-home", str(server.home)]
    announced = subprocess.run(
        [
            *(sys.executable, "-m", "dags.deliver", str(place / "recipes" / "shop.yaml"), *where),
            *("--each", "period=0,7,1", "--wait"),
        ],
        env=environment,
        cwd=HOME,
        capture_output=True,
        text=True,
        timeout=4 * WAIT_S,
    )
    said = announced.stdout.splitlines()
    assert said[:3] == ["announced shop 0", "announced shop 7", "announced shop 1"], announced.stderr
    states = [line.split("__")[0:2] for line in said[3:]]
    assert states == [["success  delivery", "0"], ["failed   delivery", "7"], ["success  delivery", "1"]]
    assert announced.returncode == 1  # nothing lies there for period 7
    runs = server.call("GET", "/api/v2/dags/shop/dagRuns", order_by="start_date")["dag_runs"]
    assert [run["conf"] for run in runs] == [{"period": "0"}, {"period": "7"}, {"period": "1"}]
    assert all(before["end_date"] <= after["start_date"] for before, after in pairwise(runs))
    missing = server.tasks("shop", runs[1]["dag_run_id"])
    assert missing["ingest"] == ("failed", 1)  # no retry
    assert {missing[spec.name][0] for spec in STAGES[1:]} == {"upstream_failed"}

    registered, ledger = versions(server, "shop"), sorted(place.glob("workspace/ledgers/shop/*"))
    assert sorted(registered) == ["1", "2"]
    [asset] = server.call("GET", "/api/v2/assets", uri_pattern="recloop/shop/delivery")["assets"]
    server.call("POST", "/api/v2/assets/events", {"asset_id": asset["id"], "partition_key": "0"})

    def repeated() -> dict[str, Any] | None:
        newest: dict[str, Any] = server.call("GET", "/api/v2/dags/shop/dagRuns", order_by="-run_after")[
            "dag_runs"
        ][0]
        done = newest["dag_run_id"] != runs[2]["dag_run_id"] and newest["state"] in {"success", "failed"}
        return newest if done else None

    assert wait_for(repeated, "the repeated delivery's run")["state"] == "success"
    newest, _, _, first = read_runs(recipe)
    assert [record.status for record in newest.stages] == ["skipped"] * len(STAGES)
    assert [record.uri for record in newest.stages] == [record.uri for record in first.stages]
    assert versions(server, "shop") == registered
    assert sorted(place.glob("workspace/ledgers/shop/*")) == ledger
    told = wait_for(lambda: texts_about(webhook, "shop", 4), "the messages")
    assert [text.splitlines()[0] for text in told[:2]] == [
        "*shop: version 1 of shop is champion*",
        "*shop: ingest failed*",
    ]
    assert told[2].startswith("*shop: version 2 of shop is ")
    assert told[3].startswith("*shop: done before: version 1 of shop is champion*")


def test_bad_data_stops_at_ingest(server: Server) -> None:
    run_id, state = server.run("spoiled")
    assert state == "failed"
    tasks = server.tasks("spoiled", run_id)
    assert tasks["ingest"] == ("failed", 1)  # no retry
    assert {tasks[spec.name][0] for spec in STAGES[1:]} == {"upstream_failed"}
    assert "max_rejected_fraction" in server.log("spoiled", run_id, "ingest")
    assert versions(server, "spoiled") == []


def test_the_broken_recipe_is_an_import_error(server: Server) -> None:
    errors = server.call("GET", "/api/v2/importErrors")["import_errors"]
    assert [error["filename"] for error in errors] == ["recipe_errors.py"]
    assert "broken.yaml" in errors[0]["stack_trace"]
    assert "did you mean 'training'?" in errors[0]["stack_trace"]


def test_wrong_types_are_refused_by_the_form(server: Server) -> None:
    with pytest.raises(requests.HTTPError) as refusal:
        server.run("tiny", seed="eleven")
    assert refusal.value.response.status_code in {400, 422}
