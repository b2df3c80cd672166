"""What a stream has shown of each id: how often it came, and its last losses (ESAPN §2.3.2, §2.3.4)."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor


@final
class Seen:
    """Frequencies, and first-in-first-out queues of the last T losses, of a growing number of ids.

    Args:
        num_losses: T; 0 where frequencies alone are asked for.
    """

    def __init__(self, num_losses: int) -> None:
        self._loss_NT = torch.zeros(0, num_losses)
        self._count_N = torch.zeros(0, dtype=torch.int32)
        self._num_ids = 0

    def extend(self, num_ids: int) -> None:
        """Know ids up to this number; new ones have not been seen."""
        self._num_ids = max(num_ids, self._num_ids)
        if num_ids > len(self._count_N):
            fresh = num_ids + num_ids // 8 - len(self._count_N)  # and some more: most batches have new ids
            self._loss_NT = torch.cat([self._loss_NT, self._loss_NT.new_zeros(fresh, self._loss_NT.shape[1])])
            self._count_N = torch.cat([self._count_N, self._count_N.new_zeros(fresh)])

    def frequency(self, id_R: Tensor) -> Tensor:
        """(R,) int64: how often each has been seen."""
        return self._count_N[id_R].to(torch.int64)

    def mean_loss(self, id_B: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) the mean of each id's last T losses, or of as many as there are; and (B,) their number."""
        number_B = self._count_N[id_B].clamp(max=self._loss_NT.shape[1])
        return self._loss_NT[id_B].sum(dim=1) / number_B.clamp(min=1), number_B

    def see(self, id_B: Tensor, loss_B: Tensor) -> None:
        """Enter a batch in its order."""
        num_losses = self._loss_NT.shape[1]
        if not num_losses:
            self._count_N.index_add_(0, id_B, torch.ones(len(id_B), dtype=torch.int32))
            return
        order_B = torch.argsort(id_B, stable=True)
        sorted_B = id_B[order_B]
        id_U, of_B, repeats_U = torch.unique_consecutive(sorted_B, return_inverse=True, return_counts=True)
        left_B = repeats_U.cumsum(0)[of_B] - torch.arange(1, len(id_B) + 1)  # times that it comes after that
        self._count_N[id_U] += repeats_U.to(torch.int32)
        last_L = (left_B < num_losses).nonzero().squeeze(1)  # what the queues hold afterwards
        id_L = sorted_B[last_L]
        place_L = (self._count_N[id_L] - left_B[last_L] - 1) % num_losses
        self._loss_NT[id_L, place_L] = loss_B[order_B[last_L]]

    def state(self) -> dict[str, Tensor]:
        """All of it."""
        return {"losses": self._loss_NT[: self._num_ids], "counts": self._count_N[: self._num_ids]}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""
        self._loss_NT, self._count_N = state["losses"].clone(), state["counts"].clone()
        self._num_ids = len(self._count_N)
