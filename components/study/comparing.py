"""Methods on one data set with one model: means and ranks over the seeds that all of them ran with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import pandas as pd

from components.metrics.direction import gain, lead
from components.study.cells import AnyMethod, AnyRecipe
from components.study.results import StudyResults
from components.study.running import Outcome

SIGNIFICANT: Final = 0.05
Outcomes = Mapping[int, Outcome]  # by seed


@final
@dataclass(frozen=True)
class Comparison:
    """What methods reached.

    Attributes:
        outcomes: by method and by seed; every method has the same seeds, and all numbers are of these.
        means: methods × metrics, over seeds.
        deviations: over seeds, the same shape.
        ranks: the same shape, 1 the best; equal ones share the better rank.
    """

    outcomes: Mapping[str, Outcomes]
    means: pd.DataFrame
    deviations: pd.DataFrame
    ranks: pd.DataFrame

    @property
    def methods(self) -> list[str]:
        """In the order that they were asked for."""
        return list(self.outcomes)

    @property
    def metrics(self) -> list[str]:
        """In the order that they were asked for."""
        return list(self.means.columns)

    @property
    def seeds(self) -> tuple[int, ...]:
        """With which every method ran."""
        return tuple(next(iter(self.outcomes.values())))

    @property
    def average_rank(self) -> pd.Series:
        return self.ranks.mean(axis=1)

    def mean(self, method: str, metric: str) -> float:
        return self._at(self.means, method, metric)

    def deviation(self, method: str, metric: str) -> float:
        """NaN for a single seed."""
        return self._at(self.deviations, method, metric)

    def rank(self, method: str, metric: str) -> int:
        return int(self._at(self.ranks, method, metric))

    def best(self, metric: str, without: str = "") -> str:
        """The method with the best mean; of equals the first."""
        return min(
            (name for name in self.methods if name != without), key=lambda name: self.rank(name, metric)
        )

    def lead(self, ours: str, theirs: str, metric: str) -> float:
        """By how much one method is better than another, by means."""
        return lead(metric, self.mean(ours, metric), self.mean(theirs, metric))

    def long(self, data: str, model: str) -> pd.DataFrame:
        """One row a method and metric."""
        rows = [
            {
                "data": data,
                "model": model,
                "method": method,
                "metric": metric,
                "mean": self.mean(method, metric),
                "deviation": self.deviation(method, metric),
                "rank": self.rank(method, metric),
            }
            for method in self.methods
            for metric in self.metrics
        ]
        return pd.DataFrame(rows)

    def _at(self, table: pd.DataFrame, method: str, metric: str) -> float:
        return float(table[metric].to_numpy()[self.methods.index(method)])


def compare(
    results: StudyResults[AnyMethod, AnyRecipe],
    data: str,
    model: str,
    methods: Mapping[str, AnyMethod],
    metrics: Sequence[str],
) -> Comparison | None:
    """Compare methods of one model on one data set; see `compared`."""
    return compared({name: results.of(data, model, method) for name, method in methods.items()}, metrics)


def compared(ran: Mapping[str, Outcomes], metrics: Sequence[str]) -> Comparison | None:
    """Compare what ran by the names given, without what never did, with the seeds that the others have in
    common. None where less than two ran, or no seed is common to them."""
    ran = {name: outcomes for name, outcomes in ran.items() if outcomes}
    seeds = sorted(set.intersection(*map(set, ran.values()))) if len(ran) > 1 else []
    if not seeds:
        return None
    found = {name: {seed: outcomes[seed] for seed in seeds} for name, outcomes in ran.items()}
    values = {
        name: pd.DataFrame([outcome.metrics["evaluate"] for outcome in outcomes.values()])[list(metrics)]
        for name, outcomes in found.items()
    }
    means = pd.DataFrame({name: frame.mean() for name, frame in values.items()}).T
    deviations = pd.DataFrame({name: frame.std(ddof=1) for name, frame in values.items()}).T
    gains = pd.DataFrame({metric: means[metric].map(lambda v, m=metric: gain(m, v)) for metric in metrics})
    return Comparison(found, means, deviations, gains.rank(ascending=False, method="min"))
