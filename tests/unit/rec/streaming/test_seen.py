"""Frequencies and last losses: against a queue for each id."""

from collections import Counter, defaultdict, deque

import torch
from hypothesis import given
from hypothesis import strategies as st

from components.rec.streaming.seen import Seen

NUM_IDS, NUM_LOSSES = 4, 3
BATCH = st.lists(st.tuples(st.integers(0, NUM_IDS - 1), st.integers(0, 8)), min_size=1, max_size=12)


@given(batches=st.lists(BATCH, max_size=5))
def test_it_is_a_queue_of_each_id(batches: list[list[tuple[int, int]]]) -> None:
    seen = Seen(NUM_LOSSES)
    seen.extend(2)
    seen.extend(NUM_IDS)
    queues: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=NUM_LOSSES))
    counts: Counter[int] = Counter()
    for batch in batches:
        seen.see(torch.tensor([number for number, _ in batch]), torch.tensor([loss / 8 for _, loss in batch]))
        for number, loss in batch:
            queues[number].append(loss / 8)
            counts[number] += 1
    ids = torch.arange(NUM_IDS)
    mean_N, number_N = seen.mean_loss(ids)
    assert seen.frequency(ids).tolist() == [counts[number] for number in range(NUM_IDS)]
    assert number_N.tolist() == [len(queues[number]) for number in range(NUM_IDS)]
    expected = [sum(queues[n]) / max(len(queues[n]), 1) for n in range(NUM_IDS)]
    assert torch.allclose(mean_N, torch.tensor(expected), atol=1e-6)
    copy = Seen(NUM_LOSSES)
    copy.load_state(seen.state())
    assert torch.equal(copy.mean_loss(ids)[0], mean_N)
