"""How often the rule of promotion is wrong, and how often it sees a real difference.

    python tests/benchmarks/promotion_gate.py [--per-user EVALUATION/per_user.parquet --metric ndcg@20]
        [--users 200 1000 5000 20000] [--pairs 2000] [--resamples 1000]

Pairs of models are drawn again and again: each user's metric under both. `same` pairs have no true
difference, `at the margin` pairs differ by exactly the margin: of neither may more
than (1 − confidence) / 2 be promoted, 2.5 % at 95. `better` pairs differ truly; what is promoted of them is
the power. With a file, users are those of a real evaluation; which model had which value is tossed for each.

Every pair is judged by the rule itself. Pairs are columns of one call, so a hundred share their resamples.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from components.core.recipe.ranking_judgement import RankingPromotion
from components.core.verdict import Comparison
from components.data.parquet import read_table
from components.metrics.bootstrap import interval
from components.metrics.decision import promoted
from components.metrics.promotion import judge

Pair = tuple[np.ndarray, np.ndarray]  # of each user, challenger's and champion's metric
World = Callable[[np.random.Generator, int], Pair]
METRIC = "ndcg@20"
GAINS = 1 / np.log2(np.arange(2, 22))  # NDCG@20 of a single relevant item, by its rank
COLUMNS = 100
MANY, TIMES = 2_000_000, 10  # users, to know a true difference


def dense(generator: np.random.Generator, users: int) -> Pair:
    """Several relevant items each, as in ml-100k: both find what is easy for the user, each with luck."""
    ease = generator.beta(2, 5, users)
    one, other = (np.clip(ease + generator.normal(0, 0.1, users), 0, 1) for _ in range(2))
    return one, other


def sparse(generator: np.random.Generator, users: int) -> Pair:
    """One relevant item each, as in taobao-buy: 4 % are hits, and most users have the same under both."""
    one, other = (
        np.where(generator.random(users) < 0.04, GAINS[generator.integers(20, size=users)], 0)
        for _ in range(2)
    )
    return one, np.where(generator.random(users) < 0.6, one, other)


def skewed(generator: np.random.Generator, users: int) -> Pair:
    """The worst case: small gains for one in five users and great losses for one in fifty, 0 on the whole."""
    kind = generator.choice(3, size=users, p=[0.78, 0.2, 0.02])
    gain = np.array([0.0, 0.1, 0.0])[kind]
    loss = np.array([0.0, 0.0, 1.0])[kind]
    return gain, loss


def real(place: Path, metric: str) -> World:
    """Users of an evaluation with a champion."""
    table = read_table(place)
    both = np.column_stack([table[name].to_numpy() for name in (metric, f"champion_{metric}")])

    def draw(generator: np.random.Generator, users: int) -> Pair:
        drawn = both[generator.integers(len(both), size=users)]
        tossed = generator.random(users) < 0.5
        return np.where(tossed, drawn[:, 0], drawn[:, 1]), np.where(tossed, drawn[:, 1], drawn[:, 0])

    return draw


def better(world: World, share: float) -> World:
    """The challenger has a second try at this share of the users."""

    def draw(generator: np.random.Generator, users: int) -> Pair:
        one, other = world(generator, users)
        again, _ = world(generator, users)
        return np.where(generator.random(users) < share, np.maximum(one, again), one), other

    return draw


@cache
def true_difference(world: World) -> tuple[float, float]:
    """The mean difference over very many users, and the champion's mean."""
    generator = np.random.default_rng(0)
    found = [world(generator, MANY) for _ in range(TIMES)]
    means = np.mean([[one.mean(), other.mean()] for one, other in found], axis=0)
    return float(means[0] - means[1]), float(means[1])


@dataclass(frozen=True)
class Rate:
    """Promoted pairs, with the standard error of so many tries; users who differ, on average."""

    rate: float
    error: float
    differ: float


def rate(
    world: World, users: int, *, pairs: int, margin: float = 0.0, resamples: int = 1000, seed: int = 1
) -> Rate:
    """The share of pairs of which the rule promotes the challenger."""
    rule = RankingPromotion(metric=METRIC, margin=margin, resamples=resamples)
    wins, differ = 0, 0.0
    for start in range(0, pairs, COLUMNS):
        generator = np.random.default_rng([seed, users, start])
        size = min(COLUMNS, pairs - start)
        drawn = [world(generator, users) for _ in range(size)]
        difference_UC = np.column_stack([one - other for one, other in drawn])
        ends = interval(difference_UC, confidence=rule.confidence, resamples=resamples, seed=seed + start)
        wins += sum(_promoted(rule, *pair) for pair in zip(*ends, strict=True))
        differ += (difference_UC != 0).sum()
    share = wins / pairs
    return Rate(share, float(np.sqrt(max(share * (1 - share), 1 / pairs) / pairs)), differ / pairs)


def _promoted(rule: RankingPromotion, low: float, high: float) -> bool:
    found = Comparison(
        challenger=0, other=0, difference=0, low=low, high=high, p_value=1, better=0, equal=0, worse=0
    )
    return promoted(judge(rule, {METRIC: 0.0}, {"champion": {METRIC: found}}, (), {}))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--per-user", type=Path)
    parser.add_argument("--metric", default=METRIC)
    parser.add_argument("--users", type=int, nargs="+", default=[200, 1000, 5000, 20_000])
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=1000)
    options = parser.parse_args()
    worlds: dict[str, World] = {"dense": dense, "sparse": sparse, "skewed": skewed}
    if options.per_user:
        worlds = {options.per_user.parent.name: real(options.per_user, options.metric)}
    console = Console(width=120)
    for name, world in worlds.items():
        table = Table(
            "users", "who differ", "pairs are", "true difference", "promoted", title=f"{name}, 95 % intervals"
        )
        cases = _cases(world)
        for users in options.users:
            for told, drawn, margin in cases:
                found = rate(drawn, users, pairs=options.pairs, margin=margin, resamples=options.resamples)
                difference, mean = true_difference(drawn)
                table.add_row(
                    f"{users:,}",
                    f"{found.differ:,.0f}",
                    told,
                    f"{difference:+.4f} ({difference / mean:+.1%})" if drawn is not world else "0",
                    f"{found.rate:.1%} ± {found.error:.1%}",
                )
            table.add_section()
        console.print(table)
    return 0


def _cases(world: World) -> list[tuple[str, World, float]]:
    small, large = better(world, 0.05), better(world, 0.2)
    margin, _ = true_difference(small)

    def worse(generator: np.random.Generator, users: int) -> Pair:
        one, other = small(generator, users)
        return other, one

    return [
        ("same", world, 0.0),
        ("at the margin", small, margin),
        ("at a margin below 0", worse, -margin),
        ("better", small, 0.0),
        ("much better", large, 0.0),
    ]


if __name__ == "__main__":
    sys.exit(main())
