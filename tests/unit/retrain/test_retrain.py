"""The retrain stage: where its weights come from, what it tells of it, and that nothing else decides."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file

from components.catalog import RETRAIN
from components.core.checkpoint import Checkpoint
from components.core.errors import GateFailedError, InvalidInputError
from components.core.gates import Gate, gates_of
from components.core.manifest import read_manifest
from components.core.recipe import RankingTraining, RetrainParams
from components.core.recipe.ranking import MatrixFactorization
from components.core.recipe.training import WarmCheck
from components.core.stage import Context
from components.data.parquet import read_table, write_table
from components.rec import loop, saves
from components.rec.ranking_learner import RankingLearner
from components.retrain.run import run

NUM_ITEMS = 30


class Deliveries:
    """Datasets over ranges of raw users and items in two clusters that never mix, and models of them."""

    def __init__(self, root: Path, new_loop: Any) -> None:
        self.root, self._new_loop = root, new_loop

    def dataset(self, name: str, users: range, items: range, *, valid: bool = True) -> Path:
        generator = np.random.default_rng(5)
        train, validation = [], []
        for user in range(len(users)):
            own = [item for item in range(len(items)) if items[item] % 2 == users[user] % 2]
            order = generator.permutation(len(own))
            train += [(user, own[place]) for place in order[:9]]
            validation += [(user, own[place]) for place in order[9:12]]
        loop = self._new_loop(self.root / name)
        loop.interactions()
        ids = [
            [f"{kind}{number:03d}" for number in numbers] for kind, numbers in (("u", users), ("i", items))
        ]
        dataset = loop.dataset(*ids, train, validation if valid else [], [])
        policy = loop.folder("policy")
        document = {"kind": "none", "patch": {}, "decision": {}, "best_epoch": 0, "epochs": 0}
        (policy / "policy.json").write_text(json.dumps(document))
        write_table(pa.table({"epoch": pa.array([], pa.int32())}), policy / "trajectory.parquet")
        loop.publish("policy", "search", ["dataset"])
        return dataset

    def retrain(self, dataset: Path, champion: Path | None = None, **changes: Any) -> Path:
        """The model artifact, with its contract's gates in its manifest."""
        place = dataset.parent
        name = f"model{len(list(place.glob('model*')))}"
        loop = self._new_loop(place)
        if champion is not None:
            loop.manifests["champion"] = read_manifest(str(champion))
        output = loop.folder(name)
        inputs = {"dataset": dataset, "policy": place / "policy"}
        if champion is not None:
            inputs["champion"] = champion
        scratch = place / f"scratch-{name}"
        scratch.mkdir()
        self.metrics = run(
            params(**changes), inputs, output, Context(Checkpoint(str(place / "artifact"), scratch, "key"))
        )
        found = RETRAIN.load_contract(params(**changes))(output, params(**changes), inputs, place / "docs")
        self.gates: list[Gate] = gates_of(found.summary)
        return loop.publish(name, "retrain", loop.manifests)


def params(**changes: Any) -> RetrainParams:
    settings = {
        "model": MatrixFactorization(dim=8),
        "learning_rate": 0.02,
        "batch_size": 64,
        "epochs": 12,
        "patience": 3,
        "metric": "ndcg@5",
        "warm_start": "champion",
        "device": "cpu",
    }
    return RetrainParams(training=RankingTraining(**(settings | changes)), seed=1, model="m", tracking_uri="")


@pytest.fixture
def deliveries(tmp_path: Path, loop: Any) -> Deliveries:
    return Deliveries(tmp_path, type(loop))


@pytest.fixture
def first(deliveries: Deliveries) -> Path:
    """A champion over users 0…39 and items 0…29."""
    return deliveries.retrain(deliveries.dataset("first", range(40), range(NUM_ITEMS)))


@pytest.fixture
def second(deliveries: Deliveries) -> Path:
    """A dataset that lost ten users and four items, and has ten and six new ones."""
    return deliveries.dataset("second", range(10, 50), range(4, 36))


def told(model: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((model / "training.json").read_text())
    return document


def test_without_a_champion_it_starts_anew_and_says_so(deliveries: Deliveries, first: Path) -> None:
    assert told(first)["warm_start"] == {"from": "none", "champion_sha256": None, "tensors": {}}
    assert told(first)["warm_check"] is None
    assert deliveries.gates == []


def test_what_was_carried_stands_in_training_json_and_gates(
    deliveries: Deliveries, first: Path, second: Path
) -> None:
    model = deliveries.retrain(second, first)
    warm = told(model)["warm_start"]
    assert warm["from"] == "champion"
    assert warm["champion_sha256"] is not None
    assert warm["tensors"] == {
        "users": {"rows": "user", "carried": 30, "fresh": 10, "lost": 10, "reason": ""},
        "items": {"rows": "item", "carried": 26, "fresh": 6, "lost": 4, "reason": ""},
    }
    (gate,) = deliveries.gates
    assert (gate.subject, gate.name, gate.outcome) == ("warm start", "carried over", "passed")
    assert gate.value == pytest.approx(56 / 72)
    assert gate.told == "56 of 72 rows are the champion's"


def test_rows_that_no_step_touched_are_the_champions_bit_by_bit(
    deliveries: Deliveries, first: Path, second: Path
) -> None:
    """With one epoch that makes nothing better, the start itself is kept."""
    model = deliveries.retrain(second, first, epochs=1, learning_rate=1e-12, patience=1)
    assert told(model)["best_epoch"] == 0
    for side in ("user", "item"):
        old, new = (read_table(place / f"{side}_embeddings.parquet") for place in (first, model))
        rows = dict(zip(old[f"{side}_id"].to_pylist(), old["embedding"].to_pylist(), strict=True))
        shared = [
            (rows[raw], vector)
            for raw, vector in zip(new[f"{side}_id"].to_pylist(), new["embedding"].to_pylist(), strict=True)
            if raw in rows
        ]
        assert len(shared) == {"user": 30, "item": 26}[side]
        assert all(before == after for before, after in shared)


def test_a_champion_may_have_begun_from_another(deliveries: Deliveries, first: Path, second: Path) -> None:
    champion = deliveries.retrain(second, first)
    third = deliveries.retrain(deliveries.dataset("third", range(20, 60), range(8, 40)), champion)
    assert told(third)["warm_start"]["champion_sha256"] == read_manifest(str(champion)).sha256
    assert told(third)["warm_start"]["tensors"]["users"]["carried"] == 30


def test_the_same_inputs_give_the_same_bytes(deliveries: Deliveries, first: Path, second: Path) -> None:
    one, two = (deliveries.retrain(second, first, new_rows="mean") for _ in range(2))
    for path in one.iterdir():
        if path.name != "_manifest.json":
            assert path.read_bytes() == (two / path.name).read_bytes(), path.name
    cold = deliveries.retrain(second, first, warm_start="none")
    assert (cold / "weights.safetensors").read_bytes() != (one / "weights.safetensors").read_bytes()
    assert told(cold)["warm_start"]["from"] == "none"


def test_the_champion_comes_before_the_search_and_the_search_before_chance(
    deliveries: Deliveries, first: Path, second: Path
) -> None:
    found = {"users": torch.full((40, 8), 0.25), "items": torch.full((32, 8), 0.5)}
    loop.save_tensors(found, second.parent / "policy" / "weights.safetensors")
    kept = {"epochs": 1, "learning_rate": 1e-12, "patience": 1}
    warm = deliveries.retrain(second, first, **kept)
    assert told(warm)["warm_start"]["from"] == "champion"
    searched = deliveries.retrain(second, None, **kept)
    assert told(searched)["warm_start"] == {"from": "search", "champion_sha256": None, "tensors": {}}
    if told(searched)["best_epoch"] == 0:
        assert torch.equal(load_file(searched / "weights.safetensors")["users"], found["users"])

    misfit = deliveries.retrain(
        second, deliveries.retrain(second, None, model=MatrixFactorization(dim=4), warm_start="none")
    )
    assert told(misfit)["warm_start"]["from"] == "search"


def test_a_champion_of_another_dim_is_told_and_not_used(
    deliveries: Deliveries, first: Path, second: Path
) -> None:
    model = deliveries.retrain(second, first, model=MatrixFactorization(dim=4))
    warm = told(model)["warm_start"]
    assert warm["from"] == "none"
    assert warm["tensors"]["users"]["reason"] == "its shape was 40 × 8, the new one is 40 × 4"
    (gate,) = deliveries.gates
    assert gate.outcome == "warned"
    assert gate.told.startswith("nothing of the champion's weights fits (its shape was 30 × 8")


def test_a_warm_start_that_is_worse_stops_or_warns(
    deliveries: Deliveries, first: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = deliveries.retrain(second, first, warm_check=WarmCheck(margin=0.5))
    compared = told(model)["warm_check"]
    cold = deliveries.retrain(second, first, warm_start="none")
    history = read_table(cold / "history.parquet")["ndcg@5"].to_pylist()
    assert compared["cold"] == {
        "value": max(history),
        "best_epoch": told(cold)["best_epoch"],
        "epochs": told(cold)["epochs"],
    }
    # the check changes nothing of the model itself
    plain = deliveries.retrain(second, first)
    assert (plain / "weights.safetensors").read_bytes() == (model / "weights.safetensors").read_bytes()

    monkeypatch.setattr("components.retrain.run._compared", lambda warm, cold: _worse(compared))
    changes = {"warm_check": WarmCheck(margin=0.01, severity="warn")}
    deliveries.retrain(second, first, **changes)
    check = deliveries.gates[-1]
    assert (check.subject, check.outcome, check.low) == ("warm start", "warned", -0.01)
    assert check.value == pytest.approx(-0.25)
    with pytest.raises(
        GateFailedError,
        match=r"warm start: ndcg@5 on validation, lead of warm over cold: .*-0\.2500, need at least -0\.0100",
    ) as raised:
        deliveries.retrain(second, first, warm_check=WarmCheck(margin=0.01))
    assert [gate.outcome for gate in raised.value.gates] == ["passed", "stopped"]


def _worse(compared: dict[str, Any]) -> dict[str, Any]:
    return {**compared, "warm": {**compared["warm"], "value": compared["cold"]["value"] - 0.25}}


def test_a_check_needs_validation_data(deliveries: Deliveries, first: Path) -> None:
    dataset = deliveries.dataset("blind", range(40), range(NUM_ITEMS), valid=False)
    with pytest.raises(InvalidInputError, match=r"training\.warm_check: .* validation"):
        deliveries.retrain(dataset, first, warm_check=WarmCheck())


class KilledError(Exception):
    pass


@pytest.mark.parametrize("when", [3, 30, 60], ids=["in the cold run", "later in it", "in the warm run"])
def test_a_killed_check_goes_on_where_it_was(
    deliveries: Deliveries, first: Path, second: Path, when: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saves, "_EVERY_S", 0.0)
    monkeypatch.setattr(saves, "_SHARE", 1e9)  # after every step
    changes = {"warm_check": WarmCheck(margin=1)}
    steps, step = [], RankingLearner.step

    def counted(learner: RankingLearner, batch: Any) -> None:
        steps.append(learner)
        if len(steps) == when and killing:
            raise KilledError
        step(learner, batch)

    monkeypatch.setattr(RankingLearner, "step", counted)
    killing = False
    whole = deliveries.retrain(second, first, **changes)
    num_steps = len(steps)
    steps.clear()
    for place in second.parent.glob("artifact*.checkpoint"):
        shutil.rmtree(place)

    killing = True
    with pytest.raises(KilledError):
        deliveries.retrain(second, first, **changes)
    done = len(steps) - 1
    killing = False
    steps.clear()
    resumed = deliveries.retrain(second, first, **changes)
    assert done + len(steps) == num_steps  # no step twice
    for name in ("weights.safetensors", "training.json", "history.parquet"):
        assert (resumed / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_champion_that_changed_on_the_way_is_another_start(
    deliveries: Deliveries, first: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saves, "_EVERY_S", 0.0)
    other = deliveries.retrain(first.parent / "dataset", None, learning_rate=0.05)
    wanted = deliveries.retrain(second, other)
    deliveries.retrain(second, first)  # its checkpoint stays: nobody discards it here
    found = deliveries.retrain(second, other)
    assert (found / "weights.safetensors").read_bytes() == (wanted / "weights.safetensors").read_bytes()
