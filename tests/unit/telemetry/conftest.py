"""A receiver of OpenLineage events, and a record of a stage with gates."""

import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from components.core.gates import Gate
from components.core.observing import OBSERVERS
from components.core.runs import StageRecord


@dataclass
class Receiver:
    """What was posted: (path, JSON)."""

    url: str
    posted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for _, event in self.posted]


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """No observer is on unless a test says so."""
    for variables in OBSERVERS.values():
        for name in variables:
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A real HTTP server that takes whatever comes."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            found.posted.append((self.path, json.loads(body)))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Receiver(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The core's toy stages."""
    import importlib

    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "core"))
    module = importlib.import_module("toystage")
    module.calls.clear()
    return module


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two small files."""
    directory = tmp_path / "source"
    directory.mkdir()
    (directory / "a.txt").write_text("one two\nthree\n")
    (directory / "b.txt").write_text("four\n")
    return directory


GATES = (
    Gate(name="volume", subject="interactions", value=0.4, low=0.5, high=2.0, severity="warn", passed=False),
    Gate(name="nulls", subject="interactions", value=0.0, high=0.1, passed=True, told="no value is missing"),
)


@pytest.fixture
def record() -> StageRecord:
    """Of an evaluation that took two minutes."""
    return StageRecord(
        stage="evaluate",
        status="done",
        started="2026-11-01T03:00:00.000+00:00",
        seconds=120.0,
        uri="/store/evaluation/1",
        sha256="ab" * 32,
        metrics={"ndcg@20": 0.25},
        gates=[gate.document() for gate in GATES],
    )
