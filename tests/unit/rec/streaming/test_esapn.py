"""ESAPN: two stages for each batch, of which the first leaves nothing but better policies."""

import pytest
import torch
from torch import Tensor

from components.rec.classifiers.base import probabilities
from components.rec.streaming.embeddings import SizedEmbeddings
from components.rec.streaming.esapn import EsapnLearner
from components.rec.streaming.history import History
from components.rec.streaming.learner import FixedLearner
from components.rec.streaming.model import SIDES, Side, StreamBatch, StreamModel, losses
from components.rec.streaming.policy_network import ENLARGE, KEEP, PolicyNetwork

SIZES = (2, 4, 8)


def stream(length: int, seed: int = 0, num_classes: int = 2) -> StreamBatch:
    """New ids come all the time; labels follow from them."""
    generator = torch.Generator().manual_seed(seed)
    reach = torch.arange(length) // 3 + 2
    user_B, item_B = ((torch.rand(length, generator=generator) * reach).to(torch.int64) for _ in range(2))
    return StreamBatch(user_B, item_B, (user_B * 7 + item_B * 3) % num_classes)


def build(sizes: tuple[int, ...], num_classes: int, generator: torch.Generator) -> StreamModel:
    embeddings = {side: SizedEmbeddings(sizes, 0.1, 5, generator=generator) for side in SIDES}
    return StreamModel(embeddings, num_classes, 16, generator=generator)


class Run:
    """A learner and the stream that it is given, batch by batch."""

    def __init__(self, whole: StreamBatch, *, seed: int = 1, num_classes: int = 2, size: int = 20) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.whole, self.size, self.done = whole, size, 0
        self.history = History(1000)
        model = build(SIZES, num_classes, generator)
        self.networks = {side: PolicyNetwork(len(SIZES), 50, 8, 16, generator=generator) for side in SIDES}
        self.learner = EsapnLearner(
            model,
            self.networks,
            self.history,
            learning_rate=1e-2,
            policy_learning_rate=1e-2,
            generator=generator,
        )

    def embeddings(self, side: Side) -> SizedEmbeddings:
        found = self.learner.model.side(side)
        assert isinstance(found, SizedEmbeddings)
        return found

    def past(self, size: int) -> StreamBatch:
        past = self.history.sample(size, torch.Generator().manual_seed(5))
        assert past is not None
        return past

    def step(self) -> Tensor:
        batch = self.whole.part(self.done, self.done + self.size)
        found = self.learner.learn(batch)
        self.done += self.size
        return found.probability_BC

    def state(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.learner.state().items()}


@pytest.mark.parametrize("num_classes", [2, 5])
def test_a_killed_learner_goes_on_with_the_same_bits(num_classes: int) -> None:
    whole = stream(200, num_classes=num_classes)
    run, other = (Run(whole, seed=seed, num_classes=num_classes) for seed in (1, 2))
    for _ in range(4):
        run.step()
    other.learner.load_state(run.state())
    other.done = run.done
    for _ in range(5):
        ours, theirs = run.step(), other.step()
        assert ours.shape == (20, num_classes)
        assert torch.equal(ours, theirs)
    ended, theirs_ended = run.state(), other.state()
    assert ended.keys() == theirs_ended.keys()
    assert all(torch.equal(ended[name], theirs_ended[name]) for name in ended)


def test_policies_learn_without_a_trace_in_tables_and_weights() -> None:
    run = Run(stream(200))
    for _ in range(4):
        run.step()
    before = run.state()
    past = run.past(30)
    run.learner._learn_policies(past)
    after = run.state()
    changed = {name.partition(".")[0] for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"policy", "policy_optimizer", "generator"}


def test_the_gradient_is_that_of_the_rewarded_chance() -> None:
    """Eq. 2, 6: −mean over the batch of R ln Φ(a|s), by hand."""
    run = Run(stream(200))
    for _ in range(5):
        run.step()
    past = run.past(25)
    learner, model = run.learner, run.learner.model
    state = learner._generator.get_state()
    actions: dict[str, Tensor] = {}
    rows, tried = model.rows(past), {}
    for side in SIDES:
        log_R2 = run.networks[side](run.embeddings(side).seen.frequency(rows[side].id_R), rows[side].size_R)
        actions[side] = torch.multinomial(log_R2.exp().detach(), 1, generator=learner._generator).squeeze(1)
        tried[side] = rows[side].enlarged(actions[side] == ENLARGE)
    with torch.no_grad():
        loss_B = losses(model(tried), past.label_B)
    expected = {}
    for side in SIDES:
        total = torch.zeros(())
        for place, number in enumerate(past.ids(side).tolist()):
            of_row = rows[side].id_R.tolist().index(number)
            mean, count = run.embeddings(side).seen.mean_loss(torch.tensor([number]))
            reward = mean[0] - loss_B[place] if count[0] else torch.zeros(())
            frequency = run.embeddings(side).seen.frequency(torch.tensor([number]))
            log_12 = run.networks[side](frequency, rows[side].size_R[of_row][None])
            total = total - reward * log_12[0, actions[side][of_row]] / len(past)
        expected[side] = torch.autograd.grad(total, run.networks[side].output.weight)[0]
    learner._generator.set_state(state)
    learner._learn_policies(past)
    for side in SIDES:
        assert torch.allclose(run.networks[side].output.weight.grad, expected[side], atol=1e-6)


def test_the_likelier_action_is_taken_once_for_each_id() -> None:
    whole = stream(200)
    run = Run(whole)
    model, batch = run.learner.model, whole.part(60, 100)
    model.know(batch)
    for side in SIDES:
        run.embeddings(side).seen.extend(len(run.embeddings(side)))
        run.embeddings(side).seen.see(batch.ids(side), torch.zeros(40))
        run.embeddings(side).enlarge(torch.arange(0, len(run.embeddings(side)), 2))
        with torch.no_grad():
            run.networks[side].output.weight *= 20  # states differ in what is likelier
    for _ in range(2):
        expected = {}
        for side in SIDES:
            ids = batch.ids(side)
            size_B = run.embeddings(side).place_of(ids)
            log_B2 = run.networks[side](run.embeddings(side).seen.frequency(ids), size_B)
            expected[side] = size_B + (log_B2[:, ENLARGE] > log_B2[:, KEEP])
        grown = [bool((expected[s] != run.embeddings(s).place_of(batch.ids(s))).any()) for s in SIDES]
        kept = [bool((expected[s] == run.embeddings(s).place_of(batch.ids(s))).any()) for s in SIDES]
        run.learner._grow(batch)
        for side in SIDES:
            assert torch.equal(run.embeddings(side).place_of(batch.ids(side)), expected[side])
        assert any(grown)
        assert any(kept)


def test_of_the_largest_size_there_is_nothing_to_choose() -> None:
    network = PolicyNetwork(3, 10, 4, 8, generator=torch.Generator().manual_seed(1))
    log_S2 = network(torch.tensor([0, 5, 1000]), torch.tensor([0, 1, 2]))
    assert torch.allclose(log_S2.exp().sum(dim=1), torch.ones(3))
    assert log_S2[2, ENLARGE] == -torch.inf
    assert log_S2[2, KEEP] == 0
    assert (log_S2[:2] > -torch.inf).all()
    assert torch.equal(
        network(torch.tensor([9]), torch.tensor([0])), network(torch.tensor([1000]), torch.tensor([0]))
    )


@pytest.mark.parametrize("num_classes", [2, 5])
def test_predictions_come_from_before_the_training(num_classes: int) -> None:
    whole = stream(100, num_classes=num_classes)
    model = build((8,), num_classes, torch.Generator().manual_seed(1))
    learner = FixedLearner(model, 1e-2)
    learner.learn(whole.part(0, 40))
    batch = whole.part(40, 80)
    model.know(batch)
    with torch.no_grad():
        before = probabilities(model(model.rows(batch)))
    assert torch.equal(learner.learn(batch).probability_BC, before)
    with torch.no_grad():
        assert not torch.allclose(probabilities(model(model.rows(batch))), before)


def test_losses_are_those_of_the_equations() -> None:
    logit = torch.tensor([[0.3], [-1.2]])
    assert torch.allclose(
        losses(logit, torch.tensor([1, 0])), (logit.squeeze(1).sigmoid() - torch.tensor([1.0, 0.0])) ** 2
    )
    logit = torch.tensor([[0.3, 1.0, -2.0]])
    assert torch.allclose(losses(logit, torch.tensor([1])), -(logit.exp() / logit.exp().sum()).log()[:, 1])
