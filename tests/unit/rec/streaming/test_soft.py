"""Soft selection: all sizes at once, by weights that learn from the past and from nothing else."""

import pytest
import torch
from torch import Tensor

from components.rec.optimizers.base import BETA_1
from components.rec.streaming.history import History
from components.rec.streaming.model import SIDES, Side, StreamBatch, StreamModel, losses
from components.rec.streaming.soft import SoftEmbeddings, SoftLearner
from components.rec.streaming.weighers import FreeWeigher, FrequencyWeigher, Weigher

SIZES = (2, 3, 5)
KINDS = (FreeWeigher, FrequencyWeigher)


def stream(length: int, num_classes: int = 2) -> StreamBatch:
    """New ids come all the time; labels follow from them."""
    generator = torch.Generator().manual_seed(0)
    reach = torch.arange(length) // 3 + 2
    user_B, item_B = ((torch.rand(length, generator=generator) * reach).to(torch.int64) for _ in range(2))
    return StreamBatch(user_B, item_B, (user_B * 7 + item_B * 3) % num_classes)


def weigher_of(kind: type[Weigher], generator: torch.Generator) -> Weigher:
    if kind is FreeWeigher:
        return FreeWeigher(len(SIZES))
    return FrequencyWeigher(len(SIZES), 10, 4, 8, generator=generator)


def embeddings_of(kind: type[Weigher], seed: int = 1) -> SoftEmbeddings:
    generator = torch.Generator().manual_seed(seed)
    return SoftEmbeddings(SIZES, 0.1, weigher_of(kind, generator), generator=generator)


def leave_equality(weigher: Weigher) -> None:
    """Weights that differ between ids and between sizes."""
    generator = torch.Generator().manual_seed(3)
    state = {name: tensor.clone() for name, tensor in weigher.state().items()}
    name = f"{len(SIZES)}.value" if isinstance(weigher, FreeWeigher) else "3.weight"
    state[name] = torch.randn(state[name].shape, generator=generator)
    weigher.load_state(state)


class Run:
    """A learner and the stream that it is given, batch by batch."""

    def __init__(
        self, kind: type[Weigher], *, seed: int = 1, num_classes: int = 2, rate: float = 1e-2
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        sides: dict[Side, SoftEmbeddings] = {}
        for side in SIDES:
            weigher = weigher_of(kind, generator)
            sides[side] = SoftEmbeddings(SIZES, 0.1, weigher, generator=generator)
        self.model = StreamModel(sides, num_classes, 16, generator=generator)
        self.sides, self.history = sides, History(1000)
        self.whole, self.done = stream(200, num_classes), 0
        self.learner = SoftLearner(
            self.model, self.history, learning_rate=1e-2, weights_learning_rate=rate, generator=generator
        )

    def step(self) -> Tensor:
        batch = self.whole.part(self.done, self.done + 20)
        self.done += 20
        return self.learner.learn(batch).probability_BC

    def past(self, size: int = 30) -> StreamBatch:
        past = self.history.sample(size, torch.Generator().manual_seed(5))
        assert past is not None
        return past

    def loss(self, batch: StreamBatch) -> Tensor:
        return losses(self.model(self.model.rows(batch)), batch.label_B).mean()

    def state(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.learner.state().items()}

    def changed(self, before: dict[str, Tensor]) -> set[str]:
        after = self.learner.state()
        return {name for name in after if name not in before or not torch.equal(after[name], before[name])}


def candidates(embeddings: SoftEmbeddings, id_B: Tensor) -> Tensor:
    """(K, B, width): each id's embeddings of all sizes, unified by hand."""
    found = []
    for unify, rows in zip(embeddings.unify, embeddings.rows(id_B).candidates, strict=True):
        layer = unify.maps[0]
        mapped = rows.values[0][rows.place_B] @ layer.weight.T
        normal = (mapped - unify.mean_KW[0]) / torch.sqrt(unify.variance_KW[0] + 1e-5)
        found.append(torch.tanh(normal * unify.scale_W + unify.shift_W))
    return torch.stack(found)


def test_free_weights_begin_equal_and_give_the_mean_of_the_candidates() -> None:
    embeddings = embeddings_of(FreeWeigher)
    embeddings.extend(12)
    embeddings(embeddings.rows(torch.arange(12)), remember=True)
    id_B = torch.tensor([3, 9, 3, 0, 11])
    vector_BW = embeddings(embeddings.rows(id_B))
    assert vector_BW.shape == (5, 5)
    assert torch.allclose(vector_BW, candidates(embeddings, id_B).mean(dim=0), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_vector_is_the_weighted_sum_of_the_candidates(kind: type[Weigher]) -> None:
    embeddings = embeddings_of(kind)
    embeddings.extend(12)
    embeddings.seen.see(torch.arange(12).repeat_interleave(torch.arange(12)), torch.zeros(66))
    embeddings(embeddings.rows(torch.arange(12)), remember=True)
    leave_equality(embeddings.weigher)
    id_B = torch.tensor([3, 9, 3, 0, 11])
    weight_BK = embeddings.weigher.logits(id_B, embeddings.seen.frequency(id_B)).exp()
    weight_BK = weight_BK / weight_BK.sum(dim=1, keepdim=True)
    logit_RK = embeddings.rows(id_B).logit_RK
    assert logit_RK.is_leaf
    assert torch.allclose(logit_RK.softmax(dim=1).sum(dim=1), torch.ones(4))
    assert weight_BK.std(dim=0).min() > 0.01
    expected_BW = (weight_BK.T[:, :, None] * candidates(embeddings, id_B)).sum(dim=0)
    assert torch.allclose(embeddings(embeddings.rows(id_B)), expected_BW, atol=1e-6)


def test_a_controller_tells_frequencies_apart_up_to_its_last() -> None:
    weigher = weigher_of(FrequencyWeigher, torch.Generator().manual_seed(1))
    logit_RK = weigher.logits(torch.arange(4), torch.tensor([0, 8, 9, 1000]))
    assert not torch.allclose(logit_RK[0], logit_RK[1])
    assert not torch.allclose(logit_RK[1], logit_RK[2])
    assert torch.equal(logit_RK[2], logit_RK[3])


def test_all_sizes_take_their_room() -> None:
    embeddings = embeddings_of(FreeWeigher)
    for num_ids in (7, 100, 101, 350):
        embeddings.extend(num_ids)
        assert len(embeddings) == num_ids
        assert embeddings.counts() == dict.fromkeys(SIZES, num_ids)
        for size, taken in embeddings.bytes().items():
            assert num_ids * size * 4 <= taken <= max(2 * num_ids, 64) * size * 4
    assert embeddings.size_of(torch.tensor([5, 0])).tolist() == [sum(SIZES)] * 2


def by_hand(run: Run, past: StreamBatch) -> Tensor:
    """The loss of a batch whose weights have gradients, with a row for each interaction."""
    vectors = []
    for side in SIDES:
        ids, embeddings = past.ids(side), run.sides[side]
        weight_BK = embeddings.weigher.logits(ids, embeddings.seen.frequency(ids)).softmax(dim=1)
        vectors.append((weight_BK.T[:, :, None] * candidates(embeddings, ids).detach()).sum(dim=0))
    logit_BL = run.model.output(torch.tanh(run.model.hidden(torch.cat(vectors, dim=1))))
    return losses(logit_BL, past.label_B).mean()


def test_a_controller_gets_the_gradient_of_the_past() -> None:
    run = Run(FrequencyWeigher)
    for _ in range(4):
        run.step()
    parameters = [parameter for side in SIDES for parameter in run.sides[side].weigher.parameters()]
    expected = torch.autograd.grad(by_hand(run, run.past()), parameters)
    run.learner._learn_weights(run.past())
    for parameter, gradient in zip(parameters, expected, strict=True):
        assert gradient.abs().max() > 1e-6
        assert torch.allclose(parameter.grad, gradient, atol=1e-7)


def test_free_logits_get_the_gradient_of_the_past_and_others_rest() -> None:
    """∂/∂logit_k = α_k (g_k − Σ_j α_j g_j), g being that of the weights; Adam's mean after its first step."""
    run = Run(FreeWeigher)
    run.step()
    run.step()
    past = run.past(8)
    expected = {}
    for side in SIDES:
        leave_equality(run.sides[side].weigher)
        for name in ("mean", "square", "clock"):  # as if nobody had learned yet
            run.sides[side].weigher._table._blocks[0].columns()[name].zero_()
    before = run.state()
    vectors, weights = [], {}
    for side in SIDES:
        ids = past.ids(side)
        weights[side] = run.sides[side].weigher.logits(ids, ids).detach().softmax(dim=1).requires_grad_()
        vectors.append((weights[side].T[:, :, None] * candidates(run.sides[side], ids)).sum(dim=0))
    logit_BL = run.model.output(torch.tanh(run.model.hidden(torch.cat(vectors, dim=1))))
    gradients = torch.autograd.grad(losses(logit_BL, past.label_B).mean(), [weights[side] for side in SIDES])
    for side, g_BK in zip(SIDES, gradients, strict=True):
        a_BK = weights[side].detach()
        of_logits_BK = a_BK * (g_BK - (a_BK * g_BK).sum(dim=1, keepdim=True))
        expected[side] = torch.zeros(len(run.sides[side]), len(SIZES)).index_add_(
            0, past.ids(side), of_logits_BK
        )
    run.learner._learn_weights(past)
    after = run.state()
    for side in SIDES:
        table = f"model.{side}.table.weigher.{len(SIZES)}"
        assert torch.allclose(after[f"{table}.mean"], (1 - BETA_1) * expected[side], atol=1e-8)
        moved_N = (after[f"{table}.value"] != before[f"{table}.value"]).any(dim=1)
        assert moved_N.any()
        assert not moved_N.all()
        assert set(moved_N.nonzero().squeeze(1).tolist()) == set(past.ids(side).tolist())


@pytest.mark.parametrize("kind", KINDS)
def test_weighers_learn_without_a_trace_in_model_tables_and_statistics(kind: type[Weigher]) -> None:
    run = Run(kind)
    for _ in range(4):
        run.step()
    before = run.state()
    run.learner.adjust(run.past())
    changed = run.changed(before)
    allowed = [f"model.{side}.table.weigher." for side in SIDES]
    allowed += [f"weights_optimizer.{side}." for side in SIDES]
    assert all(name == "generator" or name.startswith(tuple(allowed)) for name in changed)
    assert "generator" in changed
    for side in SIDES:
        assert any(name.startswith(f"model.{side}.table.weigher.") for name in changed)


@pytest.mark.parametrize("kind", KINDS)
def test_training_leaves_weighers_as_they_are(kind: type[Weigher]) -> None:
    run = Run(kind)
    for _ in range(4):
        run.step()
    trained = {id(parameter) for parameter in run.learner._parameters()}
    before = run.state()
    run.learner._train(run.past())
    changed = run.changed(before)
    for side in SIDES:
        assert not trained & {id(parameter) for parameter in run.sides[side].weigher.parameters()}
        assert {f"model.{side}.table.{size}.{size}.value" for size in SIZES} <= changed
        assert any(name.startswith(f"model.{side}.network.unify") for name in changed)
    assert not any("weigher" in name or "weights_optimizer" in name for name in changed)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_lower_the_loss_of_what_they_learn_from(kind: type[Weigher]) -> None:
    run = Run(kind)
    for _ in range(6):
        run.step()
    past = run.past(60)
    before = run.loss(past).item()
    for _ in range(60):
        run.learner._learn_weights(past)
    assert run.loss(past).item() < before - 1e-3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_classes", [2, 5])
def test_a_killed_learner_goes_on_with_the_same_bits(kind: type[Weigher], num_classes: int) -> None:
    run, other = (Run(kind, seed=seed, num_classes=num_classes) for seed in (1, 2))
    for _ in range(4):
        run.step()
    other.learner.load_state(run.state())
    other.done = run.done
    for _ in range(5):
        ours, theirs = run.step(), other.step()
        assert ours.shape == (20, num_classes)
        assert torch.allclose(ours.sum(dim=1), torch.ones(20))
        assert torch.equal(ours, theirs)
    ended, theirs_ended = run.state(), other.state()
    assert ended.keys() == theirs_ended.keys()
    assert all(torch.equal(ended[name], theirs_ended[name]) for name in ended)


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_of_all_sizes_and_by_weights_of_the_past(kind: type[Weigher]) -> None:
    """Weights that were adjusted before a batch predict it; what the batch shows comes later."""
    run = Run(kind)
    for _ in range(3):
        run.step()
    other = Run(kind, seed=2)
    batch = run.whole.part(60, 80)
    other.learner.load_state(run.state())
    other.model.know(batch)
    other.learner.adjust(batch)
    found = run.learner.learn(batch)
    with torch.no_grad():
        loss_B = losses(other.model(other.model.rows(batch)), batch.label_B)
    assert torch.equal(found.loss_B, loss_B)
    for side in SIDES:
        assert found.size[side].tolist() == [sum(SIZES)] * 20


def test_controllers_are_adopted_and_logits_are_not() -> None:
    run, other = (Run(FrequencyWeigher, seed=seed) for seed in (1, 2))
    for _ in range(3):
        run.step()
    before = other.state()
    other.learner.adopt(run.learner.policies(), {})
    changed = other.changed(before)
    assert changed
    assert all(name.split(".")[2:4] == ["table", "weigher"] for name in changed)
    ours, theirs = run.learner.policies(), other.learner.policies()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert Run(FreeWeigher).learner.policies() == {}


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_served(kind: type[Weigher], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.rec.streaming.soft._PART", 4)
    run = Run(kind)
    for _ in range(4):
        run.step()
    embeddings = run.sides["item"]
    length_N, flat = embeddings.served()
    assert length_N.tolist() == [SIZES[-1]] * len(embeddings)
    every_N = torch.arange(len(embeddings))
    assert torch.allclose(flat.reshape(-1, SIZES[-1]), embeddings(embeddings.rows(every_N)), atol=1e-6)
    assert embeddings.affine() == {}


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_id_is_that_of_embeddings_of_zeros(kind: type[Weigher]) -> None:
    run = Run(kind)
    for _ in range(4):
        run.step()
    embeddings = run.sides["item"]
    fresh = len(embeddings)
    embeddings.extend(fresh + 1)
    rows = embeddings.rows(torch.tensor([fresh]))
    with torch.no_grad():
        for candidate in rows.candidates:
            candidate.values[0].zero_()
    assert torch.allclose(embeddings.unknown(), embeddings(rows).squeeze(0), atol=1e-6)
