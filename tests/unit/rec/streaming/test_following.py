"""Following a stream: what is written down on the way."""

import math
import signal
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from components.core.checkpoint import Checkpoint
from components.core.errors import GateFailedError
from components.rec.streaming.following import Followed, follow
from components.rec.streaming.learner import StreamLearner
from components.rec.streaming.model import SIDES, StreamBatch

from .streams import BATCH_SIZE, differences, follow_in, learner_of, stream


def run(learner: StreamLearner, some: StreamBatch, place: Path, batch_size: int) -> Followed:
    checkpoint = Checkpoint(str(place / "artifact"), place, "key")
    return follow(learner, some, batch_size=batch_size, checkpoint=checkpoint, name="test", tail=len(some))


@pytest.mark.parametrize("num_classes", [2, 5])
@pytest.mark.parametrize(
    ("length", "batch_size"),
    [(1, 1), (7, 10), (10, 10), (101, 1), (250, 1), (300, 7), (1001, 5)],
    ids=lambda number: str(number),
)
def test_the_course_passes_the_stream_once(
    length: int, batch_size: int, num_classes: int, tmp_path: Path
) -> None:
    whole, learner = stream(length, num_classes), learner_of(num_classes=num_classes)
    followed = run(learner, whole, tmp_path, batch_size)
    ends = [int(point["interactions"]) for point in followed.course]
    assert ends == sorted(set(ends))
    assert ends[-1] == length
    assert len(ends) == math.ceil(length / ends[0]) <= 101
    assert len({end - start for start, end in zip([0, *ends[:-2]], ends[:-1], strict=False)}) <= 1

    probability_NC, label_N = followed.said["probability"].double(), whole.label_B
    right_N = (probability_NC.argmax(dim=1) == label_N).tolist()
    share_N = probability_NC[torch.arange(length), label_N]
    name, loss_N = ("mse", (1 - share_N) ** 2) if num_classes == 2 else ("logloss", -share_N.log())
    for start, point in zip([0, *ends], followed.course, strict=False):
        end = int(point["interactions"])
        assert point["accuracy"] == pytest.approx(sum(right_N[start:end]) / (end - start))
        assert point[name] == pytest.approx(float(loss_N[start:end].mean()), abs=1e-5)
    for side in SIDES:
        embeddings = learner.model.side(side)
        assert followed.course[-1][f"mean_size_{side}"] == 6
        assert followed.course[-1][f"bytes_{side}"] == sum(embeddings.bytes().values())


def test_the_course_is_a_table_of_numbers(tmp_path: Path) -> None:
    followed = follow_in(tmp_path / "run", learner_of("esapn", 5), stream(100, 5))
    table = followed.table()
    names = ["accuracy", "logloss", "mean_size_user", "bytes_user", "mean_size_item", "bytes_item"]
    assert table.column_names == ["interactions", *names]
    assert table.schema.types == [pa.int64(), *[pa.float64()] * 6]
    assert table["interactions"].to_pylist() == [20, 40, 60, 80, 100]
    assert table["accuracy"].to_pylist() == [point["accuracy"] for point in followed.course]
    assert followed.seconds > 0


def test_a_course_of_nothing_is_a_table_too() -> None:
    table = Followed(said={}).table()
    assert table.num_rows == 0
    assert table.schema == pa.schema([("interactions", pa.int64())])


def test_no_batch_and_no_stretch_goes_over_the_beginning_of_the_tail(tmp_path: Path) -> None:
    """The tail is then predicted alike, whether the stream was followed in one go or up to there."""
    whole, at_once, in_two = stream(310), learner_of("esapn"), learner_of("esapn")
    checkpoint = Checkpoint(str(tmp_path / "artifact"), tmp_path, "key")
    followed = follow(at_once, whole, batch_size=BATCH_SIZE, checkpoint=checkpoint, name="test", tail=177)
    follow_in(tmp_path / "one", in_two, whole.part(0, 133))
    tail = follow_in(tmp_path / "two", in_two, whole.part(133, 310))
    assert not differences(followed.said, tail.said)
    assert 133 in [point["interactions"] for point in followed.course]


@pytest.mark.parametrize("steps", [3, 7, 12])
def test_the_course_is_the_same_whatever_is_kept_and_wherever_a_run_stopped(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stretch of it has several batches; the run stops before the tail, where it begins, and in it."""
    monkeypatch.setattr("components.rec.streaming.following._NUM_POINTS", 2)
    whole, kept = stream(310), 310 - 7 * BATCH_SIZE

    def followed(name: str, learner: StreamLearner, tail: int) -> Followed:
        checkpoint = Checkpoint(str(tmp_path / name), tmp_path, "key")
        return follow(learner, whole, batch_size=BATCH_SIZE, checkpoint=checkpoint, name="test", tail=tail)

    expected = followed("straight", learner_of(), kept)
    assert len(expected.said["loss"]) == kept
    assert len({point["interactions"] for point in expected.course}) < 5
    stopped, said = learner_of(), list[object]()
    learn = stopped.learn

    def stopping(batch: StreamBatch) -> object:
        said.append(learn(batch))
        if len(said) == steps:
            signal.raise_signal(signal.SIGINT)
        return said[-1]

    monkeypatch.setattr(stopped, "learn", stopping)
    with pytest.raises(KeyboardInterrupt):
        followed("stopped", stopped, kept)
    found = followed("stopped", learner_of(), kept)
    assert found.course == expected.course
    assert not differences(found.said, expected.said)
    nothing = followed("nothing", learner_of(), 0)
    assert {len(column) for column in nothing.said.values()} == {0}
    whole_course = followed("all", learner_of(), 310).course
    assert nothing.course == whole_course


def test_mean_sizes_are_those_of_the_ids_that_were_known_then(tmp_path: Path) -> None:
    """Sizes only grow, and at last they are those of the learner."""
    learner = learner_of("esapn")
    followed = follow_in(tmp_path / "run", learner, stream(400))
    for side in SIDES:
        embeddings = learner.model.side(side)
        counts = embeddings.counts()
        assert sum(count > 0 for count in counts.values()) > 1
        mean = sum(size * count for size, count in counts.items()) / len(embeddings)
        assert followed.course[-1][f"mean_size_{side}"] == pytest.approx(mean)
        size_N = embeddings.size_of(torch.arange(len(embeddings))).double()
        assert float(size_N.mean()) == pytest.approx(mean)


def test_ids_were_seen_as_often_as_batches_before_had_them(tmp_path: Path) -> None:
    whole = stream(310)
    followed = follow_in(tmp_path / "run", learner_of("esapn"), whole)
    for side in SIDES:
        counts: Counter[int] = Counter()
        ids = whole.ids(side).tolist()
        for start in range(0, 310, BATCH_SIZE):
            batch = ids[start : start + BATCH_SIZE]
            found = followed.said[f"seen_{side}"][start : start + BATCH_SIZE].tolist()
            assert found == [counts[one] for one in batch]
            counts.update(batch)


def test_the_future_changes_nothing(tmp_path: Path) -> None:
    """What is said of a stream's beginning is the same whatever follows."""
    whole, other = stream(200), stream(200, seed=1)
    changed = StreamBatch(
        *(torch.cat([w[:100], o[100:]]) for w, o in zip(columns(whole), columns(other), strict=True))
    )
    followed = [
        follow_in(tmp_path / f"run{place}", learner_of("esapn"), one)
        for place, one in enumerate((whole, changed, whole.part(0, 100)))
    ]
    first = followed[2].said
    for one in followed[:2]:
        assert all(torch.equal(column[:100], first[name]) for name, column in one.said.items())
    assert not torch.equal(followed[0].said["probability"][100:], followed[1].said["probability"][100:])


def columns(some: StreamBatch) -> tuple[torch.Tensor, ...]:
    return some.user_B, some.item_B, some.label_B


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = learner_of()
    learn = learner.learn

    def spoilt(batch: StreamBatch) -> object:
        said = learn(batch)
        with torch.no_grad():
            learner.model.hidden.weight.fill_(float("nan"))
        return said

    monkeypatch.setattr(learner, "learn", spoilt)
    with pytest.raises(
        GateFailedError, match=r"among 20 to 40 is not a finite number; lower training\.learn"
    ):
        follow_in(tmp_path / "run", learner, stream(100))


def test_what_was_saved_for_another_start_is_not_gone_on_from(tmp_path: Path) -> None:
    """A champion that has changed is another origin of the same part."""
    whole = stream(60)
    for origin, seed in (("a", 1), ("b", 2), ("a", 1)):
        part = Checkpoint(str(tmp_path / "artifact"), tmp_path, "key").part("warm", origin)
        learner = learner_of(seed=seed)
        found = follow(learner, whole, batch_size=20, checkpoint=part, name="test", tail=60)
        (tmp_path / "alone").mkdir(exist_ok=True)
        expected = run(learner_of(seed=seed), whole, tmp_path / "alone", 20)
        assert torch.equal(found.said["probability"], expected.said["probability"])
