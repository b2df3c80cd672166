"""Promotion by people under a real scheduler: asked and answered through the API, as the UI does it."""

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import pytest

from components.catalog import STAGES
from components.registry.ledger import Ledger
from dags import COMMENT, OVERRIDES

from .conftest import TINY
from .test_scheduler import Server, server, wait_for, webhook

__all__ = ["server", "webhook"]  # fixtures
pytestmark = [pytest.mark.airflow, pytest.mark.slow]
# Airflow's scheduler takes a task that is answered before it has seen it waiting for killed, and asks again.
_HUMAN_S = 12
# another seed's model is compared with the champion, and may be worse
WINS = {"seed": 6, OVERRIDES: ["promotion.margin=-1"]}


@pytest.fixture(scope="module")
def asking(place: Path) -> Ledger:
    """A recipe whose challengers need somebody's yes; the ledger of its model."""
    text = TINY.replace("name: tiny", "name: asking").replace("promotion: {", "promotion: {policy: approve, ")
    (place / "recipes" / "asking.yaml").write_text(text)
    return Ledger(str(place / "workspace" / "ledgers" / "asking"))


def answer(server: Server, option: str, comment: str, **conf: Any) -> tuple[str, dict[str, Any]]:
    """A run of the recipe that is answered; its id and the question."""

    def known() -> bool | None:
        listed = server.call("GET", "/api/v2/dags")["dags"]
        return True if "asking" in {dag["dag_id"] for dag in listed} else None

    wait_for(known, "the DAG")
    body = {"logical_date": None, "conf": conf}
    run_id = server.call("POST", "/api/v2/dags/asking/dagRuns", body)["dag_run_id"]
    run = f"/api/v2/dags/asking/dagRuns/{run_id}"

    def done(stage: str) -> bool | None:
        return True if server.tasks("asking", run_id).get(stage, ("", 0))[0] == "success" else None

    for spec in STAGES:
        wait_for(partial(done, spec.name), spec.name)

    def asked() -> dict[str, Any] | None:
        state = server.call("GET", run)["state"]
        assert state in {"queued", "running"}, (state, server.tasks("asking", run_id))
        found = server.call("GET", f"{run}/hitlDetails")["hitl_details"]
        question: dict[str, Any] | None = found[0] if found else None
        return question

    question = wait_for(asked, "the question")
    time.sleep(_HUMAN_S)
    given = {"chosen_options": [option], "params_input": {COMMENT: comment}}
    server.call("PATCH", f"{run}/taskInstances/approve/-1/hitlDetails", given)

    def ended() -> bool | None:
        state = server.call("GET", run)["state"]
        assert state != "failed", server.tasks("asking", run_id)
        return True if state == "success" else None

    wait_for(ended, "the end of the run")
    return run_id, question


def test_people_decide(asking: Ledger, server: Server) -> None:
    client = mlflow.MlflowClient(tracking_uri=server.mlflow)

    def champion() -> str:
        return str(client.get_registered_model("asking").aliases["champion"])

    run_id, question = answer(server, "Approve", "fine by me")
    names = [*(spec.name for spec in STAGES), "approve", "promote"]
    assert server.tasks("asking", run_id) == dict.fromkeys(names, ("success", 1))
    assert question["subject"] == "Make version 1 of asking champion?"
    assert "| ndcg@20 |" in question["body"]
    assert champion() == "1"
    [first] = asking.read()
    assert (first.action, first.who, first.why, first.move) == ("promote", "admin", "fine by me", "none → 1")
    answered = server.call(
        "GET", f"/api/v2/dags/asking/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    )
    assert answered["responded_by_user"]["name"] == "admin"
    assert answered["responded_at"][:19] == first.evidence["answered"][:19]
    assert "by admin" in client.get_model_version("asking", "1").tags["recloop.promoted"]

    run_id, question = answer(server, "Reject", "not today", **WINS)
    assert "version 1, the champion" in question["body"]
    assert server.tasks("asking", run_id)["promote"] == ("success", 1)
    assert champion() == "1"
    assert asking.read()[1].why == "not today"

    run_id, state = server.run("asking", **WINS)  # all is done, and answered
    assert state == "success"
    assert server.tasks("asking", run_id)["approve"][0] == "skipped"

    asked = {"recipe": "asking", "why": "on second thoughts"}
    assert server.run("recloop_promote", **asked)[1] == "success"
    assert champion() == "2"
    run_id, state = server.run("recloop_promote", **asked)
    assert state == "failed"
    assert "version 2 is champion already" in server.log("recloop_promote", run_id, "promote")
    assert server.run("recloop_rollback", recipe="asking", why="complaints")[1] == "success"
    assert champion() == "1"
    steps = [(entry.action, entry.who, entry.move) for entry in asking.read()]
    assert steps == [
        ("promote", "admin", "none → 1"),
        ("reject", "admin", "1 → 1"),
        ("promote", "admin", "1 → 2"),
        ("rollback", "admin", "2 → 1"),
    ]
    print(json.dumps([entry.model_dump(mode="json") for entry in asking.read()], indent=1))
