"""What `python -m dags.deliver` announces, and how it asks Airflow."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import InfrastructureError, InvalidInputError
from components.core.recipe import Recipe
from components.core.recipe.reading import read_recipe
from dags.deliver import Delivery, asset_schedule, deliveries, main
from dags.rest import PASSWORDS, VARIABLES, Rest
from tests.listeners import serve

WriteRecipe = Callable[..., Path]
EACH = """\
parameters: {period: {default: "00"}, day: {default: 1}}
schedule: {kind: asset, asset: recloop/tiny/delivery, each: period}
"""
PLAIN = EACH.replace(", each: period", "")


class Airflow(ThreadingHTTPServer):
    """Answers like Airflow's REST API, as far as announcing goes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.events: list[dict[str, Any]] = []
        self.paused: set[str] = set()
        self.states = ["queued", "running", "success"]
        self.assets = ["recloop/tiny/delivery/other", "recloop/tiny/delivery"]


class _Answer(BaseHTTPRequestHandler):
    server: Airflow

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/auth/token":
            known = body == {"username": "admin", "password": "right"}
            self._say(*((201, {"access_token": "a-token"}) if known else (401, {"detail": "who?"})))
        else:
            assert self.headers["Authorization"] == "Bearer a-token"
            self.server.events.append(body)
            self._say(200, {"timestamp": "2026-11-21T10:00:00.000005Z", "id": 1})

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/api/v2/assets":
            self._say(200, {"assets": [{"id": n, "uri": uri} for n, uri in enumerate(self.server.assets)]})
        elif path.endswith("/dagRuns"):
            state = self.server.states.pop(0)
            run = {"dag_run_id": "delivery__03__20261121T100000.000005", "state": state}
            self._say(200, {"dag_runs": [run]})
        else:
            self._say(200, {"is_paused": path.rpartition("/")[2] in self.server.paused})

    def _say(self, status: int, answer: Any) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Airflow]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("dags.deliver._POLL_S", 0)
    server = Airflow()
    with serve(server):
        yield server


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / PASSWORDS).write_text(json.dumps({"admin": "right"}))
    return tmp_path


def found(file: Path, *overrides: str, each: str | None = None) -> list[Delivery]:
    recipe: Recipe = read_recipe(file, overrides)
    return deliveries(recipe, asset_schedule(recipe), overrides, each)


def test_what_is_announced(write_recipe: WriteRecipe) -> None:
    file = write_recipe(EACH)
    assert found(file, each="period=00..02") == [Delivery("00", {}), Delivery("01", {}), Delivery("02", {})]
    assert found(file, "period=7", "day=2") == [Delivery("7", {"day": 2})]
    assert found(file, "period=7", each="period=8") == [Delivery("8", {})]
    plain = write_recipe(PLAIN, name="plain")
    assert found(plain, "period=7") == [Delivery(None, {"period": "7"})]


@pytest.mark.parametrize(
    ("more", "overrides", "each", "said"),
    [
        (EACH, [], None, "which delivery?"),
        (EACH, [], "day=1..2", "got 'day', need 'period'"),
        (PLAIN, [], "day=1", "got 'day', but the recipe's schedule.each names none"),
        (EACH, ["training.epochs=3"], "period=1", "--set training.epochs: an announcement sets parameters"),
        ("", [], None, "schedule.kind: got 'manual', need 'asset'"),
    ],
)
def test_mistakes(
    write_recipe: WriteRecipe, more: str, overrides: list[str], each: str | None, said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        found(write_recipe(more), *overrides, each=each)


def test_announcements_in_order(
    write_recipe: WriteRecipe, airflow: Airflow, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--url", airflow.url, "--airflow-home", str(home)]
    assert main([str(write_recipe(EACH)), "--each", "period=02..03", "--set", "day=5", *where]) == 0
    assert airflow.events == [
        {"asset_id": 1, "partition_key": "02", "extra": {"day": 5}},
        {"asset_id": 1, "partition_key": "03", "extra": {"day": 5}},
    ]
    assert capsys.readouterr().out == "announced tiny 02\nannounced tiny 03\n"


@pytest.mark.parametrize(("end", "code"), [("success", 0), ("failed", 1)])
def test_waiting(
    write_recipe: WriteRecipe,
    airflow: Airflow,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    end: str,
    code: int,
) -> None:
    airflow.states[-1] = end
    where = ["--url", airflow.url, "--airflow-home", str(home)]
    assert main([str(write_recipe(EACH)), "--set", "period=03", "--wait", *where]) == code
    assert capsys.readouterr().out.splitlines()[1] == f"{end:<8} delivery__03__20261121T100000.000005"


def test_nothing_is_announced_to_those_who_do_not_listen(
    write_recipe: WriteRecipe, airflow: Airflow, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        str(write_recipe(EACH)),
        "--each",
        "period=1",
        "--url",
        airflow.url,
        "--airflow-home",
        str(home),
    ]
    airflow.paused = {"tiny_deliveries"}
    assert main(command) == 2
    assert "tiny_deliveries is paused" in capsys.readouterr().err
    airflow.paused, airflow.assets = {"tiny"}, ["recloop/tiny/delivery/other"]  # deliveries wait for tiny
    assert main(command) == 2
    assert "got 'recloop/tiny/delivery', which no DAG of Airflow" in capsys.readouterr().err
    assert airflow.events == []


def test_who_asks(airflow: Airflow, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Rest(airflow.url, home).call("GET", "/api/v2/dags/tiny") == {"is_paused": False}
    monkeypatch.setenv("RECLOOP_AIRFLOW_USER", "admin")
    monkeypatch.setenv("RECLOOP_AIRFLOW_PASSWORD", "wrong")
    with pytest.raises(InvalidInputError, match=r"POST .*/auth/token: 401 Unauthorized: who\?"):
        Rest(airflow.url, home)
    monkeypatch.setenv("RECLOOP_AIRFLOW_TOKEN", "a-token")
    assert Rest(airflow.url, home).call("POST", "/api/v2/assets/events", {})["id"] == 1


def test_nobody_is_named_or_nothing_answers(airflow: Airflow, home: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="holds no password of Airflow's; set RECLOOP_AIRFLOW_TOKEN"):
        Rest(airflow.url, tmp_path / "elsewhere")
    with pytest.raises(InfrastructureError, match=r"Airflow at http://127\.0\.0\.1:1 does not answer"):
        Rest("http://127.0.0.1:1", home)
