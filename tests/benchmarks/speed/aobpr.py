"""How far AOBPR's factor ranks lie from the ranks of all scores, and what that does to a model.

    python -m tests.benchmarks.speed.aobpr DATASET [--epochs 10] [--users 200] [--lambda 500]

DATASET is a dataset artifact on a disk. An MF is trained by factor ranks; after some epochs both forms'
probabilities of all items are written out for some users, and compared: the total variation distance, the
mean exact rank of a draw, and the share of draws among the λ highest-scored items. `stale` looks with the
order of an epoch ago. Then uniform, factor and exact ranks train for as many epochs each.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

from components.core.checkpoint import Checkpoint
from components.core.recipe.training import AobprSampler, Training, UniformSampler
from components.rec.data import RankingData
from components.rec.learner import RankingLearner
from components.rec.loop import Schedule, fit
from components.rec.models.base import Tables
from components.rec.objective import build_model


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--lambda", type=float, default=500.0, dest="scale")
    options = parser.parse_args()
    data = RankingData.load(options.dataset, torch.device("cpu"))
    print("| after epoch | order | total variation | mean rank, exact | factors | in top λ, exact | factors|")
    print("|---|---|---|---|---|---|---|")
    training = Training(sampler=AobprSampler(**{"lambda": options.scale, "ranks": "factors"}))
    model = build_model(training, data, seed=1)
    learner = RankingLearner(training, data, model, seed=1)
    generator = torch.Generator().manual_seed(1)
    before = model.tables().items.clone()
    for epoch in range(1, options.epochs + 1):
        for batch in data.batches(training.batch_size, generator):
            learner.step(batch)
        learner.end_epoch()
        tables = model.tables()
        if epoch in {1, 2, 5, 10, 20, 50}:
            users = torch.randperm(data.num_users, generator=torch.Generator().manual_seed(3))[
                : options.users
            ]
            for name, sorted_by in (("fresh", tables.items), ("stale", before)):
                told = compare(data, tables, sorted_by, users, options.scale)
                print(
                    f"| {epoch} | {name} | " + " | ".join(f"{value:.3f}" for value in told) + " |", flush=True
                )
        before = tables.items.clone()
    print(
        f"\n| sampler | best {training.metric} on validation | epoch | seconds an epoch |\n|---|---|---|---|"
    )
    for name, sampler in {
        "uniform": UniformSampler(),
        "aobpr, factors": AobprSampler(**{"lambda": options.scale, "ranks": "factors"}),
        "aobpr, exact": AobprSampler(**{"lambda": options.scale}),
    }.items():
        _train(name, training.model_copy(update={"sampler": sampler}), data, options.epochs)


def compare(data: RankingData, tables: Tables, sorted_by: Tensor, users: Tensor, scale: float) -> list[float]:
    """Means over users of the distance, of both mean ranks, and of both shares in the top λ."""
    order_DI = sorted_by.T.argsort(dim=1, descending=True, stable=True)
    deviation_D = sorted_by.std(dim=0, correction=0)
    rows = [_of_user(data, tables, order_DI, deviation_D, int(user), scale) for user in users]
    return torch.tensor(rows).mean(dim=0).tolist()


def _of_user(
    data: RankingData, tables: Tables, order_DI: Tensor, deviation_D: Tensor, user: int, scale: float
) -> list[float]:
    seen = data.train.select(torch.tensor([user])).values
    score_I = tables.items @ tables.users[user]
    score_I[seen] = -torch.inf
    num_free = data.num_items - len(seen)
    rank_I = torch.empty(data.num_items, dtype=torch.int64)
    rank_I[score_I.argsort(descending=True, stable=True)] = torch.arange(data.num_items)
    law = torch.exp(-torch.arange(data.num_items).double() / scale)
    law[num_free:] = 0
    law /= law.sum()
    exact_I = law[rank_I]
    factors_I = torch.zeros(data.num_items, dtype=torch.float64)
    weight_D = tables.users[user].abs() * deviation_D
    for f, weight in enumerate((weight_D / weight_D.sum()).tolist()):
        order = order_DI[f] if tables.users[user, f] >= 0 else order_DI[f].flip(0)
        factors_I.index_add_(0, _moved_on(order, seen), weight * law)
    top = rank_I < scale
    distance = (exact_I - factors_I).abs().sum() / 2
    ranks = [float((p * rank_I).sum()) for p in (exact_I, factors_I)]
    return [float(distance), *ranks, *(float(p[top].sum()) for p in (exact_I, factors_I))]


def _moved_on(order: Tensor, seen: Tensor) -> Tensor:
    """For each place the next item in the order that is not observed, however far it is."""
    observed = torch.isin(order, seen)
    place = torch.arange(len(order))
    following = torch.where(observed, len(order), place).flip(0).cummin(0).values.flip(0)
    return order[following.remainder(len(order))]


def _train(name: str, training: Training, data: RankingData, epochs: int) -> None:
    learner = RankingLearner(training, data, build_model(training, data, seed=1), seed=1)
    schedule = Schedule(
        epochs=epochs,
        patience=epochs,
        validate_every=1,
        batch_size=training.batch_size,
        metric=training.metric,
    )
    with tempfile.TemporaryDirectory() as work:
        checkpoint = Checkpoint(str(Path(work) / "model"), Path(work), "key")
        began = time.perf_counter()
        result = fit(learner, data, schedule, seed=1, checkpoint=checkpoint, name=name)
    seconds = (time.perf_counter() - began) / epochs
    print(f"| {name} | {result.best_value:.4f} | {result.best_epoch} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
