"""What a study found, as tables: in the form of AutoSample's, and a row a cell."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
import pandas as pd
import pyarrow as pa

from components.core import columns
from components.core.errors import IntegrityError
from components.core.manifest import read_manifest
from components.core.policy import TRAJECTORY_FILE, Policy
from components.data.parquet import read_table
from components.metrics.comparison import paired_test
from components.study.conducting import Results
from components.study.grid import Method, baselines, candidates, searched
from components.study.running import Outcome
from components.study.schema import AUTOSAMPLE, Study

METRICS: Final = ("recall", "ndcg", "precision", "hit_ratio")
SIGNIFICANT: Final = 0.05
_SHORT: Final = {"recall": "R", "ndcg": "N", "precision": "P", "hit_ratio": "H"}


@final
@dataclass(frozen=True)
class Comparison:
    """Methods on one data set with one model.

    Attributes:
        seeds: with which every method ran; all numbers are of these.
        means: methods × metrics, over seeds.
        deviations: over seeds, the same shape.
        ranks: the same shape, 1 the best; equal ones share the better rank.
        p_values: by metric, of the paired test of the best method against the second.
    """

    seeds: tuple[int, ...]
    means: pd.DataFrame
    deviations: pd.DataFrame
    ranks: pd.DataFrame
    p_values: Mapping[str, float]

    @property
    def average_rank(self) -> pd.Series:
        return self.ranks.mean(axis=1)

    def mean(self, method: str, metric: str) -> float:
        return float(self.means[metric].to_numpy()[list(self.means.index).index(method)])

    def long(self, data: str, model: str) -> pd.DataFrame:
        """One row a method and metric."""
        rows = [
            {
                "data": data,
                "model": model,
                "method": method,
                "metric": metric,
                "mean": self.means.loc[method, metric],
                "deviation": self.deviations.loc[method, metric],
                "rank": self.ranks.loc[method, metric],
                "p_best": self.p_values[metric],
            }
            for method in self.means.index
            for metric in self.means.columns
        ]
        return pd.DataFrame(rows)


def compare(
    results: Results, data: str, model: str, methods: Mapping[str, Method], k: int
) -> Comparison | None:
    """Compare methods by the names given, without those that never ran, with the seeds that the others have
    in common. None where less than two ran, or no seed is common to them."""
    ran = {name: results.of(data, model, method) for name, method in methods.items()}
    ran = {name: outcomes for name, outcomes in ran.items() if outcomes}
    seeds = tuple(sorted(set.intersection(*map(set, ran.values())))) if len(ran) > 1 else ()
    if not seeds:
        return None
    found = {name: {seed: outcomes[seed] for seed in seeds} for name, outcomes in ran.items()}
    names = [f"{metric}@{k}" for metric in METRICS]
    values = {
        name: pd.DataFrame([outcome.metrics["evaluate"] for outcome in outcomes.values()])[names]
        for name, outcomes in found.items()
    }
    means = pd.DataFrame({name: frame.mean() for name, frame in values.items()}).T
    deviations = pd.DataFrame({name: frame.std(ddof=1) for name, frame in values.items()}).T
    ranks = means.rank(ascending=False, method="min")
    p_values = {}
    for metric in names:
        best, second, *_ = means[metric].sort_values(ascending=False, kind="stable").index
        p_values[metric] = p_value(found[best], found[second], metric)
    return Comparison(seeds, means, deviations, ranks, p_values)


def p_value(left: Mapping[int, Outcome], right: Mapping[int, Outcome], metric: str) -> float:
    """Two-sided, paired by user: a user's difference is the mean over the seeds that both have."""
    differences = []
    for seed in sorted(left.keys() & right.keys()):
        one, other = (_per_user(outcomes[seed], metric) for outcomes in (left, right))
        differences.append(one - other)  # by user; who is tested in one alone drops out
    if not differences:
        return 1.0
    by_user = pd.concat(differences).dropna().groupby(level=0).mean()
    return float(paired_test(by_user.to_numpy()[:, None])[0])


def _per_user(outcome: Outcome, metric: str) -> pd.Series:
    place = Path(outcome.places["evaluation"]) / "per_user.parquet"
    try:
        table = read_table(place).select([columns.USER_ID, metric]).to_pandas()
    except (pa.ArrowInvalid, OSError) as error:
        raise IntegrityError(
            f"{place}: is damaged ({error}); remove its folder, and it is made again"
        ) from error
    values: pd.Series = table.set_index(columns.USER_ID)[metric]
    return values


def overall(study: Study, results: Results, data: str, model: str) -> Comparison | None:
    """Table 3."""
    return compare(results, data, model, methods_of(study, results, data, model), study.k)


def methods_of(study: Study, results: Results, data: str, model: str) -> dict[str, Method]:
    """Of Table 3, by their names there."""
    methods = {method.sampler: method for method in baselines(study, model)}
    space = results.chosen.get((data, model, f"ranked {study.candidates.size}"))
    if space:
        methods[AUTOSAMPLE] = searched(study, space)
    return methods


def by_negatives(study: Study, results: Results, data: str, model: str, count: int) -> Comparison | None:
    """Table 4 for one T: candidates alone with T negatives, AutoSample with T candidates."""
    methods = {method.sampler: method for method in candidates(study, num_negatives=count)}
    space = results.chosen.get((data, model, f"ranked {count}"))
    if space:
        methods[AUTOSAMPLE] = searched(study, space)
    return compare(results, data, model, methods, study.k)


def by_space(study: Study, results: Results, data: str, model: str) -> tuple[Comparison, pd.Series] | None:
    """Table 5: AutoSample over each space; and S.S.A.R., the candidates' mean average rank in Table 3."""
    all_methods = overall(study, results, data, model)
    if all_methods is None:
        return None
    rank = all_methods.average_rank
    ran = [space for space in study.spaces if set(space) <= set(rank.index)]
    methods = {joined(space): searched(study, space) for space in ran}
    found = compare(results, data, model, methods, study.k)
    if found is None:
        return None
    ssar = {name: float(np.mean([rank[one] for one in methods[name].space])) for name in found.means.index}
    return found, pd.Series(ssar)


def by_start(study: Study, results: Results, data: str, model: str) -> Comparison | None:
    """Table 6: AutoSample's retraining from random weights and from W′."""
    space = results.chosen.get((data, model, f"ranked {study.candidates.size}"))
    if not space:
        return None
    methods = {"random": searched(study, space, "none"), "custom": searched(study, space)}
    return compare(results, data, model, methods, study.k)


def markdown(found: Comparison, k: int) -> str:
    """As the paper prints it: means and ranks, a star where the best passes the test against the second."""
    metrics = list(found.means.columns)
    head = [f"{_SHORT[name.partition('@')[0]]}@{k}" for name in metrics]
    lines = [f"| | {' | '.join(head)} | rank |", f"|---|{'---:|' * (len(head) + 1)}"]
    for name in found.means.index:
        cells = []
        for metric in metrics:
            rank = int(found.ranks.loc[name, metric])
            star = "*" if rank == 1 and found.p_values[metric] < SIGNIFICANT else ""
            cells.append(f"{found.means.loc[name, metric]:.4f}{star} ({rank})")
        lines.append(f"| {name} | {' | '.join(cells)} | {found.average_rank[name]:.2f} |")
    return "\n".join(lines)


def joined(space: Iterable[str]) -> str:
    """A search space's name."""
    return "+".join(space)


@final
@dataclass(frozen=True)
class Decision:
    """Of one search.

    Attributes:
        name: the candidate that it decided for.
        easiest: the one whose negatives had the smallest training loss in the epoch that it decided by.
    """

    name: str
    easiest: str


def decisions(
    study: Study, results: Results, data: str, model: str, space: tuple[str, ...]
) -> list[Decision]:
    """What the searches over a space decided, by seed."""
    return [
        _decision(study, space, Path(outcome.places["policy"]))
        for outcome in results.of(data, model, searched(study, space)).values()
    ]


def _decision(study: Study, space: tuple[str, ...], place: Path) -> Decision:
    policy = Policy.read(place)
    loss = read_table(place / TRAJECTORY_FILE).to_pandas().set_index(columns.EPOCH).loc[policy.best_epoch]
    kinds = {name: study.samplers[name].kind for name in space}
    decided = policy.decision["sampler"]
    return Decision(
        name=next(name for name in space if kinds[name] == decided),
        easiest=min(space, key=lambda name: loss[f"loss_{kinds[name]}"]),
    )


def cells(results: Results, workspace: Path) -> pd.DataFrame:
    """One row a cell: what it was, found and took, where its model lies below the workspace, and which code
    trained it when."""
    rows = []
    for cell, outcome in sorted(results.outcomes.items(), key=lambda ran: ran[0].label):
        made = read_manifest(outcome.places["model"]) if "model" in outcome.places else None
        searching = outcome.metrics.get("search", {}) if cell.method.space else {}
        rows.append(
            {
                "data": cell.data,
                "model": cell.model,
                "method": cell.method.label,
                "seed": cell.seed,
                **{f"search_{name}": value for name, value in searching.items()},
                **{f"retrain_{name}": value for name, value in outcome.metrics.get("retrain", {}).items()},
                **{name: value for name, value in outcome.metrics.get("evaluate", {}).items() if "@" in name},
                "model_artifact": os.path.relpath(outcome.places["model"], workspace) if made else None,
                "revision": made.git_sha if made else None,
                "day": made.ended.date().isoformat() if made else None,
                "error": outcome.error or None,
            }
        )
    return pd.DataFrame(rows)
