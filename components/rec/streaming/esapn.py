"""ESAPN: embeddings that grow when two policy networks say so (Liu et al. 2020, Algorithm 1)."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from components.rec.optimizers.dense import DenseAdam
from components.rec.streaming.embeddings import SizedEmbeddings
from components.rec.streaming.history import History
from components.rec.streaming.learner import StreamLearner
from components.rec.streaming.model import SIDES, Side, StreamBatch, StreamModel, losses
from components.rec.streaming.policy_network import ENLARGE, PolicyNetwork
from components.rec.weights import prefixed, without_prefix


@final
class EsapnLearner(StreamLearner):
    """Two stages for each batch of the stream: the policy networks learn from a batch of its past, whose
    embeddings grow for the time being (lines 2 to 6); then the embeddings of the batch itself grow where a
    network thinks it better, and the model learns (lines 7 to 10).

    An id that is in a batch several times is in one state and takes one action.

    Args:
        model: with `SizedEmbeddings`.
        networks: the policy of users, and that of items.
        history: the past of the stream.
        learning_rate, policy_learning_rate: Adam's, of the model and of the networks (α_P of eq. 7).
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
        generator: torch.Generator,
    ) -> None:
        super().__init__(model, learning_rate)
        self._networks, self._history, self._generator = networks, history, generator
        self._policy_optimizers = {
            side: DenseAdam(networks[side].parameters(), policy_learning_rate) for side in SIDES
        }

    def adjust(self, batch: StreamBatch) -> None:
        past = self._history.sample(len(batch), self._generator)
        if past is not None:
            self._learn_policies(past)
        self._grow(batch)

    def remember(self, batch: StreamBatch) -> None:
        self._history.enter(batch)

    def _embeddings(self, side: Side) -> SizedEmbeddings:
        embeddings = self.model.side(side)
        assert isinstance(embeddings, SizedEmbeddings)
        return embeddings

    def _learn_policies(self, past: StreamBatch) -> None:
        """Lines 3 to 6: REINFORCE (eq. 6 with N = 1, eq. 7)."""
        rows, log_chance = self.model.rows(past), {}
        for side in SIDES:
            embeddings = self._embeddings(side)
            log_R2 = self._networks[side](embeddings.seen.frequency(rows[side].id_R), rows[side].size_R)
            action_R = torch.multinomial(log_R2.detach().exp(), 1, generator=self._generator)
            log_chance[side] = log_R2.gather(1, action_R).squeeze(1)[rows[side].place_B]
            rows[side] = rows[side].enlarged(action_R.squeeze(1) == ENLARGE)
        with torch.no_grad():
            loss_B = losses(self.model(rows), past.label_B)
        for side in SIDES:
            mean_B, number_B = self._embeddings(side).seen.mean_loss(past.ids(side))
            reward_B = torch.where(number_B > 0, mean_B - loss_B, 0)  # eq. 2
            self._policy_optimizers[side].zero_grad()
            (-(reward_B * log_chance[side]).mean()).backward()
            self._policy_optimizers[side].step()

    @torch.no_grad()
    def _grow(self, batch: StreamBatch) -> None:
        """Lines 8 and 9: the likelier action, for good."""
        for side in SIDES:
            embeddings, id_R = self._embeddings(side), torch.unique(batch.ids(side))
            log_R2 = self._networks[side](embeddings.seen.frequency(id_R), embeddings.place_of(id_R))
            embeddings.enlarge(id_R[log_R2.argmax(dim=1) == ENLARGE])

    def policies(self) -> dict[str, Tensor]:
        """The weights of both networks."""
        networks = [prefixed(side, self._networks[side].state_dict()) for side in SIDES]
        return {**networks[0], **networks[1]}

    def adopt(self, policies: Mapping[str, Tensor], sizes: Mapping[Side, Tensor]) -> None:
        for side in SIDES:
            self._embeddings(side).begin(sizes[side])
            self._networks[side].load_state_dict(without_prefix(side, policies))

    def state(self) -> dict[str, Tensor]:
        state = {**super().state(), "generator": self._generator.get_state()}
        state |= prefixed("history", self._history.state())
        for side in SIDES:
            state |= prefixed(f"policy.{side}", self._networks[side].state_dict())
            state |= prefixed(f"policy_optimizer.{side}", self._policy_optimizers[side].state())
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        super().load_state(state)
        self._generator.set_state(state["generator"].cpu())
        self._history.load_state(without_prefix("history", state))
        for side in SIDES:
            self._networks[side].load_state_dict(without_prefix(f"policy.{side}", state))
            self._policy_optimizers[side].load_state(without_prefix(f"policy_optimizer.{side}", state))
