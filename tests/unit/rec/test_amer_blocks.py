"""AMER's step 1: fair training on shared weights, children looked at together, the best fine-tuned."""

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import softplus

from components.core.checkpoint import Checkpoint
from components.core.recipe import RankingTraining
from components.core.recipe.ranking import BceLoss
from components.core.recipe.search import AmerForSequences, FineTune
from components.core.recipe.sequences import Block, Blocks
from components.rec.data import PairBatch, RankingData
from components.rec.mlp import drop
from components.rec.objective import build_model
from components.rec.searchers.amer.children import measure_children, told
from components.rec.searchers.amer.oneshot import OneShotLearner
from components.rec.searchers.amer.paths import fair_paths, random_paths
from components.rec.searchers.amer.sequences import _one_shot, search
from components.rec.searchers.base import SearchResult
from components.rec.sequences.histories import NONE, of_like_length
from components.rec.sequences.passes import SequencePasses

from .conftest import make_data

SMALL = AmerForSequences(
    num_blocks=2,
    epochs=3,
    children=30,
    users=12,
    top=2,
    probes=3,
    fine_tune=FineTune(epochs=2, learning_rate=1e-3),
)
TRAINING = RankingTraining(
    model=Blocks(dim=8, max_length=6, num_targets=3),
    loss=BceLoss(),
    batch_size=16,
    metric="ndcg@3",
    num_negatives=2,
)


@pytest.fixture
def chains() -> RankingData:
    """Users walk round a ring of 20 items, from where they began; the next step validates."""
    pairs = [(user, (user + place) % 20) for user in range(30) for place in range(2 + user % 7)]
    valid = [(user, (user + 2 + user % 7) % 20) for user in range(30)]
    return make_data(30, 20, pairs, valid)


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 100),
    layers=st.lists(st.sampled_from(AmerForSequences().layers), min_size=1, max_size=11, unique=True),
    norms=st.sampled_from([("layer", "none"), ("none",)]),
)
def test_a_step_activates_every_layer_of_every_block_once(seed: int, layers: list[Any], norms: Any) -> None:
    config = AmerForSequences(num_blocks=3, layers=tuple(layers), norms=norms)
    paths = fair_paths(config, generator(seed))
    assert len(paths) == len(layers)
    for blocks in zip(*paths, strict=True):
        assert Counter(block.layer for block in blocks) == Counter(layers)
        real = [block for block in blocks if block.layer != "zero"]
        for name, options in (("norm", norms), ("activation", config.activations)):
            counts = Counter(getattr(block, name) for block in real)
            assert max((counts[one] for one in options), default=0) <= -(-len(layers) // len(options))


def test_choices_that_are_fair_are_drawn_anew() -> None:
    drawn = generator()
    paths = [tuple(fair_paths(SMALL, drawn)) for _ in range(20)]
    assert len(set(paths)) == 20


def test_random_children_are_distinct_and_of_all_kinds() -> None:
    paths = random_paths(SMALL, 500, generator())
    assert len(set(paths)) == len(paths) == 500
    for place in range(2):
        assert {path[place].layer for path in paths} == set(SMALL.layers)
    assert {block for path in paths for block in path if block.layer == "zero"} == {
        Block(norm="none", layer="zero", activation="identity")
    }
    tiny = AmerForSequences(num_blocks=1, layers=("zero", "conv1"), norms=("none",), activations=("relu",))
    assert len(random_paths(tiny, 100, generator())) == 2


def children_one_by_one(model: Any, paths: Any, data: RankingData, users: torch.Tensor) -> list[float]:
    """Each as a model of its own, with the shared weights that it needs."""
    found, weights = [], model.state_dict()
    asked = data.valid.select(users)
    valid = make_valid(data, users, asked)
    for path in paths:
        section = TRAINING.model_copy(update={"model": TRAINING.model.model_copy(update={"blocks": path})})
        child = build_model(section, data, 1)
        child.load_state_dict({name: weights[name] for name in child.state_dict()})
        found.append(valid.validate(child, "ndcg@3")["ndcg@3"])
    return found


def make_valid(data: RankingData, users: torch.Tensor, asked: Any) -> RankingData:
    pairs = list(zip(data.in_time.train.rows.tolist(), data.in_time.train.values.tolist(), strict=True))
    valid = [(int(users[row]), int(item)) for row, item in zip(asked.rows, asked.values, strict=True)]
    return make_data(data.num_users, data.num_items, pairs, valid)


def test_children_are_worth_what_each_is_by_itself(
    chains: RankingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is computed together, and in whatever order they are given."""
    monkeypatch.setattr("components.rec.searchers.amer.children.AT_ONCE", 7)
    assert isinstance(TRAINING.model, Blocks)
    model = _one_shot(SMALL, TRAINING.model, chains, seed=1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator(3))
    paths = random_paths(SMALL, 25, generator(2))
    users = torch.tensor([1, 4, 5, 9, 17, 20, 29])
    found = measure_children(model, paths, chains, users, "ndcg@3")
    assert found == pytest.approx(children_one_by_one(model, paths, chains, users))
    assert len({round(value, 9) for value in found}) > 3
    assert measure_children(model, paths[::-1], chains, users, "ndcg@3") == found[::-1]


def first_batch(data: RankingData) -> PairBatch:
    assert isinstance(TRAINING.model, Blocks)
    return next(iter(SequencePasses(TRAINING.model, data).batches(16, generator(5))))


def test_a_step_follows_the_mean_gradient_of_its_children(chains: RankingData) -> None:
    """Against each child's loss by itself, straight through the embeddings."""
    training = TRAINING.model_copy(
        update={"model": TRAINING.model.model_copy(update={"dropout": 0.3}), "l2": 0.01}
    )
    assert isinstance(training.model, Blocks)
    model, twin = (_one_shot(SMALL, training.model, chains, seed=1) for _ in range(2))
    learner = OneShotLearner(SMALL, training, chains, model, 10, seed=1)
    states = {name: some.get_state() for name, some in learner._generators.items()}
    drawn = {name: torch.Generator() for name in states}
    for name, state in states.items():
        drawn[name].set_state(state)
    paths_drawn = torch.Generator()
    paths_drawn.set_state(learner._paths.get_state())
    batch = first_batch(chains)
    assert batch.past is not None
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    learner.step(batch)

    negative = learner._sampler.sample(None, batch, 2, generator=drawn["negatives"])  # type: ignore[arg-type]
    items = torch.cat([batch.item[:, None], negative], dim=1)
    row = torch.searchsorted(batch.past.user_S, batch.user)
    losses = []
    paths = fair_paths(SMALL, paths_drawn)
    for path in paths:
        vectors = torch.empty(len(batch.past.user_S), 8)
        for group in of_like_length(batch.past.item_ST):  # as dropout is drawn
            there = group.item_GT != NONE
            embedded = twin.items[group.item_GT.clamp(min=0)] * there[:, :, None]
            vectors[group.place_G] = twin.follow(path, drop(embedded, 0.3, drawn["dropout"]), there)
        vectors = vectors[row]
        score = (twin.items[items] * vectors[:, None]).sum(dim=2)
        losses.append((softplus(-score[:, 0]) + softplus(score[:, 1:]).sum(dim=1)).mean())
    total = torch.stack(losses).mean()
    assert float(learner._loss_sum) == pytest.approx(float(total), rel=1e-5)
    (total + 0.01 * twin.items[items].square().sum() / 2 / len(batch.user)).backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        expected = twin.get_parameter(name).grad
        assert parameter.grad is not None, name  # strict fairness: nothing is left out
        assert expected is not None, name
        assert torch.allclose(parameter.grad, expected, atol=1e-6), name
        assert not torch.equal(parameter, before[name]), name


def test_the_rate_goes_down_along_a_cosine(chains: RankingData) -> None:
    assert isinstance(TRAINING.model, Blocks)
    learner = OneShotLearner(SMALL, TRAINING, chains, _one_shot(SMALL, TRAINING.model, chains, 1), 4, seed=1)
    rates = [learner._cosine.rate]
    for _ in range(4):
        learner.step(first_batch(chains))
        rates.append(learner._cosine.rate)
    assert rates == pytest.approx([1e-3, 1e-3 * (2 + 2**0.5) / 4, 5e-4, 1e-3 * (2 - 2**0.5) / 4, 0])


def run(place: Path, data: RankingData, seed: int = 1) -> SearchResult:
    place.mkdir(exist_ok=True)
    return search(
        SMALL, TRAINING, data, seed=seed, checkpoint=Checkpoint(str(place / "policy"), place, "key")
    )


def test_the_policy_is_a_child_that_retraining_goes_on_from(chains: RankingData, tmp_path: Path) -> None:
    result = run(tmp_path / "a", chains)
    patched = result.policy.apply(TRAINING)
    assert isinstance(patched.model, Blocks)
    assert len(patched.model.blocks) == 2
    assert result.policy.decision["child"] == told(patched.model.blocks)
    child = build_model(patched, chains, seed=9)
    assert result.weights is not None
    child.load_state_dict(result.weights)
    value = result.policy.decision["ndcg@3"]
    assert chains.validate(child, "ndcg@3")["ndcg@3"] == pytest.approx(value)
    best = result.policy.decision["best"]
    assert len(best) == 2
    assert value == max(one["fine_tuned"] for one in best)
    assert best[0]["shared"] >= best[1]["shared"]
    assert result.policy.decision["children"] == 30
    assert result.policy.decision["looked_at_by"] == {"users": 12}
    assert len(result.trajectory.history) == 3


def test_a_search_is_made_by_its_seed_alone(chains: RankingData, tmp_path: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, same, other = (run(tmp_path / name, chains, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert torch.equal(torch.get_rng_state(), before)
    assert one.policy == same.policy
    assert one.trajectory.history == same.trajectory.history
    assert one.policy != other.policy


@pytest.mark.parametrize("steps", [2, 5, 7])
def test_a_search_that_was_stopped_ends_as_if_it_had_not_been(
    steps: int, chains: RankingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the shared weights are trained, or in a child's fine-tuning."""
    expected = run(tmp_path / "whole", chains)
    count, step = [0], OneShotLearner.step

    def stopping(learner: OneShotLearner, batch: PairBatch) -> None:
        step(learner, batch)
        count[0] += 1
        if count[0] == min(steps, 6):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(OneShotLearner, "step", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", chains)
    monkeypatch.setattr(OneShotLearner, "step", step)
    found = run(tmp_path / "stopped", chains)
    assert found.policy == expected.policy
    assert expected.weights is not None
    assert found.weights is not None
    assert all(torch.equal(found.weights[name], tensor) for name, tensor in expected.weights.items())


def test_a_child_is_told_in_words() -> None:
    blocks = (Block(layer="conv3", activation="swish"), Block(layer="zero"), Block(norm="none", layer="gru"))
    assert told(blocks) == "(norm, conv3, swish) → zero → (gru, relu)"
