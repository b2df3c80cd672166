"""ESAPN: embeddings that grow when two policy networks say so (Liu et al. 2020, Algorithm 1)."""

from collections.abc import Callable, Mapping
from typing import final

import torch
from torch import Tensor

from components.rec.optimizers.dense import DenseAdam
from components.rec.streaming.learner import StreamLearner
from components.rec.streaming.model import SIDES, Side, StreamBatch, StreamModel, losses
from components.rec.streaming.policy_network import ENLARGE, PolicyNetwork
from components.rec.streaming.seen import Seen
from components.rec.weights import prefixed, without_prefix

History = Callable[[int, torch.Generator], StreamBatch | None]


@final
class EsapnLearner(StreamLearner):
    """Two stages for each batch of the stream: the policy networks learn from a batch of its past, whose
    embeddings grow for the time being (lines 2 to 6); then the embeddings of the batch itself grow where a
    network thinks it better, and the model learns (lines 7 to 10).

    An id that is in a batch several times is in one state and takes one action.

    Args:
        networks: the policy of users, and that of items.
        history: so many random interactions of the stream before this batch; None where there are none.
        learning_rate, policy_learning_rate: Adam's, of the model and of the networks (α_P of eq. 7).
        num_losses: T of eq. 2.
        generator: (CPU) draws actions and history batches.
    """

    def __init__(
        self,
        model: StreamModel,
        networks: Mapping[Side, PolicyNetwork],
        history: History,
        *,
        learning_rate: float,
        policy_learning_rate: float,
        num_losses: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__(model, learning_rate)
        self._networks, self._history, self._generator = networks, history, generator
        self._seen = {side: Seen(num_losses) for side in SIDES}
        self._policy_optimizers = {
            side: DenseAdam(networks[side].parameters(), policy_learning_rate) for side in SIDES
        }

    def adjust(self, batch: StreamBatch) -> None:
        for side, table in self.model.tables.items():
            self._seen[side].extend(len(table))
        past = self._history(len(batch), self._generator)
        if past is not None:
            self._learn_policies(past)
        self._grow(batch)

    def observe(self, batch: StreamBatch, loss_B: Tensor) -> None:
        for side in SIDES:
            self._seen[side].see(batch.ids(side), loss_B)

    def _learn_policies(self, past: StreamBatch) -> None:
        """Lines 3 to 6: REINFORCE (eq. 6 with N = 1, eq. 7)."""
        rows, log_chance = self.model.rows(past), {}
        for side in SIDES:
            log_R2 = self._networks[side](self._seen[side].frequency(rows[side].id_R), rows[side].size_R)
            action_R = torch.multinomial(log_R2.detach().exp(), 1, generator=self._generator)
            log_chance[side] = log_R2.gather(1, action_R).squeeze(1)[rows[side].place_B]
            rows[side] = rows[side].enlarged(action_R.squeeze(1) == ENLARGE, self.model.maps(side))
        with torch.no_grad():
            loss_B = losses(self.model(rows), past.label_B)
        for side in SIDES:
            mean_B, number_B = self._seen[side].mean_loss(past.ids(side))
            reward_B = torch.where(number_B > 0, mean_B - loss_B, 0)  # eq. 2
            self._policy_optimizers[side].zero_grad()
            (-(reward_B * log_chance[side]).mean()).backward()
            self._policy_optimizers[side].step()

    @torch.no_grad()
    def _grow(self, batch: StreamBatch) -> None:
        """Lines 8 and 9: the likelier action, for good."""
        for side, table in self.model.tables.items():
            id_R = torch.unique(batch.ids(side))
            frequency_R = self._seen[side].frequency(id_R)
            log_R2 = self._networks[side](frequency_R, table.size_of(id_R))
            table.enlarge(id_R[log_R2.argmax(dim=1) == ENLARGE], self.model.maps(side))

    def state(self) -> dict[str, Tensor]:
        state = {**super().state(), "generator": self._generator.get_state()}
        for side in SIDES:
            state |= prefixed(f"policy.{side}", self._networks[side].state_dict())
            state |= prefixed(f"policy_optimizer.{side}", self._policy_optimizers[side].state())
            state |= prefixed(f"seen.{side}", self._seen[side].state())
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        super().load_state(state)
        self._generator.set_state(state["generator"].cpu())
        for side in SIDES:
            self._networks[side].load_state_dict(without_prefix(f"policy.{side}", state))
            self._policy_optimizers[side].load_state(without_prefix(f"policy_optimizer.{side}", state))
            self._seen[side].load_state(without_prefix(f"seen.{side}", state))
