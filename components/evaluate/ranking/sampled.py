"""Ranking among sampled items, as many papers do: comparable with their numbers, and with nothing else.

Which of two models is better may come out differently than over all items (Krichene & Rendle 2020), so these
numbers are told and never decide.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.core.hashing import derive_seed
from components.core.recipe.ranking_judgement import Sampled
from components.evaluate.ranking.scoring import Exam, embeddings
from components.rec.csr import Csr
from components.rec.data import RankingData
from components.rec.samplers.unobserved import UnobservedItems

_AT_ONCE: Final = 1 << 15  # test interactions that are scored at a time


def grade_sampled(
    config: Sampled, ks: Sequence[int], model: Path, exam: Exam, seed: int
) -> dict[str, dict[str, float]]:
    """Model → mean `hit_ratio@K` and `ndcg@K`: each test interaction's item is ranked among `negatives` items
    that the user is not known to have met, drawn uniformly and with replacement. Ties are broken at random;
    the interactions of one user are averaged first.

    Args:
        model: the challenger's artifact, on the exam's own dataset.
    """
    device = exam.popularity_I.device
    generator = torch.Generator(device).manual_seed(derive_seed(seed, "evaluate", "sampled"))
    negative_NM = _draw(exam, config.negatives, generator)
    chance_N = torch.rand(len(negative_NM), generator=generator, device=device)
    row_N, item_N = exam.relevant.rows, exam.relevant.values
    users_QD, items_ID = (embeddings(model, side, device)[1] for side in ("user", "item"))
    user_N = exam.users[row_N]
    place_N = torch.cat(
        [
            _places(users_QD[user_N[here]], items_ID, item_N[here], negative_NM[here], chance_N[here])
            for here in _slices(len(row_N))
        ]
    )
    popular_I1 = exam.popularity_I[:, None]
    popular_N = _places(torch.ones_like(popular_I1[item_N]), popular_I1, item_N, negative_NM, chance_N)
    found = {"challenger": place_N, "popularity": popular_N}
    return {name: _means(place.cpu().numpy(), exam, ks) for name, place in found.items()}


def _draw(exam: Exam, count: int, generator: torch.Generator) -> Tensor:
    """(N, count) for each test interaction, none of which its user has in what is masked or in test."""
    met = Csr.from_pairs(
        torch.cat([exam.seen.rows, exam.relevant.rows]),
        torch.cat([exam.seen.values, exam.relevant.values]),
        len(exam.users),
    )
    nothing = Csr(torch.zeros_like(met.offsets), met.values[:0])
    data = RankingData(len(exam.users), len(exam.item_ids), met.rows, met.values, train=met, valid=nothing)
    unobserved = UnobservedItems(data, torch.ones_like(exam.popularity_I, dtype=torch.int64))
    return unobserved.draw(exam.relevant.rows, count, generator=generator)


def _places(
    vector_ND: Tensor, items_ID: Tensor, item_N: Tensor, negative_NM: Tensor, chance_N: Tensor
) -> Tensor:
    """(N,) how many negatives stand before each positive."""
    positive_N = (vector_ND * items_ID[item_N]).sum(dim=1)
    score_NM = torch.stack([(vector_ND * items_ID[items]).sum(dim=1) for items in negative_NM.T], dim=1)
    better_N = (score_NM > positive_N[:, None]).sum(dim=1)
    equal_N = (score_NM == positive_N[:, None]).sum(dim=1)
    return better_N + (chance_N * (equal_N + 1)).long()


def _means(place_N: NDArray[np.int64], exam: Exam, ks: Sequence[int]) -> dict[str, float]:
    row_N, count_Q = exam.relevant.rows.cpu().numpy(), exam.num_relevant_Q
    gain_N = 1 / np.log2(place_N + 2)
    found: dict[str, float] = {}
    for name, value_N in (("hit_ratio", np.ones(len(place_N))), ("ndcg", gain_N)):
        for k in ks:
            total_Q = np.bincount(row_N, weights=value_N * (place_N < k), minlength=len(count_Q))
            found[f"{name}@{k}"] = float((total_Q / count_Q).mean())
    return found


def _slices(count: int) -> list[slice]:
    return [slice(start, start + _AT_ONCE) for start in range(0, count, _AT_ONCE)]
