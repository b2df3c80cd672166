"""Parts of the test users for whom a mean may hide what happens to them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.core.hashing import derive_seed
from components.core.recipe import EvaluateParams
from components.core.recipe.ranking_judgement import SliceName
from components.core.verdict import SliceResult
from components.evaluate.ranking.scoring import Exam
from components.metrics.comparison import Metrics, compare
from components.metrics.ranking import per_user
from components.rec.csr import Csr
from components.rec.ranking import hits

Mask = NDArray[np.bool_]
HEAD_SHARE: Final = 1 / 3


def light_and_heavy(num_train_Q: NDArray[np.integer]) -> tuple[Mask, Mask]:
    """The users in the lowest and in the highest quarter by interactions in train.

    Whoever has as many as the quarter's last belongs to it, so a slice may be larger than a quarter; where
    the quarters meet, users are light.
    """
    low, high = np.quantile(num_train_Q, [0.25, 0.75], method="inverted_cdf")
    return num_train_Q <= low, (num_train_Q >= high) & (num_train_Q > low)


def tail_items(popularity_I: NDArray[np.integer]) -> Mask:
    """The items outside the head: the fewest most popular items that have a third of all train interactions
    (the short head of Cremonesi, Koren & Turrin 2010), with all that are as popular as the last of them."""
    descending = np.sort(popularity_I)[::-1]
    needed = np.searchsorted(descending.cumsum(), HEAD_SHARE * descending.sum())
    tail: Mask = popularity_I < descending[needed]
    return tail


@final
@dataclass(frozen=True, kw_only=True)
class Slices:
    """Who belongs to what, of Q test users.

    Attributes:
        members: slice → users; `tail_items` are those with a relevant item outside the head.
        num_train_Q: interactions in train.
        num_tail_Q: relevant items outside the head.
        tail_I: the items outside the head.
    """

    members: Mapping[SliceName, Mask]
    num_train_Q: NDArray[np.int64]
    num_tail_Q: NDArray[np.int64]
    tail_I: Mask


def read_slices(exam: Exam, known_Q: Mask | None) -> Slices:
    """The slices of an exam. `known_Q` tells whom the champion knows; None without one."""
    num_train_Q = exam.train.counts[exam.users].cpu().numpy()
    tail_I = tail_items(exam.popularity_I.cpu().numpy().astype(np.int64))
    num_tail_Q = _tail_of(exam.relevant, tail_I).counts.cpu().numpy()
    light_Q, heavy_Q = light_and_heavy(num_train_Q)
    members: dict[SliceName, Mask] = {} if known_Q is None else {"new_users": ~known_Q}
    members |= {"light_users": light_Q, "heavy_users": heavy_Q, "tail_items": num_tail_Q > 0}
    return Slices(members=members, num_train_Q=num_train_Q, num_tail_Q=num_tail_Q, tail_I=tail_I)


def grade_tail(top_QK: Tensor, exam: Exam, slices: Slices, ks: Sequence[int]) -> Metrics:
    """Metrics of the users of `tail_items` with only those items relevant; lists stay what they are."""
    asked = np.flatnonzero(slices.members["tail_items"])
    if not len(asked):
        return {}
    rows = torch.from_numpy(asked).to(top_QK.device)
    relevant = _tail_of(exam.relevant, slices.tail_I).select(rows)
    return per_user(hits(top_QK[rows], relevant).cpu().numpy(), slices.num_tail_Q[asked], ks)


def measure(
    params: EvaluateParams,
    slices: Slices,
    challenger: Metrics,
    champion: Metrics | None,
    tail: tuple[Metrics, Metrics | None],
) -> list[SliceResult]:
    """The metric that decides, and those of the guardrails, over every slice."""
    wanted = sorted({params.promotion.metric, *(rail.metric for rail in params.promotion.guardrails)})
    results = []
    for name, member_Q in slices.members.items():
        if name == "tail_items":
            one, other = tail
        else:
            one = {metric: value_Q[member_Q] for metric, value_Q in challenger.items()}
            other = champion and {metric: value_Q[member_Q] for metric, value_Q in champion.items()}
        results += _results(params, name, int(member_Q.sum()), wanted, one, other)
    return results


def _results(
    params: EvaluateParams,
    name: SliceName,
    users: int,
    wanted: Collection[str],
    one: Metrics,
    other: Metrics | None,
) -> list[SliceResult]:
    if not users:
        return [SliceResult(slice=name, metric=metric, users=0, challenger=None) for metric in wanted]
    if other is None:
        return [
            SliceResult(slice=name, metric=metric, users=users, challenger=float(one[metric].mean()))
            for metric in wanted
        ]
    found = compare(
        {metric: one[metric] for metric in wanted},
        {"champion": {metric: other[metric] for metric in wanted}},
        confidence=params.promotion.confidence,
        resamples=params.promotion.resamples,
        seed=derive_seed(params.seed, "evaluate", "bootstrap", name),
    )["champion"]
    return [
        SliceResult(
            slice=name,
            metric=metric,
            users=users,
            challenger=found[metric].challenger,
            champion=found[metric].other,
            difference=found[metric].difference,
            low=found[metric].low,
            high=found[metric].high,
        )
        for metric in wanted
    ]


def _tail_of(relevant: Csr, tail_I: Mask) -> Csr:
    kept = torch.from_numpy(tail_I).to(relevant.values.device)[relevant.values]
    return Csr.from_pairs(relevant.rows[kept], relevant.values[kept], relevant.num_rows)
