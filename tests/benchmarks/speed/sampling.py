"""Seconds per million negatives: recloop's samplers, and the Python forms of other projects.

python -m tests.benchmarks.speed.sampling [--only KIND ...] [--seconds S] [--rounds N]

One negative for each of a batch of users, on a set like Alibaba's and embeddings of 64 random floats.
"""

import argparse
import random
from functools import partial

import numpy as np
import torch

from components.core.recipe.ranking import RankingTraining
from components.rec.data import PairBatch
from components.rec.objective import build_model, build_sampler
from tests.benchmarks.speed import agreement, generated, machine
from tests.benchmarks.speed.peers import lightgcn_pytorch, mixgcf, recbole, samplers
from tests.benchmarks.speed.peers.base import BATCH_SIZE
from tests.benchmarks.speed.side_by_side import Competitor, Work, number, rates, table

_BETA, _LAMBDA = 0.75, 500.0
_AT_ONCE = 64 * BATCH_SIZE
_FEW = 32  # users at a time, for who takes milliseconds for each
KINDS: dict[str, dict[str, object]] = {
    "uniform": {"kind": "uniform"},
    "popularity": {"kind": "popularity", "beta": _BETA},
    "dns 8": {"kind": "dns", "pool_size": 8},
    "dns 32": {"kind": "dns", "pool_size": 32},
    "aobpr, factors": {"kind": "aobpr", "lambda": _LAMBDA, "ranks": "factors"},
    "aobpr, exact ranks": {"kind": "aobpr", "lambda": _LAMBDA, "ranks": "exact"},
    "aobpr, argmax": {"kind": "aobpr", "lambda": 0, "ranks": "exact"},
}


def recloop(kind: str, batch_size: int) -> Work:
    """A batch's negatives at a time."""
    data = generated.alibaba().ranking_data()
    section = agreement.training("mf", batch_size=BATCH_SIZE)
    section = RankingTraining.model_validate(section.model_dump(by_alias=True) | {"sampler": KINDS[kind]})
    sampler = build_sampler(section.sampler, data)
    model = build_model(section, data, seed=0)
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(data), generator=generator)
    start = 0

    def work() -> int:
        nonlocal start
        index = order[start : start + batch_size]
        batch = PairBatch(data.user[index], data.item[index])
        start = (start + batch_size) % (len(order) - batch_size)
        with torch.no_grad():
            sampler.sample(model.encode(), batch, 1, generator=generator)
        return len(batch)

    return work


def peer(name: str, kind: str) -> Work:
    """A batch's negatives at a time, or fewer."""
    random.seed(0)
    np.random.seed(0)
    data = generated.alibaba().ranking_data()
    generator = torch.Generator().manual_seed(0)
    batch = data.user[torch.randperm(len(data), generator=generator)[:BATCH_SIZE]]
    users = torch.randn(data.num_users, 64, generator=generator)
    items = torch.randn(data.num_items, 64, generator=generator)
    pool_size = int(kind.split()[1]) if kind.startswith("dns") else 1
    if kind.startswith("aobpr"):
        batch, lambda_ = batch[:_FEW], 0.0 if "argmax" in kind else _LAMBDA
        positives = lightgcn_pytorch.positives_of(data)
        draw = partial(samplers.aobpr_loop, users, items, positives, batch, lambda_)
    elif name == "RecBole" and kind == "popularity":
        draw = partial(samplers.RecBolePopularity(data, _BETA).sample, batch)
    elif name == "RecBole" and kind == "uniform":
        draw = partial(recbole.sample, recbole.used_items(data), batch.numpy(), data.num_items, 1)
    elif name == "RecBole":
        draw = partial(samplers.dns_recbole, users, items, recbole.used_items(data), batch, pool_size)
    elif name == "LightGCN-PyTorch":
        positives = lightgcn_pytorch.positives_of(data)
        draw = partial(lightgcn_pytorch.sample, positives, data.num_users, data.num_items, BATCH_SIZE)
    elif kind == "popularity":
        cumulative = samplers.cumulative_popularity(data, _BETA)
        draw = partial(samplers.popularity_loop, mixgcf.train_set(data), cumulative, batch)
    elif kind == "uniform":
        pairs = torch.stack([batch, batch], dim=1)
        draw = partial(mixgcf.sample, pairs, mixgcf.train_set(data), data.num_items, 1)
    else:
        draw = partial(samplers.dns_mixgcf, users, items, mixgcf.train_set(data), batch, pool_size)

    def work() -> int:
        draw()
        return len(batch)

    return work


def competitors(kind: str) -> dict[str, Competitor]:
    """recloop at two batch sizes, and who offers such a sampler."""
    result = {
        f"recloop, batch {BATCH_SIZE:,}": Competitor(partial(recloop, kind, BATCH_SIZE), tuned=True),
        f"recloop, {_AT_ONCE:,} at once": Competitor(partial(recloop, kind, _AT_ONCE), tuned=True),
        "recloop, plain torch": Competitor(
            partial(recloop, kind, BATCH_SIZE), tuned=True, environment={"RECLOOP_COMPILED": "0"}
        ),
    }
    if kind.startswith("aobpr"):
        del result[f"recloop, {_AT_ONCE:,} at once"]
        return result | {"Python loop": Competitor(partial(peer, "", kind))}
    names = ["MixGCF", "RecBole"] + (["LightGCN-PyTorch"] if kind == "uniform" else [])
    return result | {name: Competitor(partial(peer, name, kind)) for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(machine.measure(), flush=True)
    for kind in arguments.only:
        measured = rates(competitors(kind), rounds=arguments.rounds, seconds=arguments.seconds)
        ours = measured[f"recloop, batch {BATCH_SIZE:,}"]
        rows = [(name, number(1e6 / rate), f"{ours / rate:.1f}") for name, rate in measured.items()]
        print(f"\n{kind}\n\n" + table(("", "s per million", "recloop is × as fast"), rows), flush=True)


if __name__ == "__main__":
    main()
