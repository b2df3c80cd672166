"""Training positives per second: recloop and its peers in turns, float32, dim 64, batch 1024, on the CPU.

python -m tests.benchmarks.speed.training --model mf|lightgcn|ngcf [--seconds S] [--rounds N] [--tuned]

Peers run as their users run them; with --tuned they get recloop's allocator setting too.
"""

import argparse
import random
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from components.rec.data import PairBatch, RankingData
from components.rec.objective import build_model
from components.rec.ranking_learner import RankingLearner
from tests.benchmarks.speed import agreement, generated, machine
from tests.benchmarks.speed.peers import installed_recbole
from tests.benchmarks.speed.peers.base import BATCH_SIZE
from tests.benchmarks.speed.peers.lightgcn_pytorch import LightGcnPytorch
from tests.benchmarks.speed.peers.mixgcf import MixGcf
from tests.benchmarks.speed.peers.recbole import RecBole
from tests.benchmarks.speed.side_by_side import Competitor, Work, number, rates, table

_PEERS = {"MixGCF": MixGcf, "LightGCN-PyTorch": LightGcnPytorch, "RecBole": RecBole}
_STEPS_A_CALL = {"mf": 16, "lightgcn": 1, "ngcf": 1}  # of peers; sampling counts in full at any number
_DROPOUT = 0.1  # RecBole's; the others have none


def recloop(kind: str, data_name: str) -> Work:
    """One step at a time, with everything that an epoch needs in its turn."""
    data = generated.SETS[data_name]().ranking_data()
    section = agreement.training(kind, batch_size=BATCH_SIZE, dropout=_DROPOUT)
    learner = RankingLearner(section, data, build_model(section, data, seed=0), seed=0)
    batches = epochs(learner, data)

    def step() -> int:
        batch = next(batches)
        learner.step(batch)
        return len(batch)

    return step


def epochs(learner: RankingLearner, data: RankingData) -> Iterator[PairBatch]:
    """Batches without end, closing an epoch before the next begins."""
    order = torch.Generator().manual_seed(0)
    while True:
        yield from data.batches(BATCH_SIZE, order)
        learner.end_epoch()


def peer(name: str, kind: str, data_name: str) -> Work:
    """A few steps at a time."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    trained = _PEERS[name](generated.SETS[data_name]().ranking_data(), kind)
    return partial(trained.train, _STEPS_A_CALL[kind])


def competitors(kind: str, data_name: str, *, tuned: bool) -> dict[str, Competitor]:
    """recloop with and without compiled kernels, and everyone who has such a model."""
    ours = partial(recloop, kind, data_name)
    result = {
        "recloop": Competitor(ours, tuned=True),
        "recloop, plain torch": Competitor(ours, tuned=True, environment={"RECLOOP_COMPILED": "0"}),
    }
    for name in _PEERS:
        if kind != "ngcf" or name != "LightGCN-PyTorch":
            result[name] = Competitor(partial(peer, name, kind, data_name), tuned=tuned)
    if installed_recbole.available():
        build = partial(installed_recbole.training, kind, data_name, _STEPS_A_CALL[kind])
        result["RecBole, installed"] = Competitor(build, tuned=tuned)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", choices=["mf", "lightgcn", "ngcf"], default="mf")
    parser.add_argument("--data", choices=generated.SETS, default="alibaba")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tuned", action="store_true", help="peers with the allocator's setting too")
    arguments = parser.parse_args()
    print(machine.measure(), flush=True)
    for name, deviation in agreement.deviations(arguments.model).items():
        print(f"losses over {agreement.NUM_STEPS} steps: at most {deviation:.1e} relative from {name}'s")
    field = competitors(arguments.model, arguments.data, tuned=arguments.tuned)
    measured = rates(field, rounds=arguments.rounds, seconds=arguments.seconds)
    ours, plain = measured["recloop"], measured["recloop, plain torch"]
    rows = [
        (name, number(rate), f"{ours / rate:.1f}", f"{plain / rate:.1f}") for name, rate in measured.items()
    ]
    allocator = "set for all" if arguments.tuned else "set for recloop"
    print(f"\n{arguments.model}, {arguments.data}; allocator {allocator}\n")
    print(table(("", "positives/s", "recloop is × as fast", "in plain torch ×"), rows))


if __name__ == "__main__":
    main()
