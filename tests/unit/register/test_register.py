"""Registration into a real MLflow on SQLite, and the model loaded where this project is not."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from components.core.errors import ConflictError, GateFailedError, InfrastructureError, InvalidInputError
from components.registry import probe
from components.registry.champion import Champion, find_artifact, find_champion
from components.registry.connection import connect
from components.registry.decision import Decision
from components.registry.recommend import recommend

from .world import MODEL, NUM_ITEMS, World, expected_lists, popular


@pytest.mark.parametrize("integer_ids", [False, True])
def test_a_fresh_process_without_this_project_answers_like_a_slow_loop(
    loop, empty_database, tmp_path, integer_ids
):
    world = World(loop, empty_database, integer_ids=integer_ids)
    assert world.judge(0.5)["promote"]
    assert world.register()["aliases"] == ["challenger", "champion"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    users = [*(str(user) for user in world.user_ids), "nobody"]
    answer = world.ask_a_stranger(users, 7, elsewhere)
    assert list(answer.columns) == ["user_id", "rank", "item_id", "score"]
    wanted = {**expected_lists(world, 0.5, 7), "nobody": popular(world, 7)}
    for user, rows in answer.groupby("user_id"):
        assert rows["rank"].tolist() == list(range(1, 8))
        assert rows["item_id"].tolist() == wanted[user]
        assert rows["score"].is_monotonic_decreasing
    assert set(answer["user_id"]) == set(users)
    pd.testing.assert_frame_equal(answer, recommend(MODEL, world.tracking_uri, users, 7), check_dtype=False)


def test_a_list_ends_where_the_items_do(world):
    world.judge(0.5)
    world.register()
    answer = recommend(MODEL, world.tracking_uri, [world.user_ids[0], "nobody"], 1000)
    assert answer.groupby("user_id").size().to_dict() == {
        world.user_ids[0]: NUM_ITEMS - 14,
        "nobody": NUM_ITEMS,
    }


def test_champion_moves_only_when_a_model_is_better(world):
    first = world.judge(0.4)
    assert world.register() == {
        "model": MODEL,
        "version": "1",
        "aliases": ["challenger", "champion"],
        "promoted": True,
        "previous_champion_version": None,
        "reason": first["reason"],
        "run_id": world.client.get_model_version(MODEL, "1").run_id,
        "ledger": f"{world.loop.root}/ledgers/{MODEL}",
    }
    worse = world.judge(0.2)
    assert (worse["promote"], worse["champion_version"]) == (False, "1")
    assert world.register()["aliases"] == ["challenger"]
    assert world.aliases() == {"challenger": "2", "champion": "1"}

    better = world.judge(0.9)
    assert (better["promote"], better["champion_version"]) == (True, "1")
    assert world.register()["previous_champion_version"] == "1"
    assert world.aliases() == {"challenger": "3", "champion": "3"}
    assert find_champion(world.params) == Champion(
        version="3",
        model_uri=world.model_uri,
        model_sha256=world.loop.manifests["model"].sha256,
        dataset_uri=str(world.inputs["dataset"]),
    )


def test_a_champion_that_changed_since_the_evaluation_is_a_conflict(world):
    world.judge(0.4)
    world.register()
    world.judge(0.9)
    world.client.delete_registered_model_alias(MODEL, "champion")
    with pytest.raises(ConflictError, match=r"version 1; now it is no champion.*evaluation\.attempt=2"):
        world.register()
    assert len(world.client.search_model_versions(f"name = '{MODEL}'")) == 1


def test_registering_again_after_a_crash_takes_up_the_same_version(world, monkeypatch):
    world.judge(0.4)
    first = world.register()
    assert world.register() == first
    # killed between the version and its aliases
    world.judge(0.9)
    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", killed)
    with pytest.raises(KeyboardInterrupt):
        world.register()
    monkeypatch.undo()
    assert world.aliases() == {"challenger": "1", "champion": "1"}
    assert world.register()["version"] == "2"
    assert world.aliases() == {"challenger": "2", "champion": "2"}
    assert len(world.client.search_model_versions(f"name = '{MODEL}'")) == 2
    assert world.steps() == [("promote", None, "1"), ("promote", "1", "2")]
    # rolled back since: a late retry does not promote it again
    world.succession.rollback(None, Decision(who="ann", why="complaints"))
    assert world.register()["promoted"]
    assert world.aliases() == {"challenger": "2", "champion": "1"}


def killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("policy", ["approve", "never"])
def test_who_wins_waits_for_a_decision_under_other_policies(world, policy):
    verdict = world.judge(0.5)
    document = world.register(policy)
    assert (verdict["promote"], document["promoted"], document["aliases"]) == (True, False, ["challenger"])
    assert world.aliases() == {"challenger": "1"}
    assert world.steps() == []
    entry = world.succession.promote("1", Decision(who="ann", why="as agreed"))
    assert entry.evidence["evaluation_sha256"] == world.loop.manifests["evaluation"].sha256
    assert world.aliases() == {"challenger": "1", "champion": "1"}


def test_a_version_that_does_not_answer_is_registered_and_not_promoted(world, monkeypatch):
    world.judge(0.5)
    monkeypatch.setattr(probe, "_ASKING", world.loop.root / "asking.py")
    (world.loop.root / "asking.py").write_text('print(\'{"problems": ["nonsense"]}\')')
    with pytest.raises(GateFailedError, match=r"toy, version 1: .*is not fit for use: nonsense"):
        world.register()
    assert world.aliases() == {"challenger": "1"}
    assert world.steps() == []


def test_the_run_holds_parameters_metrics_curves_hashes_recipe_and_report(world):
    verdict = world.judge(0.5)
    run = world.client.get_run(world.register()["run_id"])
    assert run.data.metrics["ndcg_at_20"] == pytest.approx(verdict["challenger"])
    assert run.data.params["recipe.training.l2"] == "0.0001"
    assert run.data.params["recipe.promotion.floors.ndcg_at_20"] == "0.05"
    assert run.data.params["trained.model.kind"] == "mf"
    assert "dns" in run.data.params["policy.sampler.kind"]
    alpha = world.client.get_metric_history(run.info.run_id, "search/alpha_dns")
    assert [(point.step, point.value) for point in alpha] == [(1, 0.5), (2, 0.6), (3, 0.7)]
    loss = world.client.get_metric_history(run.info.run_id, "retrain/train_loss")
    assert [(point.step, point.value) for point in loss] == [(1, 0.4)]
    for artifact in ("interactions", "dataset", "policy", "model", "evaluation"):
        assert run.data.tags[f"recloop.{artifact}_sha256"] == world.loop.manifests[artifact].sha256
    assert run.info.status == "FINISHED"
    names = {entry.path for entry in world.client.list_artifacts(run.info.run_id)}
    assert names - {"gates.json"} == {"recipe.yaml", "report.html", "model_card.md"}
    version = world.client.get_model_version(MODEL, "1")
    card = (world.loop.root / "registration" / "model_card.md").read_text()
    assert version.description.startswith(f"# {MODEL}, version 1\n")
    assert len(version.description) <= 5000 < len(card)
    stored = world.client.download_artifacts(run.info.run_id, "model_card.md")
    assert Path(stored).read_text() == card


def test_the_logged_model_is_code_and_tables_and_no_pickle(world):
    world.judge(0.5)
    world.register()
    places = [path.parent for path in world.loop.root.rglob("MLmodel")]
    assert len(places) == 1
    files = {path.relative_to(places[0]).as_posix() for path in places[0].rglob("*") if path.is_file()}
    assert files == {
        "MLmodel",
        "conda.yaml",
        "python_env.yaml",
        "requirements.txt",
        "input_example.json",
        "serving_input_example.json",
        "serving.py",
        *(
            f"artifacts/{name}.parquet"
            for name in ("user_embeddings", "item_embeddings", "popularity", "seen")
        ),
    }
    described = (places[0] / "MLmodel").read_text()
    assert "mlflow.pyfunc.loaders.code_model" in described
    assert "python_model:" not in described  # where a pickle would be named
    requirements = (places[0] / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in requirements} == {"mlflow", "numpy", "pandas", "pyarrow"}


def test_inputs_that_do_not_belong_together_are_refused(world):
    world.judge(0.5)
    world.inputs["model"] = world.loop.model(
        world.user_ids, world.item_ids, world.taste_UI, np.eye(NUM_ITEMS)
    )
    with pytest.raises(InvalidInputError, match="evaluation: was made from model"):
        world.register()


def test_nothing_is_champion_where_nothing_was_registered(world):
    assert find_artifact(world.params) is None
    assert not (world.loop.root / "registry").exists()  # asking creates no database
    with pytest.raises(InvalidInputError, match="no MLflow database"):
        recommend(MODEL, world.tracking_uri, ["x"], 3)
    world.judge(0.5)
    world.register()
    assert find_artifact(world.params.model_copy(update={"model": "other"})) is None
    with pytest.raises(InvalidInputError, match=r"model: got 'a/b\.yaml', need the name"):
        recommend("a/b.yaml", world.tracking_uri, ["x"], 3)
    with pytest.raises(InvalidInputError, match=r"'other' has no champion.*registered models: \['toy'\]"):
        recommend("other", world.tracking_uri, ["x"], 3)
    with pytest.raises(InvalidInputError, match="k: got 0"):
        recommend(MODEL, world.tracking_uri, ["x"], 0)


def test_a_champion_that_a_stranger_registered_is_refused(world):
    world.judge(0.5)
    world.register()
    world.client.create_model_version(MODEL, source="s3://somewhere/else")
    world.client.set_registered_model_alias(MODEL, "champion", "2")
    with pytest.raises(InvalidInputError, match=r"version 2, has no tag 'recloop\.model_uri'"):
        find_artifact(world.params)


def test_an_unreachable_server_is_an_infrastructure_error(world, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    nowhere = world.params.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
    with pytest.raises(InfrastructureError, match=r"MLflow at http://127\.0\.0\.1:9: cannot be reached"):
        find_artifact(nowhere)


def test_the_environment_is_left_as_it_was(world, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere.example")
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    world.judge(0.5)
    world.register()
    recommend(MODEL, world.tracking_uri, ["x"], 3)
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://elsewhere.example"
    assert "MLFLOW_REGISTRY_URI" not in os.environ


def test_a_fresh_database_is_made_in_silence(loop, tmp_path, caplog):
    world = World(loop, tmp_path / "unused")
    with caplog.at_level("INFO"):
        connect(f"sqlite:///{tmp_path}/new.db").search_registered_models()
    assert caplog.records == []
    assert (
        find_artifact(world.params.model_copy(update={"tracking_uri": f"sqlite:///{tmp_path}/new.db"}))
        is None
    )
