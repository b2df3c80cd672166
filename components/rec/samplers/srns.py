"""SRNS: negatives whose score is high and varies (Ding et al. 2020)."""

from collections import deque
from collections.abc import Mapping
from typing import Final, final

import torch
from torch import Tensor

from components.core.recipe.ranking import SrnsSampler
from components.rec.data import PairBatch, RankingData
from components.rec.models.base import Encoded, PlainEncoded, RankingModel, Tables
from components.rec.samplers.base import Sampler, require_negatives
from components.rec.samplers.unobserved import UnobservedItems

_NUM_EPOCHS: Final = 5  # that the deviation is taken over, as in the authors' code


@final
class RobustNegative(Sampler):
    """j = argmax of P(k | u, i) + α_t std P(k | u, i) over k in u's memory, P(k | u, i) = σ(r_uk − r_ui).

    A false negative scores high in every epoch, a hard negative now and then. The deviation is that over
    the ends of the last five epochs; α_t grows linearly to α within `warmup` epochs. After a draw a user's
    memory is drawn anew, from itself and `num_fresh` uniform unobserved items, without replacement and in
    proportion to exp(r_uk / τ). N negatives are the N best of the memory.

    Departure: the authors record scores of some thousand items for each user; here the embeddings of past
    epochs are kept, and give the same numbers for any item.
    """

    def __init__(self, config: SrnsSampler, data: RankingData) -> None:
        require_negatives(data)
        self._config, self._num_users = config, data.num_users
        self._unobserved = UnobservedItems(data, torch.ones_like(data.popularity))
        self._memory_US: Tensor | None = None
        self._past: deque[Tables] = deque(maxlen=_NUM_EPOCHS)
        self._epoch = 0

    @torch.no_grad()
    def sample(
        self, encoded: Encoded, batch: PairBatch, num_negatives: int, *, generator: torch.Generator
    ) -> Tensor:
        memory_US = self._filled(batch.user.device, generator)
        candidate_BS = memory_US[batch.user]
        value_BS = self._likelihood(encoded, batch, candidate_BS)
        weight = self._config.alpha * min(1.0, self._epoch / self._config.warmup)
        if weight and self._past:
            past_EBS = [self._likelihood(PlainEncoded(at, at), batch, candidate_BS) for at in self._past]
            value_BS = value_BS + weight * torch.stack(past_EBS).std(dim=0, correction=0)
        best_BN = value_BS.topk(num_negatives, dim=1).indices
        drawn_BN = candidate_BS.gather(1, best_BN)
        user_R: Tensor = batch.user.unique()  # type: ignore[no-untyped-call]  # torch
        self._renew(encoded, memory_US, user_R, generator)
        return drawn_BN

    def end_epoch(self, model: RankingModel) -> None:
        tables = model.tables()
        self._past.append(Tables(tables.users.clone(), tables.items.clone()))
        self._epoch += 1

    def state(self) -> dict[str, Tensor]:
        if self._memory_US is None:
            return {}
        past = {
            f"past.{number}.{side}": table
            for number, tables in enumerate(self._past)
            for side, table in (("users", tables.users), ("items", tables.items))
        }
        return {"memory": self._memory_US, "epoch": torch.tensor(self._epoch), **past}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        if not state:
            return
        self._memory_US, self._epoch = state["memory"], int(state["epoch"])
        self._past.clear()
        for number in range(min(self._epoch, _NUM_EPOCHS)):
            self._past.append(Tables(state[f"past.{number}.users"], state[f"past.{number}.items"]))

    def _filled(self, device: torch.device, generator: torch.Generator) -> Tensor:
        """(U, S) the memory, at first uniform unobserved items."""
        if self._memory_US is None:
            everyone = torch.arange(self._num_users, device=device)
            self._memory_US = self._unobserved.draw(everyone, self._config.memory, generator=generator)
        return self._memory_US

    @staticmethod
    def _likelihood(encoded: Encoded, batch: PairBatch, candidate_BS: Tensor) -> Tensor:
        """(B, S) σ(r_uk − r_ui)."""
        score = encoded.scores(batch.user, torch.cat([batch.item[:, None], candidate_BS], dim=1))
        return torch.sigmoid(score[:, 1:] - score[:, :1])

    def _renew(self, encoded: Encoded, memory_US: Tensor, user_R: Tensor, generator: torch.Generator) -> None:
        """Draw the memory of some distinct users anew."""
        fresh_RF = self._unobserved.draw(user_R, self._config.num_fresh, generator=generator)
        pool_RC = torch.cat([memory_US[user_R], fresh_RF], dim=1)
        logit_RC = encoded.scores(user_R, pool_RC) / self._config.temperature
        logit_RC = logit_RC.masked_fill(_repeated(pool_RC), -torch.inf)
        exponential = torch.empty_like(logit_RC).exponential_(generator=generator)
        # the highest of logits with Gumbel noise are a draw without replacement
        kept_RS = (logit_RC - exponential.log()).topk(self._config.memory, dim=1).indices
        memory_US[user_R] = pool_RC.gather(1, kept_RS)


def _repeated(item_RC: Tensor) -> Tensor:
    """(R, C) which items stand in their row once more; one of them does not count."""
    ascending = item_RC.int().sort(dim=1)
    repeated_RC = torch.zeros_like(item_RC, dtype=torch.bool)
    again = ascending.values[:, 1:] == ascending.values[:, :-1]
    return repeated_RC.scatter_(1, ascending.indices[:, 1:], again)
