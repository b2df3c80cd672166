"""Every way in which embeddings of a stream can get their sizes passes the same tests."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from components.rec import saves
from components.rec.classifiers.base import probabilities
from components.rec.streaming.following import Followed
from components.rec.streaming.learner import StreamLearner
from components.rec.streaming.model import SIDES, StreamBatch
from components.rec.weights import load_tensors, save_tensors
from components.registry.stream_serving import Scorer
from tests.unit.rec.streaming.streams import (
    BATCH_SIZE,
    KINDS,
    copied,
    differences,
    follow_in,
    learner_of,
    raw_ids,
    stream,
    write_served,
)

every_kind = pytest.mark.parametrize("kind", KINDS)
every_number_of_classes = pytest.mark.parametrize("num_classes", [2, 5])


class KilledError(Exception):
    pass


@pytest.fixture
def always_save(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(saves, "_EVERY_S", 0.0)
    return iter(())


def batches(whole: StreamBatch) -> list[StreamBatch]:
    return [whole.part(start, start + BATCH_SIZE) for start in range(0, len(whole), BATCH_SIZE)]


def grown(kind: str, num_classes: int = 2, length: int = 200) -> StreamLearner:
    """A learner after so many interactions of `stream`."""
    learner = learner_of(kind, num_classes)
    for batch in batches(stream(400, num_classes).part(0, length)):
        learner.learn(batch)
    return learner


def round_trip(learner: StreamLearner, other: StreamLearner, place: Path) -> StreamLearner:
    """Another learner in the state of the first, by way of a file."""
    save_tensors(learner.state(), place)
    other.load_state(load_tensors(place, torch.device("cpu")))
    return other


def same(ours: Followed, theirs: Followed) -> bool:
    return not differences(ours.said, theirs.said) and ours.course == theirs.course


def test_the_kinds_are_those_of_the_paper() -> None:
    assert list(KINDS) == ["fixed", "esapn", "darts", "autoemb"]


@every_kind
@every_number_of_classes
def test_something_sound_is_said_while_ids_keep_coming(kind: str, num_classes: int, tmp_path: Path) -> None:
    whole, learner = stream(310, num_classes), learner_of(kind, num_classes)
    new = [len(set(batch.user_B.tolist())) for batch in batches(whole)]
    assert min(new) > 1
    followed = follow_in(tmp_path / "run", learner, whole)
    probability_NC = followed.said["probability"]
    assert probability_NC.shape == (310, num_classes)
    assert torch.isfinite(probability_NC).all()
    assert (probability_NC >= 0).all()
    assert torch.allclose(probability_NC.sum(dim=1), torch.ones(310), atol=1e-6)
    assert torch.isfinite(followed.said["loss"]).all()
    for side in SIDES:
        embeddings = learner.model.side(side)
        number = int(whole.ids(side).max()) + 1
        assert len(embeddings) == number
        assert torch.equal(embeddings.seen.frequency(torch.arange(number)), torch.bincount(whole.ids(side)))
        size_N = embeddings.size_of(torch.arange(number))
        assert int(followed.said[f"size_{side}"].max()) <= int(size_N.max())


@every_kind
def test_a_learner_is_made_by_its_seed_alone(kind: str, tmp_path: Path) -> None:
    whole = stream(100)
    before = torch.get_rng_state()
    learners = [learner_of(kind, seed=seed) for seed in (1, 1, 2)]
    made = [copied(learner.state()) for learner in learners]
    assert not differences(made[0], made[1])
    assert "model.network.hidden.weight" in differences(made[0], made[2])
    followed = [follow_in(tmp_path / f"run{place}", one, whole) for place, one in enumerate(learners)]
    assert same(followed[0], followed[1])
    assert not differences(learners[0].state(), learners[1].state())
    assert not same(followed[0], followed[2])
    assert torch.equal(torch.get_rng_state(), before)


@every_kind
@every_number_of_classes
@pytest.mark.usefixtures("always_save")
def test_a_killed_run_ends_as_if_it_had_not_been(
    kind: str, num_classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = stream(290, num_classes)
    straight = learner_of(kind, num_classes)
    expected = follow_in(tmp_path / "whole", straight, whole)

    doomed, steps = learner_of(kind, num_classes), [0]
    learn = doomed.learn

    def failing(batch: StreamBatch) -> object:
        steps[0] += 1
        said = learn(batch)
        if steps[0] == 8:
            raise KilledError
        return said

    monkeypatch.setattr(doomed, "learn", failing)
    with pytest.raises(KilledError):
        follow_in(tmp_path / "killed", doomed, whole)
    resumed = learner_of(kind, num_classes, seed=9)
    found = follow_in(tmp_path / "killed", resumed, whole)
    assert same(found, expected)
    assert not differences(resumed.state(), straight.state())


@every_kind
def test_a_run_that_is_told_to_stop_goes_on_where_it_was(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = stream(290)
    straight = learner_of(kind)
    expected = follow_in(tmp_path / "whole", straight, whole)
    done: list[int] = []

    def counted(learner: StreamLearner, stop_at: int) -> StreamLearner:
        learn = learner.learn

        def counting(batch: StreamBatch) -> object:
            said = learn(batch)
            done.append(len(batch))
            if len(done) == stop_at:
                signal.raise_signal(signal.SIGINT)
            return said

        monkeypatch.setattr(learner, "learn", counting)
        return learner

    with pytest.raises(KeyboardInterrupt):
        follow_in(tmp_path / "stopped", counted(learner_of(kind), 6), whole)
    assert sum(done) == 6 * BATCH_SIZE
    resumed = counted(learner_of(kind), 1000)
    found = follow_in(tmp_path / "stopped", resumed, whole)
    assert sum(done) == 290  # nothing twice
    assert same(found, expected)
    assert not differences(resumed.state(), straight.state())


@every_kind
@every_number_of_classes
def test_following_one_part_and_then_the_next_is_following_both(
    kind: str, num_classes: int, tmp_path: Path
) -> None:
    whole, first = stream(310, num_classes), 8 * BATCH_SIZE
    straight = learner_of(kind, num_classes)
    expected = follow_in(tmp_path / "whole", straight, whole)
    ahead = learner_of(kind, num_classes)
    before = follow_in(tmp_path / "first", ahead, whole.part(0, first))
    going_on = round_trip(ahead, learner_of(kind, num_classes, seed=9), tmp_path / "state")
    assert not differences(going_on.state(), ahead.state())
    after = follow_in(tmp_path / "second", going_on, whole.part(first, len(whole)))
    for name, column in expected.said.items():
        assert torch.equal(torch.cat([before.said[name], after.said[name]]), column), name
    assert not differences(going_on.state(), straight.state())


@every_kind
@every_number_of_classes
def test_what_is_served_answers_as_the_model_does(kind: str, num_classes: int, tmp_path: Path) -> None:
    model = grown(kind, num_classes).model
    classes = [f"c{place}" for place in range(num_classes)]
    scorer = Scorer(write_served(model, tmp_path, classes))
    ids = {side: raw_ids(model)[side].to_pylist() for side in SIDES}
    assert scorer.classes == classes
    numbers = torch.Generator().manual_seed(4)
    chosen = {
        side: torch.randint(-2, len(ids[side]), (200,), generator=numbers) for side in SIDES
    }  # -1: None, -2: not known
    asked = {
        side: [{-1: None, -2: "nobody"}.get(one, ids[side][max(one, 0)]) for one in chosen[side].tolist()]
        for side in SIDES
    }
    assert all({None, "nobody"} < set(asked[side]) for side in SIDES)
    found = scorer.score(asked)

    vectors = []
    with torch.no_grad():
        for side in SIDES:
            embeddings, id_B = model.side(side), chosen[side]
            vector_BW = embeddings(embeddings.rows(id_B.clamp(min=0)))
            vectors.append(torch.where((id_B >= 0)[:, None], vector_BW, embeddings.unknown()))
        logit_BL = model.output(torch.tanh(model.hidden(torch.cat(vectors, dim=1))))
    assert found.shape == (200, num_classes)
    assert torch.allclose(torch.from_numpy(found), probabilities(logit_BL).double(), atol=1e-5)
    assert torch.allclose(torch.from_numpy(found).sum(dim=1), torch.ones(200).double(), atol=1e-12)

    known = {side: chosen[side].clamp(min=0) for side in SIDES}
    with torch.no_grad():
        batch = StreamBatch(known["user"], known["item"], torch.zeros(200, dtype=torch.int64))
        expected = probabilities(model(model.rows(batch))).double()
    found = scorer.score({side: [ids[side][one] for one in known[side].tolist()] for side in SIDES})
    assert torch.allclose(torch.from_numpy(found), expected, atol=1e-5)


@every_kind
def test_bytes_are_those_of_the_embeddings_storage(kind: str) -> None:
    """At least what the numbers take, at most about twice that, and what torch itself has allocated."""
    learner = grown(kind, length=0)
    for batch in batches(stream(1000)):
        learner.learn(batch)
        for side in SIDES:
            embeddings = learner.model.side(side)
            counts, taken = embeddings.counts(), embeddings.bytes()
            assert counts.keys() == taken.keys()
            for size, count in counts.items():
                assert 4 * size * count <= taken[size] <= 4 * size * max(2 * count, 64)
            assert stored(embeddings.state()) == sum(taken.values())
    assert len(embeddings) > 150


def stored(state: dict[str, Tensor]) -> int:
    """Bytes behind the embeddings in a state, each block once."""
    blocks = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for name, tensor in state.items()
        if name.startswith("table.") and name.endswith(".value") and ".weigher." not in name
        if tensor.untyped_storage().nbytes()
    }
    return sum(blocks.values())


@every_kind
@every_number_of_classes
def test_predictions_come_from_before_the_training(kind: str, num_classes: int) -> None:
    """Labels of a batch change nothing of what is said of it, but of what is said after."""
    first, second = batches(stream(400, num_classes))[10:12]
    wrong = StreamBatch(first.user_B, first.item_B, (first.label_B + 1) % num_classes)
    honest, deceived = grown(kind, num_classes), grown(kind, num_classes)
    said, other = honest.learn(first), deceived.learn(wrong)
    assert torch.equal(said.probability_BC, other.probability_BC)
    for side in SIDES:
        assert torch.equal(said.size[side], other.size[side])
        assert torch.equal(said.frequency[side], other.frequency[side])
    assert not torch.equal(said.loss_B, other.loss_B)
    assert not torch.allclose(honest.learn(second).probability_BC, deceived.learn(second).probability_BC)


@every_kind
def test_interactions_of_one_batch_tell_nothing_of_each_other_but_by_their_ids(kind: str) -> None:
    """What is said of an interaction is what would be said of it alone, from the same state."""
    batch = batches(stream(400))[10]
    whole = grown(kind)
    whole.model.know(batch)
    state = copied(whole.state())
    said = whole.learn(batch).probability_BC
    for place in (0, 7, 19):
        alone = learner_of(kind, seed=5)
        alone.load_state(copied(state))
        alone.model.know(batch)
        alone.adjust(batch)  # of the batch as a whole
        one = batch.part(place, place + 1)
        with torch.no_grad():
            found = probabilities(alone.model(alone.model.rows(one)))
        assert torch.allclose(found[0], said[place], atol=1e-6)


@every_kind
@every_number_of_classes
def test_a_learner_learns_whom_a_user_likes(kind: str, num_classes: int, tmp_path: Path) -> None:
    """Classes follow from the user alone, of whom there are few."""
    generator = torch.Generator().manual_seed(1)
    user_B, item_B = (torch.randint(0, 10, (1500,), generator=generator) for _ in range(2))
    whole = StreamBatch(user_B, item_B, user_B % num_classes)
    learner = learner_of(kind, num_classes)
    course = follow_in(tmp_path / "run", learner, whole).course
    assert course[0]["accuracy"] < 0.9
    assert sum(point["accuracy"] for point in course[-10:]) / 10 > 0.9


@every_kind
def test_what_is_taken_over_from_another_learner_is_what_decides_about_sizes(kind: str) -> None:
    learner, other = grown(kind), learner_of(kind, seed=2)
    before, policies = copied(other.state()), copied(learner.policies())
    assert bool(policies) == (kind in {"esapn", "autoemb"})
    sizes = {side: learner.model.side(side).size_of(torch.arange(3)) for side in SIDES}
    other.adopt(policies, sizes)
    assert not differences(other.policies(), policies)
    changed = [name for name in differences(other.state(), before) if not _of_rows(name)]
    assert len(changed) == len(policies)
    assert all(name.startswith("policy.") or ".weigher." in name for name in changed)
    for side in SIDES:
        ours = other.model.side(side)
        assert len(ours) == (3 if kind == "esapn" else 0)
        assert torch.equal(ours.size_of(torch.arange(len(ours))), sizes[side][: len(ours)])


def _of_rows(name: str) -> bool:
    """Of the ids themselves, not of what decides about them."""
    return ".seen." in name or (".table." in name and ".weigher." not in name)
