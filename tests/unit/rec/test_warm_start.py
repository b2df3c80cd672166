"""Weights taken over from an older model: which rows, exactly, and what became of the rest."""

import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.recipe.ranking import LightGcn, MatrixFactorization, ModelConfig, Ngcf, RankingTraining
from components.core.strategy import Strategy, registered
from components.rec.models.base import RankingModel
from components.rec.objective import build_model
from components.rec.warm_start import Carried, OldModel, RawIds, carry_over
from tests.unit.rec.conftest import make_data

MODELS = registered(ModelConfig)


def build(config: Strategy, num_users: int, num_items: int, seed: int = 1) -> RankingModel:
    pairs = [(user, user % num_items) for user in range(num_users)]
    pairs += [(item % num_users, item) for item in range(num_items)]
    return build_model(
        RankingTraining(model=config), make_data(num_users, num_items, sorted(set(pairs)), []), seed
    )


def raw_ids(users: list, items: list) -> RawIds:
    return {"user": pa.array(users), "item": pa.array(items)}


def old_model(config: Strategy, ids: RawIds, seed: int = 7) -> OldModel:
    """Weights in which every number tells the tensor and the place that it came from."""
    model = build(config, len(ids["user"]), len(ids["item"]), seed)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return OldModel(weights=weights, ids=ids)


def test_rows_follow_their_raw_ids():
    old = OldModel(
        weights={
            "users": torch.tensor([[1.0, 2], [3, 4], [5, 6]]),
            "items": torch.tensor([[7.0, 8], [9, 10]]),
        },
        ids=raw_ids(["ann", "bob", "cid"], ["x", "y"]),
    )
    model = build(MatrixFactorization(dim=2), 4, 3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = carry_over(model, raw_ids(["ada", "bob", "cid", "zoe"], ["a", "b", "y"]), old, "random")
    assert found == {
        "users": Carried(rows="user", carried=2, fresh=2, lost=1),
        "items": Carried(rows="item", carried=1, fresh=2, lost=1),
    }
    users, items = model.state_dict()["users"], model.state_dict()["items"]
    assert users[1:3].tolist() == [[3, 4], [5, 6]]
    assert items[2].tolist() == [9, 10]
    assert torch.equal(users[[0, 3]], before["users"][[0, 3]])  # the model's own random values
    assert torch.equal(items[:2], before["items"][:2])


def test_new_rows_may_be_the_mean_of_those_that_were_carried():
    old = OldModel(
        weights={"users": torch.tensor([[1.0, 2], [3, 4], [500, 600]]), "items": torch.tensor([[7.0, 8]])},
        ids=raw_ids(["ann", "bob", "gone"], ["x"]),
    )
    model = build(MatrixFactorization(dim=2), 3, 2)
    before = model.state_dict()["items"].clone()
    found = carry_over(model, raw_ids(["ann", "bob", "new"], ["p", "q"]), old, "mean")
    assert model.state_dict()["users"].tolist() == [[1, 2], [3, 4], [2, 3]]
    assert torch.equal(model.state_dict()["items"], before)  # no row was carried, so there is no mean
    assert found["items"] == Carried(rows="item", fresh=2, lost=1, reason="no item is known to both")


def test_what_is_carried_may_be_shrunk():
    ids = raw_ids(["a", "b"], ["x"])
    old = old_model(Ngcf(dim=4, layer_dims=(3,)), ids)
    model = build(Ngcf(dim=4, layer_dims=(3,)), 3, 1)
    carry_over(model, raw_ids(["a", "b", "new"], ["x"]), old, "mean", scale=0.25)
    found = model.state_dict()
    assert torch.equal(found["users"][:2], old.weights["users"] / 4)
    assert torch.allclose(found["users"][2], old.weights["users"].mean(dim=0) / 4)
    assert torch.equal(found["neighbor_weights.0"], old.weights["neighbor_weights.0"] / 4)


def test_a_number_is_the_same_id_as_its_digits():
    old = OldModel(
        weights={"users": torch.tensor([[1.0], [2], [3]]), "items": torch.tensor([[4.0]])},
        ids=raw_ids([5, 10, 70], ["8"]),
    )
    model = build(MatrixFactorization(dim=1), 3, 1)
    carry_over(model, raw_ids(["10", "5", "70"], [8]), old, "random")  # text has another order
    assert model.state_dict()["users"].flatten().tolist() == [2, 1, 3]
    assert model.state_dict()["items"].flatten().tolist() == [4]


@pytest.mark.parametrize("strategy", MODELS, ids=[model.model_fields["kind"].default for model in MODELS])
@settings(max_examples=15, deadline=None)
@given(
    ids=st.fixed_dictionaries(
        {
            name: st.lists(st.integers(0, 12), min_size=1, max_size=9, unique=True)
            for name in ("old users", "old items", "new users", "new items")
        }
    ),
    new_rows=st.sampled_from(["random", "mean"]),
)
def test_every_model_carries_every_id_that_is_known_and_no_other(strategy, ids, new_rows):
    """Against a loop over ids, whatever their order."""
    old_ids, new_ids = (
        raw_ids(ids["old users"], ids["old items"]),
        raw_ids(ids["new users"], ids["new items"]),
    )
    old = old_model(strategy(), old_ids)
    model = build(strategy(), len(ids["new users"]), len(ids["new items"]))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = carry_over(model, new_ids, old, new_rows)
    assert found.keys() == before.keys()
    for name, tensor in model.state_dict().items():
        if name not in model.rows:
            assert torch.equal(tensor, old.weights[name])
            continue
        side = model.rows[name]
        known, row_of = (
            new_ids[side].to_pylist(),
            {raw: row for row, raw in enumerate(old_ids[side].to_pylist())},
        )
        shared = [raw for raw in known if raw in row_of]
        for raw, row, own in zip(known, tensor, before[name], strict=True):
            if raw in row_of:
                assert torch.equal(row, old.weights[name][row_of[raw]])
            elif new_rows == "random" or not shared:
                assert torch.equal(row, own)
            else:
                mean = torch.stack([old.weights[name][row_of[raw]] for raw in shared]).mean(dim=0)
                assert torch.allclose(row, mean, atol=1e-6)
        assert found[name].carried == len(shared)
        assert found[name].carried + found[name].fresh == len(known)
        assert found[name].carried + found[name].lost == len(row_of)


def test_another_dim_carries_nothing_and_says_why():
    ids = raw_ids(["a", "b"], ["x", "y", "z"])
    model = build(MatrixFactorization(dim=4), 2, 3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = carry_over(model, ids, old_model(MatrixFactorization(dim=8), ids), "mean")
    assert found["items"] == Carried(
        rows="item", fresh=3, lost=3, reason="its shape was 3 × 8, the new one is 3 × 4"
    )
    assert not any(became.carried for became in found.values())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_another_kind_of_model_gives_what_it_has():
    ids = raw_ids(["a", "b"], ["x", "y"])
    old = old_model(Ngcf(dim=4, layer_dims=(3, 2)), ids)
    model = build(LightGcn(dim=4), 2, 2)
    found = carry_over(model, ids, old, "random")
    assert torch.equal(model.state_dict()["users"], old.weights["users"])
    layers = {name: became for name, became in found.items() if "weights" in name}
    assert len(layers) == 4
    assert all(became.lost == 1 and became.reason for became in layers.values())

    wider = build(Ngcf(dim=4, layer_dims=(3, 5)), 2, 2)
    found = carry_over(wider, ids, old, "random")
    assert found["neighbor_weights.0"] == Carried(rows=None, carried=1)
    assert found["neighbor_weights.1"].reason == "its shape was 3 × 2, the new one is 3 × 5"


def test_a_tensor_whose_rows_are_not_the_ids_is_not_taken_for_them():
    ids = raw_ids(["a", "b"], ["x", "y"])
    old = OldModel(weights={"users": torch.ones(3, 4), "items": torch.ones(2, 4)}, ids=ids)
    found = carry_over(build(MatrixFactorization(dim=4), 2, 2), ids, old, "random")
    assert found["users"].carried == 0
    assert found["items"].carried == 2
