"""AMER's step 1 over hybrid data, and all three steps one after another."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from components.core.checkpoint import Checkpoint
from components.core.recipe.classification import Amer, ClassificationTraining, Mlp
from components.core.recipe.search import AmerForFields, FineTune, HistorySearch, MlpSearch
from components.rec.classification import build_classifier
from components.rec.classifiers.amer import AmerModel
from components.rec.csr import Csr
from components.rec.fields import Examples, FieldData, FieldTable, Layout
from components.rec.searchers.amer.blocks import BlocksLearner, _one_shot, _section, measure_blocks
from components.rec.searchers.amer.fields import search
from components.rec.searchers.amer.paths import fair_paths, random_paths
from components.rec.searchers.base import SearchResult

from .field_worlds import MIXED, make_field_data, make_layout
from .stopping import stopped_and_gone_on

MLP = Mlp(hidden=(6, 4), dropout=0, batch_norm=False)
TRAINING = ClassificationTraining(model=Amer(dim=4, mlp=MLP, attention=5), batch_size=50, metric="logloss")
SMALL = HistorySearch(
    num_blocks=2, epochs=2, probes=2, children=12, top=2, fine_tune=FineTune(epochs=1, learning_rate=1e-3)
)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def data() -> FieldData:
    return make_field_data(make_layout(MIXED, histories=("f0", "f2")))


def wide(data: FieldData) -> AmerModel:
    model = _one_shot(SMALL, TRAINING, data, 1)
    for tensor in model.parameters():
        torch.nn.init.normal_(tensor, std=0.3, generator=generator(2))
    return model


def child(model: AmerModel, path: Any, data: FieldData) -> AmerModel:
    built = build_classifier(_section(TRAINING, path), data, 9)
    weights = model.state_dict()
    built.load_state_dict({name: weights[name] for name in built.state_dict()})
    assert isinstance(built, AmerModel)
    return built


def test_children_are_worth_what_each_is_by_itself(data: FieldData, monkeypatch: pytest.MonkeyPatch) -> None:
    model, paths = wide(data), random_paths(SMALL, 40, generator(3))
    assert {"target", "gru", "zero"} <= {block.layer for path in paths for block in path}
    batch = data.valid.select(torch.arange(60))
    found = measure_blocks(model, paths, batch, "logloss")
    for path, value in zip(paths, found, strict=True):
        logit = child(model, path, data).eval()(batch).detach().squeeze(1)
        expected = binary_cross_entropy_with_logits(logit, batch.label_B.float())
        assert value == pytest.approx(float(expected), rel=1e-4), path
    monkeypatch.setattr("components.rec.searchers.amer.blocks._NUMBERS_AT_ONCE", 1)
    alone = measure_blocks(model, paths, batch, "logloss")
    assert alone == pytest.approx(found, rel=1e-5)
    assert model.training


def test_a_step_follows_the_mean_gradient_of_its_children(data: FieldData) -> None:
    training = TRAINING.model_copy(update={"l2": 0.1})
    model, twin = wide(data), wide(data)
    learner = BlocksLearner(SMALL, training, data, model, num_steps=10, seed=1)
    drawn = torch.Generator()
    drawn.set_state(learner._paths.get_state())
    batch = data.train.select(torch.arange(50))
    learner.step(batch)
    paths = fair_paths(SMALL, drawn)
    assert sorted(path[0].layer for path in paths) == sorted(SMALL.layers)
    expected = {name: torch.zeros_like(tensor) for name, tensor in model.named_parameters()}
    total = 0.0
    for path in paths:
        alone = child(twin, path, data).train()
        looked = alone.look_up(batch)
        assert looked.past is not None
        squares = looked.rows_BFW.square().sum() + looked.past.state_BTK.square().sum()
        loss = binary_cross_entropy_with_logits(alone.answer(looked).squeeze(1), batch.label_B.float())
        total += float(loss.detach()) / len(paths)
        ((loss + 0.1 * squares / 100) / len(paths)).backward()
        for name, parameter in alone.named_parameters():
            if parameter.grad is not None:
                expected[name] += parameter.grad
    assert float(learner._loss_sum) / 50 == pytest.approx(total, rel=1e-5)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, expected[name], atol=1e-6), name


def echo_world() -> FieldData:
    """The label says whether the example's item is among the last three behaviours."""
    layout = Layout(
        (
            FieldTable("item", "categorical", None, 12),
            FieldTable("other", "categorical", None, 6),
            FieldTable("history_item", "history", "mean", 0, "item", 3),
        )
    )

    def part(size: int, seed: int) -> Examples:
        draw = generator(seed)
        past = torch.randint(2, 12, (size, 3), generator=draw)
        item = torch.randint(2, 12, (size,), generator=draw)
        told = torch.rand(size, generator=draw) < 0.5
        item = torch.where(told, past.gather(1, torch.randint(0, 3, (size, 1), generator=draw))[:, 0], item)
        other = torch.randint(2, 6, (size,), generator=draw)
        codes = torch.stack([item, other], dim=1).int()
        offsets = torch.arange(size + 1) * 3
        label = (past == item[:, None]).any(dim=1).long()
        return Examples(layout, codes, (Csr(offsets, past.flatten()),), label)

    return FieldData(layout, ("0", "1"), part(4000, 1), part(800, 2))


def test_blocks_that_know_the_target_are_found(tmp_path: Path) -> None:
    """Without any attention the same model does not see it."""
    data = echo_world()
    model = Amer(dim=8, mlp=Mlp(hidden=(32,), dropout=0, batch_norm=False), shortcut=False)
    training = ClassificationTraining(model=model, batch_size=100, metric="auc", learning_rate=0.01)
    blocks = HistorySearch(
        num_blocks=1, epochs=12, patience=12, probes=3, children=20, top=2, learning_rate=0.01,
        fine_tune=FineTune(epochs=3, learning_rate=1e-3),
    )  # fmt: skip
    config = AmerForFields(steps=("history",), blocks=blocks, examples=800)
    checkpoint = Checkpoint(str(tmp_path / "policy"), tmp_path, "key")
    result = search(config, training, data, seed=1, checkpoint=checkpoint)
    told = result.policy.decision["blocks"]
    assert told["best"][0]["fine_tuned"] > 0.9
    patched = result.policy.apply(training)
    built = build_classifier(patched, data, seed=4)
    assert result.weights is not None
    built.load_state_dict(result.weights)
    best = max(one["fine_tuned"] for one in told["best"])
    assert data.validate(built, "auc")["auc"] == best


def run(
    place: Path, data: FieldData, steps: Any = ("history", "interactions", "mlp"), seed: int = 1
) -> SearchResult:
    place.mkdir(exist_ok=True)
    config = AmerForFields(
        steps=steps, blocks=SMALL, rounds=2, keep=4, chosen=3, epochs=2, learning_rate=0.01, examples=150,
        mlp=MlpSearch(epochs=2, children=20, top=2, fine_tune=FineTune(epochs=1, learning_rate=1e-3)),
    )  # fmt: skip
    checkpoint = Checkpoint(str(place / "policy"), place, "key")
    return search(config, TRAINING, data, seed=seed, checkpoint=checkpoint)


@pytest.mark.parametrize(
    "steps",
    [("history",), ("history", "interactions"), ("history", "interactions", "mlp"), ("history", "mlp")],
)
def test_the_policy_is_a_model_that_retraining_goes_on_from(
    steps: Any, data: FieldData, tmp_path: Path
) -> None:
    result = run(tmp_path / "a", data, steps)
    model = build_classifier(result.policy.apply(TRAINING), data, seed=9)
    assert result.weights is not None
    model.load_state_dict(result.weights)
    assert set(result.policy.patch) == {
        {"history": "model.blocks", "interactions": "model.interactions", "mlp": "model.mlp"}[step]
        for step in steps
    }
    assert len(result.policy.patch["model.blocks"]) == 2
    names = {name for one in result.policy.patch.get("model.interactions", []) for name in one}
    assert names <= {"f0", "f1", "f2", "f3", "f4"}
    assert result.policy.epochs == len(result.trajectory.history) == 2 * len(steps)
    if "mlp" in steps:
        best = result.policy.decision["best"]
        assert data.validate(model, "logloss")["logloss"] == min(one["fine_tuned"] for one in best)


def test_a_search_is_made_by_its_seed_alone(data: FieldData, tmp_path: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, same, other = (
        run(tmp_path / name, data, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert one.policy == same.policy
    assert one.policy != other.policy


@pytest.mark.parametrize("steps", [5, 22])
def test_a_search_that_was_stopped_ends_as_if_it_had_not_been(
    steps: int, data: FieldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, found = stopped_and_gone_on(
        BlocksLearner, steps, lambda name: run(tmp_path / name, data), monkeypatch
    )
    assert found.policy == whole.policy
    assert found.weights is not None
    assert all(torch.equal(found.weights[name], tensor) for name, tensor in (whole.weights or {}).items())
