"""How far AOBPR's factor ranks lie from the ranks of all scores, and what that does to a model.

    python -m tests.benchmarks.speed.aobpr DATASET [--epochs 10] [--users 200] [--lambda 500]

DATASET is a dataset artifact on a disk. An MF is trained by factor ranks; after some epochs both forms'
probabilities of all items are written out for some users, and compared: the total variation distance, the
mean exact rank of a draw, and the share of draws among the λ highest-scored items. `fresh` looks with
today's order, `stale` with that of an epoch ago; `kept` are exact ranks of an epoch ago. Then uniform, factor
and exact ranks train for as many epochs each.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

from components.core.checkpoint import Checkpoint
from components.core.recipe.ranking import AobprSampler, RankingTraining, UniformSampler
from components.rec.data import RankingData
from components.rec.loop import Schedule, fit
from components.rec.models.base import Tables
from components.rec.objective import build_model
from components.rec.ranking_learner import RankingLearner


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
    print("| after epoch | ranks | total variation | mean rank, exact | there | in top λ, exact | there |")
    print("|---|---|---|---|---|---|---|")
    training = RankingTraining(sampler=AobprSampler(**{"lambda": options.scale, "ranks": "factors"}))
    model = build_model(training, data, seed=1)
    learner = RankingLearner(training, data, model, seed=1)
    generator = torch.Generator().manual_seed(1)
    before = _copy(model.tables())
    for epoch in range(1, options.epochs + 1):
        for batch in data.batches(training.batch_size, generator):
            learner.step(batch)
        learner.end_epoch()
        tables = model.tables()
        if epoch in {1, 2, 5, 10, 20, 50}:
            users = torch.randperm(data.num_users, generator=torch.Generator().manual_seed(3))[
                : options.users
            ]
            for name, other in (("fresh", tables), ("stale", before), ("kept", before)):
                told = compare(data, tables, other, users, options.scale, by_factors=name != "kept")
                print(
                    f"| {epoch} | {name} | " + " | ".join(f"{value:.3f}" for value in told) + " |", flush=True
                )
        before = _copy(tables)
    print(
        f"\n| sampler | best {training.metric} on validation | epoch | seconds an epoch |\n|---|---|---|---|"
    )
    for name, sampler in {
        "uniform": UniformSampler(),
        "aobpr, factors": AobprSampler(**{"lambda": options.scale, "ranks": "factors"}),
        "aobpr, exact": AobprSampler(**{"lambda": options.scale}),
        "aobpr, exact, kept for 8": AobprSampler(**{"lambda": options.scale, "kept": 8}),
    }.items():
        _train(name, training.model_copy(update={"sampler": sampler}), data, options.epochs)


def compare(
    data: RankingData, tables: Tables, other: Tables, users: Tensor, scale: float, *, by_factors: bool
) -> list[float]:
    """Means over users of the distance, of both mean ranks, and of both shares in the top λ."""
    rows = []
    for user in users.tolist():
        seen = data.train.select(torch.tensor([user])).values
        rank_I = _ranks(tables, user, seen)
        law = torch.exp(-torch.arange(data.num_items).double() / scale)
        law[data.num_items - len(seen) :] = 0
        law /= law.sum()
        exact_I = law[rank_I]
        other_I = _by_factors(other, user, seen, law) if by_factors else law[_ranks(other, user, seen)]
        both, top = (exact_I, other_I), rank_I < scale
        distance = float((exact_I - other_I).abs().sum() / 2)
        means = [float((p * rank_I).sum()) for p in both]
        rows.append([distance, *means, *(float(p[top].sum()) for p in both)])
    return torch.tensor(rows).mean(dim=0).tolist()


def _ranks(tables: Tables, user: int, seen: Tensor) -> Tensor:
    """(I,) of each item; observed items come last."""
    score_I = tables.items @ tables.users[user]
    score_I[seen] = -torch.inf
    rank_I = torch.empty(len(score_I), dtype=torch.int64)
    rank_I[score_I.argsort(descending=True, stable=True)] = torch.arange(len(score_I))
    return rank_I


def _by_factors(tables: Tables, user: int, seen: Tensor, law: Tensor) -> Tensor:
    """(I,) probabilities when dimensions are drawn first."""
    weight_D = tables.users[user].abs() * tables.items.std(dim=0, correction=0)
    probability_I = torch.zeros(len(law), dtype=torch.float64)
    for f, weight in enumerate((weight_D / weight_D.sum()).tolist()):
        descending = bool(tables.users[user, f] >= 0)
        order = tables.items[:, f].argsort(descending=descending, stable=True)
        probability_I.index_add_(0, _moved_on(order, seen), weight * law)
    return probability_I


def _copy(tables: Tables) -> Tables:
    return Tables(tables.users.clone(), tables.items.clone())


def _moved_on(order: Tensor, seen: Tensor) -> Tensor:
    """For each place the next item in the order that is not observed, however far it is."""
    observed = torch.isin(order, seen)
    place = torch.arange(len(order))
    following = torch.where(observed, len(order), place).flip(0).cummin(0).values.flip(0)
    return order[following.remainder(len(order))]


def _train(name: str, training: RankingTraining, data: RankingData, epochs: int) -> None:
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
