"""How an epoch goes through histories (AMER, Appendix D)."""

from collections.abc import Iterator
from typing import final

import torch

from components.core.errors import InvalidInputError
from components.core.recipe.sequences import AnySequenceModel
from components.rec.data import PairBatch, Past, RankingData
from components.rec.models.base import RankingModel
from components.rec.sequences.histories import last_items


@final
class SequencePasses:
    """Each user's history once an epoch, clipped at a random place: at least one item stands before it and
    one behind it. What stands before is read, and the next few items are the positives.

    Users with a single item in train have nothing to be asked about, and are passed over.

    Raises:
        InvalidInputError: nobody has more than one.
    """

    def __init__(self, config: AnySequenceModel, data: RankingData) -> None:
        self._config, self._data = config, data
        self._history = data.in_time.train
        self._user_U = torch.nonzero(self._history.counts >= 2).flatten()
        if not len(self._user_U):
            raise InvalidInputError(
                f"training.model.kind: got {config.kind!r}, which learns what comes after an item, and "
                f"none of {self._history.num_rows:,} users has two items in train"
            )

    def __len__(self) -> int:
        return len(self._user_U)

    def batches(self, batch_size: int, generator: torch.Generator, first: int = 0) -> Iterator[PairBatch]:
        """Batches of so many histories, in random order."""
        device = self._user_U.device
        user_U = self._user_U[torch.randperm(len(self), generator=generator).to(device)]
        share_U = torch.rand(len(self), generator=generator, dtype=torch.float64).to(device)
        count_U = self._history.counts[user_U]
        end_U = 1 + (share_U * (count_U - 1)).long().clamp(max=count_U - 2)
        for start in range(first * batch_size, len(self), batch_size):
            here = slice(start, start + batch_size)
            yield self._batch(*(column[here] for column in (user_U, end_U, count_U)))

    def _batch(self, user_S: torch.Tensor, end_S: torch.Tensor, count_S: torch.Tensor) -> PairBatch:
        user_S, order = user_S.sort()
        end_S, count_S = end_S[order], count_S[order]
        number = self._config.num_targets
        stop_S = torch.minimum(end_S + number, count_S)
        before_P = torch.arange(number, 0, -1, device=user_S.device)
        target_SP = last_items(self._history, user_S, stop_S, number)
        row, _ = there = torch.nonzero(before_P <= (stop_S - end_S)[:, None], as_tuple=True)
        past = Past(user_S, last_items(self._history, user_S, end_S, self._config.max_length))
        return PairBatch(user_S[row], target_SP[there], past)

    @property
    def has_validation(self) -> bool:
        """Whether there are interactions to validate on."""
        return self._data.has_validation

    def validate(self, model: RankingModel, metric: str) -> dict[str, float]:
        """Of what comes next after train; see `RankingData.validate`."""
        return self._data.validate(model, metric)
