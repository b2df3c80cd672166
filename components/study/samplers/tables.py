"""What a study of samplers found, as tables in the form of AutoSample's."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
import pandas as pd

from components.core import columns
from components.core.policy import TRAJECTORY_FILE, Policy
from components.metrics.comparison import paired_test
from components.study.comparing import SIGNIFICANT, Comparison, compare
from components.study.results import read
from components.study.running import Outcome
from components.study.samplers.conducting import Results
from components.study.samplers.grid import Method, baselines, candidates, searched
from components.study.samplers.schema import AUTOSAMPLE, SamplersStudy

METRICS: Final = ("recall", "ndcg", "precision", "hit_ratio")
_SHORT: Final = {"recall": "R", "ndcg": "N", "precision": "P", "hit_ratio": "H"}


def metrics_at(k: int) -> list[str]:
    """As evaluations have them."""
    return [f"{metric}@{k}" for metric in METRICS]


def p_values(found: Comparison) -> dict[str, float]:
    """By metric, of the paired test of the best method against the second."""
    values = {}
    for metric in found.metrics:
        best, second, *_ = sorted(found.methods, key=lambda name: found.rank(name, metric))
        values[metric] = p_value(found.outcomes[best], found.outcomes[second], metric)
    return values


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
    table = read(outcome, "evaluation", "per_user.parquet", [columns.USER_ID, metric])
    values: pd.Series = table.set_index(columns.USER_ID)[metric]
    return values


def overall(study: SamplersStudy, results: Results, data: str, model: str) -> Comparison | None:
    """Table 3."""
    return compare(results, data, model, methods_of(study, results, data, model), metrics_at(study.k))


def methods_of(study: SamplersStudy, results: Results, data: str, model: str) -> dict[str, Method]:
    """Of Table 3, by their names there."""
    methods = {method.name: method for method in baselines(study, model)}
    space = results.chosen.get((data, model, f"ranked {study.candidates.size}"))
    if space:
        methods[AUTOSAMPLE] = searched(study, space)
    return methods


def by_negatives(
    study: SamplersStudy, results: Results, data: str, model: str, count: int
) -> Comparison | None:
    """Table 4 for one T: candidates alone with T negatives, AutoSample with T candidates."""
    methods = {method.name: method for method in candidates(study, num_negatives=count)}
    space = results.chosen.get((data, model, f"ranked {count}"))
    if space:
        methods[AUTOSAMPLE] = searched(study, space)
    return compare(results, data, model, methods, metrics_at(study.k))


def by_space(
    study: SamplersStudy, results: Results, data: str, model: str
) -> tuple[Comparison, pd.Series] | None:
    """Table 5: AutoSample over each space; and S.S.A.R., the candidates' mean average rank in Table 3."""
    all_methods = overall(study, results, data, model)
    if all_methods is None:
        return None
    rank = all_methods.average_rank
    ran = [space for space in study.spaces if set(space) <= set(rank.index)]
    methods = {joined(space): searched(study, space) for space in ran}
    found = compare(results, data, model, methods, metrics_at(study.k))
    if found is None:
        return None
    ssar = {name: float(np.mean([rank[one] for one in methods[name].space])) for name in found.methods}
    return found, pd.Series(ssar)


def by_start(study: SamplersStudy, results: Results, data: str, model: str) -> Comparison | None:
    """Table 6: AutoSample's retraining from random weights and from W′."""
    space = results.chosen.get((data, model, f"ranked {study.candidates.size}"))
    if not space:
        return None
    methods = {"random": searched(study, space, "none"), "custom": searched(study, space)}
    return compare(results, data, model, methods, metrics_at(study.k))


def long(found: Comparison, data: str, model: str) -> pd.DataFrame:
    """One row a method and metric."""
    rows = found.long(data, model)
    return rows.assign(p_best=rows["metric"].map(p_values(found)))


def markdown(found: Comparison, k: int) -> str:
    """As the paper prints it: means and ranks, a star where the best passes the test against the second."""
    head = [f"{_SHORT[name.partition('@')[0]]}@{k}" for name in found.metrics]
    lines = [f"| | {' | '.join(head)} | rank |", f"|---|{'---:|' * (len(head) + 1)}"]
    p_value_of = p_values(found)
    for name in found.methods:
        cells = []
        for metric in found.metrics:
            rank = found.rank(name, metric)
            star = "*" if rank == 1 and p_value_of[metric] < SIGNIFICANT else ""
            cells.append(f"{found.mean(name, metric):.4f}{star} ({rank})")
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
    study: SamplersStudy, results: Results, data: str, model: str, space: tuple[str, ...]
) -> list[Decision]:
    """What the searches over a space decided, by seed."""
    return [
        _decision(study, space, outcome)
        for outcome in results.of(data, model, searched(study, space)).values()
    ]


def _decision(study: SamplersStudy, space: tuple[str, ...], outcome: Outcome) -> Decision:
    policy = Policy.read(Path(outcome.places["policy"]))
    loss = read(outcome, "policy", TRAJECTORY_FILE).set_index(columns.EPOCH).loc[policy.best_epoch]
    kinds = {name: study.samplers[name].kind for name in space}
    decided = policy.decision["sampler"]
    return Decision(
        name=next(name for name in space if kinds[name] == decided),
        easiest=min(space, key=lambda name: loss[f"loss_{kinds[name]}"]),
    )
