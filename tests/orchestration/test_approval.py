"""Whole DAG runs that ask somebody, with fake stages; the answer comes through Airflow's own API."""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from components.catalog import STAGES
from components.core.recipe.reading import read_recipe
from components.core.runs import read_runs
from components.core.verdict import (
    VERDICT_FILE,
    AnyVerdict,
    Comparison,
    ExampleVerdict,
    SliceResult,
    Verdict,
)
from components.registry.ledger import Ledger
from dags import COMMENT, OVERRIDES
from dags.factory import build_dag
from dags.verdict_page import page

from .conftest import FakeStages
from .test_dag_run import asset_events, states

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("airflow_db")]
WriteRecipe = Callable[..., Path]
ASKING = "promotion: {policy: approve}\norchestration: {retries: 0}\n"


def verdict(**changed: Any) -> Verdict:
    compared = Comparison(
        challenger=0.5,
        other=0.25,
        difference=0.25,
        low=0.125,
        high=0.375,
        p_value=0.001,
        better=7,
        equal=2,
        worse=1,
    )
    document = {
        "promote": True,
        "reason": "it is better | by far",
        "rule": "champion",
        "metric": "ndcg@20",
        "margin": 0.0,
        "confidence": 0.95,
        "resamples": 100,
        "num_users": 1234,
        "challenger": 0.5,
        "champion": 0.25,
        "champion_version": "6",
        "floors": {},
        "comparisons": {"champion": {"ndcg@20": compared}},
        "slices": (SliceResult(slice="new_users", metric="ndcg@20", users=17, challenger=0.5),),
        "beyond_accuracy": {"coverage@20": {"challenger": 0.5, "popularity": 0.1, "item_knn": 0.75}},
        "gates": [
            {"name": "ndcg@20", "subject": "champion", "passed": True, "told": "far above"},
            {"name": "learned", "subject": "test", "passed": False, "severity": "warn", "told": "odd"},
        ],
    }  # fmt: skip
    return Verdict.model_validate({**document, **changed})


@pytest.fixture(autouse=True)
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Airflow knows are this test's recipes."""
    monkeypatch.setenv("RECLOOP_RECIPES", str(tmp_path / "recipes"))


@pytest.fixture
def decided(tmp_path: Path, fake_stages: FakeStages) -> Callable[..., Ledger]:
    """Lets the fake stages evaluate and register as told; the ledger of the model."""

    def make(found: Verdict | None = None) -> Ledger:
        ledger = Ledger(str(tmp_path / "ledgers" / "tiny"))
        evaluation, registration = tmp_path / "evaluation", tmp_path / "registration"
        for folder in (evaluation, registration):
            folder.mkdir(exist_ok=True)
        (evaluation / VERDICT_FILE).write_text(json.dumps((found or verdict()).document()))
        document = {"model": "tiny", "version": "7", "run_id": "abc", "ledger": ledger.place}
        (registration / "registration.json").write_text(json.dumps(document))
        fake_stages.plan(
            evaluate={"result": {"uri": str(evaluation)}},
            register={"result": {"uri": str(registration), "metrics": {"promoted": 0.0}}},
        )
        return ledger

    return make


def run(file: Path, answer: Callable[[Any], None] | None = None, **conf: Any) -> Any:
    """A run of the recipe's DAG, while somebody answers; the question is given to `answer`."""
    dag = build_dag(file, read_recipe(file))
    if answer is None:
        return dag.test(run_conf=conf)
    with ThreadPoolExecutor(1) as pool:
        somebody = pool.submit(wait_and, answer)
        dag_run = dag.test(run_conf=conf)
        somebody.result()
    return dag_run


def wait_and(answer: Callable[[Any], None]) -> None:
    deadline = monotonic() + 60
    while monotonic() < deadline:
        for question in questions():
            answer(question)
            return
        sleep(0.5)
    raise AssertionError("nobody was asked")


def questions() -> Iterator[Any]:
    from airflow.models.hitl import HITLDetail
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState

    with create_session() as session:
        for detail in session.scalars(select(HITLDetail)).all():
            if not detail.response_received and (
                detail.task_instance.state == TaskInstanceState.AWAITING_INPUT
            ):
                session.expunge_all()
                yield detail


def respond(option: str, comment: str = "") -> Callable[[Any], None]:
    """What the page's buttons do."""

    def answer(question: Any) -> None:
        from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
        from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
        from airflow.utils.session import create_session

        asked = question.task_instance
        payload = UpdateHITLDetailPayload(chosen_options=[option], params_input={COMMENT: comment})
        user = SimpleNamespace(get_id=lambda: "u1", get_name=lambda: "jane")
        with create_session() as session:
            update_hitl_detail(asked.dag_id, asked.run_id, asked.task_id, payload, user, session)

    return answer


def params_of(fake_stages: FakeStages) -> Mapping[str, Any]:
    return fake_stages.params("promote")


def test_a_yes_promotes_in_the_name_of_who_gave_it(
    write_recipe: WriteRecipe, fake_stages: FakeStages, decided: Callable[..., Ledger], tmp_path: Path
) -> None:
    decided()
    seen: list[Any] = []

    def answer(question: Any) -> None:
        seen.append(question)
        respond("Approve", "fine by me")(question)

    file = write_recipe(ASKING)
    dag_run = run(file, answer)
    assert dag_run.state == "success"
    names = [*(spec.name for spec in STAGES), "approve", "promote"]
    assert {task: state for task, (state, _) in states(dag_run).items()} == dict.fromkeys(names, "success")
    [question] = seen
    assert question.subject == "Make version 7 of tiny champion?"
    assert "| ndcg@20 | 0.5000 | 0.2500 | +0.2500 | +0.1250 … +0.3750 |" in question.body
    params = params_of(fake_stages)
    assert (params["who"], params["why"], params["approved"]) == ("jane", "fine by me", True)
    assert params["decision"] == f"approve {'ab' * 32}"
    assert str(params["answered"]).startswith("20")
    arguments = fake_stages.arguments("promote")
    assert arguments[arguments.index("--in-registration") + 1] == str(tmp_path / "registration")
    assert arguments[arguments.index("--out-promotion") + 1].endswith("/tiny/promotion/{key}")
    kept = read_runs(read_recipe(file))[0]
    assert [stage.stage for stage in kept.stages] == [*(spec.name for spec in STAGES), "promote"]
    assert kept.status == "done"
    assert asset_events(dag_run)["recloop/tiny/champion"]["uri"] == "/store/promote"


def test_a_no_is_handed_on_to_be_recorded_and_the_run_is_well(
    write_recipe: WriteRecipe, fake_stages: FakeStages, decided: Callable[..., Ledger]
) -> None:
    decided()
    dag_run = run(write_recipe(ASKING), respond("Reject"))
    assert dag_run.state == "success"
    params = params_of(fake_stages)
    assert (params["who"], params["why"], params["approved"]) == ("jane", "rejected", False)


@pytest.mark.parametrize(
    ("changed", "conf"),
    [
        ({"promote": False, "reason": "no better"}, {}),
        ({"champion_version": "5"}, {}),  # it was compared with a champion that is champion no more
        ({}, {OVERRIDES: ["promotion.policy=never"]}),
    ],
)
def test_nobody_is_asked_where_there_is_nothing_to_ask(
    write_recipe: WriteRecipe,
    fake_stages: FakeStages,
    decided: Callable[..., Ledger],
    changed: dict[str, Any],
    conf: dict[str, Any],
) -> None:
    ledger = decided(verdict(**changed))
    ledger.append([], "found", who="ann", why="", move=(None, "6"), evidence={})
    dag_run = run(write_recipe(ASKING), **conf)
    assert dag_run.state == "success"
    found = states(dag_run)
    assert (found["register"][0], found["approve"][0], found["promote"][0]) == (
        "success",
        "skipped",
        "skipped",
    )
    assert fake_stages.tries("promote") == 0
    assert "recloop/tiny/champion" not in asset_events(dag_run)


def test_who_has_answered_is_not_asked_again(
    write_recipe: WriteRecipe, fake_stages: FakeStages, decided: Callable[..., Ledger]
) -> None:
    ledger = decided()
    move, evidence = ("6", "6"), {"decision": f"approve {'ab' * 32}", "version": "7"}
    ledger.append([], "reject", who="jane", why="", move=move, evidence=evidence)
    dag_run = run(write_recipe(ASKING))
    assert states(dag_run)["approve"][0] == "skipped"


def test_other_policies_ask_nobody(write_recipe: WriteRecipe) -> None:
    for policy in ("auto", "never"):
        file = write_recipe(f"promotion: {{policy: {policy}}}\n")
        assert {task.task_id for task in build_dag(file, read_recipe(file)).tasks} == {
            spec.name for spec in STAGES
        }


def test_the_page_tells_all_that_the_verdict_rests_on(write_recipe: WriteRecipe) -> None:
    found = {"model": "tiny", "version": "7", "run_id": "abc"}
    text = page(read_recipe(write_recipe(ASKING)), verdict(), found, "s3://w/evaluation")
    assert text.startswith("**Version 7** of `tiny`, from recipe `tiny`: it is better | by far.")
    assert "version 6, the champion, on 1,234 test users" in text
    assert "| 7 better, 2 equal, 1 worse |" in text
    assert "| new users | ndcg@20 | 17 | 0.5000 | – | – | – |" in text
    assert "| coverage@20 | 0.5000 | – | 0.1000 | 0.7500 |" in text
    assert "| warned | learned | test | odd |" in text
    assert "`s3://w/evaluation/report.html`" in text


def test_the_page_of_a_classifier_tells_of_examples(write_recipe: WriteRecipe) -> None:
    compared = {"challenger": 0.25, "other": 0.5, "difference": -0.25, "low": -0.375, "high": -0.125}
    document = {
        **verdict().model_dump(include=set(AnyVerdict.model_fields) - {"task", "comparisons"}),
        "metric": "logloss",
        "classes": ("no", "yes"),
        "num_examples": 4321,
        "limits": {},
        "metrics": {"ece": {"challenger": 0.01, "champion": 0.02, "prior": 0.0}},
        "comparisons": {"champion": {"logloss": {**compared, "p_value": 0.001}}},
        "slices": [{"field": "site|x", "value": "a", "examples": 17, "metric": "auc", "challenger": 0.75}],
    }
    text = page(
        read_recipe(write_recipe("task: classification\n")),
        ExampleVerdict.model_validate(document),
        {"model": "tiny", "version": "7", "run_id": "abc"},
        "s3://w/evaluation",
    )
    assert "version 6, the champion, on 4,321 test examples" in text
    assert "| logloss (less is better) | 0.2500 | 0.5000 | -0.2500 | -0.3750 … -0.1250 | 0.001 |" in text
    assert r"| site\|x | a | auc | 17 | 0.7500 | – | – | – |" in text
    assert "| ece (less is better) | 0.0100 | 0.0200 | 0.0000 |" in text


def test_decisions_have_dags_of_their_own(write_recipe: WriteRecipe, fake_stages: FakeStages) -> None:
    from dags.promotion import build

    files = {name: str(write_recipe(name=name)) for name in ("other", "tiny")}
    dag = build("promote", files)
    assert dag.params.get_param("recipe").schema["enum"] == ["other", "tiny"]
    dag_run = dag.test(run_conf={"recipe": "tiny", "version": "4", "why": "as agreed", "force": True})
    assert dag_run.state == "success"
    params = params_of(fake_stages)
    assert {name: params[name] for name in ("action", "model", "version", "why", "force", "who")} == {
        "action": "promote",
        "model": "tiny",
        "version": "4",
        "why": "as agreed",
        "force": True,
        "who": "dag_test",
    }
    assert params["decision"] == f"recloop_promote {dag_run.run_id}"
    assert set(asset_events(dag_run)) == {"recloop/tiny/champion"}
    dag_run = build("rollback", files).test(run_conf={"recipe": "other", "why": "complaints"})
    params = params_of(fake_stages)
    assert (params["action"], params["model"], params["version"]) == ("rollback", "other", None)
    with pytest.raises(Exception, match="why"):
        build("rollback", files).test(run_conf={"recipe": "other"})
