"""Interactions per second while a stream is followed: one size for all embeddings against DARTS, AutoEmb and
ESAPN, on a generated stream in which users and items come by Zipf's law, in batches of 500 (ESAPN §3.2).

python -m tests.benchmarks.speed.streams [--users 140000] [--items 30000] [--classes 2] [--seconds S]

New ids come all the time, and embeddings grow: the further a stream is, the dearer is a step. Turns are of
equal seconds, so who is faster also gets further.
"""

import argparse
from functools import partial
from itertools import count
from typing import Any, Final

import numpy as np
import torch

from components.core.recipe import StreamTraining
from components.rec.streaming.building import build_learner
from components.rec.streaming.model import StreamBatch
from tests.benchmarks.speed import machine
from tests.benchmarks.speed.side_by_side import Competitor, Work, number, rates, table

WAYS: Final[dict[str, dict[str, Any]]] = {
    "FIXED (128)": {"kind": "fixed"},
    "ESAPN": {"kind": "esapn"},
    "AutoEmb": {"kind": "autoemb"},
    "DARTS": {"kind": "darts"},
}
_BATCH_SIZE: Final = 500
_LENGTH: Final = 2_000_000


def stream(num_users: int, num_items: int, num_classes: int) -> StreamBatch:
    """Interactions whose ids are numbered by first appearance."""
    generator = np.random.default_rng(1)
    user_N, item_N = (_ids(size, generator) for size in (num_users, num_items))
    label_N = torch.from_numpy(generator.integers(0, num_classes, _LENGTH))
    return StreamBatch(user_N, item_N, label_N)


def _ids(size: int, generator: np.random.Generator) -> torch.Tensor:
    weight_I = 1 / np.arange(1, size + 1)
    drawn_N = generator.choice(size, _LENGTH, p=weight_I / weight_I.sum())
    there, first, place_N = np.unique(drawn_N, return_index=True, return_inverse=True)
    rank = np.empty(len(there), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(there))
    return torch.from_numpy(rank[place_N])


def following(embedding: dict[str, Any], num_users: int, num_items: int, num_classes: int) -> Work:
    """One batch at a time, from the stream's beginning, and over again where it ends."""
    torch.set_num_threads(1)
    training = StreamTraining.model_validate({"embedding": embedding, "batch_size": _BATCH_SIZE})
    learner = build_learner(training, num_classes, 1)
    whole, batches = stream(num_users, num_items, num_classes), count()

    def step() -> int:
        start = next(batches) * _BATCH_SIZE % _LENGTH
        learner.learn(whole.part(start, start + _BATCH_SIZE))
        return _BATCH_SIZE

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--users", type=int, default=140_000)
    parser.add_argument("--items", type=int, default=30_000)
    parser.add_argument("--classes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a turn")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(machine.measure(), flush=True)
    field = {
        name: Competitor(
            partial(following, way, arguments.users, arguments.items, arguments.classes), tuned=True
        )
        for name, way in WAYS.items()
    }
    measured = rates(field, rounds=arguments.rounds, seconds=arguments.seconds)
    fixed = measured["FIXED (128)"]
    rows = [(name, number(rate), f"{rate / fixed:.2f}") for name, rate in measured.items()]
    print(f"\n{table(('', 'interactions/s', '× FIXED'), rows)}", flush=True)


if __name__ == "__main__":
    main()
