"""AutoFIS: weights of products that become zero."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from components.core.checkpoint import Checkpoint
from components.core.recipe.classification import ClassificationTraining, DeepFm, Mlp
from components.core.recipe.search import AutoFis
from components.rec.classification import build_classifier
from components.rec.fields import Examples, FieldData, FieldTable, Layout
from components.rec.searchers.autofis import AutoFisLearner, GatedModel, Grda, _folded, search
from components.rec.searchers.base import SearchResult

from .field_worlds import MIXED, make_field_data, make_layout, pooled
from .stopping import stopped_and_gone_on

MLP = Mlp(hidden=(6,), dropout=0, batch_norm=False)
TRAINING = ClassificationTraining(
    model=DeepFm(dim=3, mlp=MLP), batch_size=50, metric="logloss", learning_rate=0.01
)


@settings(max_examples=50, deadline=None)
@given(
    gradients=st.lists(st.lists(st.floats(-1, 1), min_size=3, max_size=3), min_size=1, max_size=6),
    rate=st.floats(0.1, 2),
    strength=st.floats(0, 0.5),
    growth=st.floats(0.5, 1),
)
def test_grda_is_its_formula(
    gradients: list[list[float]], rate: float, strength: float, growth: float
) -> None:
    """α = sign(v) max(|v| − c √γ (t γ)^μ, 0), v = α₀ − γ Σ ∇."""
    values = torch.tensor([0.6, -0.2, 0.05], dtype=torch.float64, requires_grad=True)
    first = values.detach().tolist()
    grda = Grda(AutoFis(learning_rate=rate, strength=strength, growth=growth), values)
    for number, gradient in enumerate(gradients, start=1):
        values.grad = torch.tensor(gradient, dtype=torch.float64)
        grda.step()
        moved = strength * math.sqrt(rate) * (number * rate) ** growth
        for place, found in enumerate(values.tolist()):
            dual = first[place] - rate * sum(one[place] for one in gradients[:number])
            assert found == pytest.approx(math.copysign(max(abs(dual) - moved, 0), dual), abs=1e-9)
    assert values.grad is None


def gated(data: FieldData) -> GatedModel:
    generator = torch.Generator().manual_seed(1)
    model = GatedModel(TRAINING.model, data, generator=generator)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            with torch.no_grad():
                tensor.normal_(std=0.5, generator=generator)
            if name.endswith("running_var"):
                tensor.abs_().add_(0.1)
    model.network.alpha_M.requires_grad_()
    return model


def test_weights_have_gradients_wherever_the_model_is_moved_to() -> None:
    data = make_field_data(make_layout(MIXED))
    model = gated(data).double()  # as a move to another device, this makes new tensors
    AutoFisLearner(AutoFis(), TRAINING, data, model, seed=1)
    assert model.network.alpha_M.is_leaf
    assert model.network.alpha_M.requires_grad


def test_a_step_moves_weights_and_all_else_on_one_batch() -> None:
    data = make_field_data(make_layout(MIXED))
    model, twin = gated(data), gated(data)
    learner = AutoFisLearner(AutoFis(strength=0), TRAINING, data, model, seed=1)
    before = model.network.alpha_M.detach().clone()
    batch = data.train.select(torch.arange(50))
    rows_BFW = pooled(twin.table, batch, data.layout)
    embedding = rows_BFW[:, :, :3]
    product = torch.stack(
        [(embedding[:, i] * embedding[:, j]).sum(dim=1) for i in range(5) for j in range(i + 1, 5)], dim=1
    )
    normal = (product - product.mean(dim=0)) / (product.var(dim=0, unbiased=False) + 1e-5).sqrt()
    second = (normal * twin.network.alpha_M).sum(dim=1, keepdim=True)
    hidden = twin.network.mlp(embedding.flatten(1))
    logit = rows_BFW[:, :, 3:].sum(dim=1) + twin.network.output(torch.cat([second, hidden], dim=1))
    loss = binary_cross_entropy_with_logits(logit.squeeze(1), batch.label_B.float())
    loss.backward()  # type: ignore[no-untyped-call]
    learner.step(batch)
    assert float(learner._loss_sum) / 50 == pytest.approx(float(loss.detach()), rel=1e-5)
    moved = before - model.network.alpha_M.detach()
    assert torch.allclose(moved, twin.network.alpha_M.grad, atol=1e-6)


def test_what_is_folded_answers_alike() -> None:
    data = make_field_data(make_layout(MIXED))
    model = gated(data)
    kept = [0, 3, 7]
    with torch.no_grad():
        zero = [place for place in range(10) if place not in kept]
        model.network.alpha_M[zero] = 0
    chosen = tuple(model.network.chosen[place] for place in kept)
    config = TRAINING.model.model_copy(update={"interactions": chosen, "weighted": True})
    plain = build_classifier(TRAINING.model_copy(update={"model": config}), data, seed=4)
    plain.load_state_dict(_folded(model, kept))
    assert torch.allclose(plain.predict(data.valid), model.predict(data.valid), atol=1e-5)


def pairs_world() -> FieldData:
    """Of five fields the label asks whether 1 and 3 agree, and nothing else."""
    layout = Layout(tuple(FieldTable(f"f{n}", "categorical", None, 4) for n in range(5)))

    def part(size: int, seed: int) -> Examples:
        generator = torch.Generator().manual_seed(seed)
        code = torch.randint(2, 4, (size, 5), generator=generator, dtype=torch.int32)
        return Examples(layout, code, (), (code[:, 1] == code[:, 3]).long())

    return FieldData(layout, ("0", "1"), part(2000, 1), part(500, 2))


def run(place: Path, data: FieldData, seed: int = 1, **changes: Any) -> SearchResult:
    place.mkdir(exist_ok=True)
    config = AutoFis(**{"epochs": 4, "strength": 0.02, "learning_rate": 0.1, **changes})
    checkpoint = Checkpoint(str(place / "policy"), place, "key")
    return search(config, TRAINING, data, seed=seed, checkpoint=checkpoint)


def test_the_product_that_knows_is_kept(tmp_path: Path) -> None:
    data = pairs_world()
    result = run(tmp_path / "a", data, epochs=15, strength=0.1)
    kept = result.policy.patch["model.interactions"]
    assert ["f1", "f3"] in kept
    assert len(kept) < result.policy.decision["of"] == 10
    training = result.policy.apply(TRAINING)
    assert isinstance(training.model, DeepFm)
    assert training.model.weighted
    model = build_classifier(training, data, seed=9)
    assert result.weights is not None
    model.load_state_dict(result.weights)
    assert data.validate(model, "logloss")["logloss"] == pytest.approx(result.trajectory.best_value, rel=1e-4)
    heaviest = max(result.policy.decision["weighed"], key=lambda one: abs(one["weight"]))
    assert heaviest["fields"] == ["f1", "f3"]


def test_nothing_may_be_left(tmp_path: Path) -> None:
    data = make_field_data(make_layout(MIXED))
    result = run(tmp_path / "a", data, strength=5.0, epochs=1)
    assert result.policy.patch["model.interactions"] == []
    model = build_classifier(result.policy.apply(TRAINING), data, seed=9)
    assert result.weights is not None
    model.load_state_dict(result.weights)
    assert data.validate(model, "logloss")["logloss"] == pytest.approx(result.trajectory.best_value, rel=1e-4)


def test_a_search_is_made_by_its_seed_alone(tmp_path: Path) -> None:
    data = make_field_data(make_layout(MIXED))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    seeds = {"a": 1, "b": 1, "c": 2}
    one, same, other = (run(tmp_path / name, data, seed) for name, seed in seeds.items())
    assert torch.equal(torch.get_rng_state(), before)
    assert one.policy == same.policy
    assert one.policy != other.policy


@pytest.mark.parametrize("steps", [5, 30])
def test_a_search_that_was_stopped_ends_as_if_it_had_not_been(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_field_data(make_layout(MIXED))
    whole, found = stopped_and_gone_on(
        AutoFisLearner, steps, lambda name: run(tmp_path / name, data), monkeypatch
    )
    assert found.policy == whole.policy
    assert found.weights is not None
    assert all(torch.equal(found.weights[name], tensor) for name, tensor in (whole.weights or {}).items())
