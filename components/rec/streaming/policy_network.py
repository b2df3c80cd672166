"""Who decides when an embedding grows (ESAPN §2.3.3, Figure 3)."""

from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from components.rec.mlp import fully_connected

KEEP: Final = 0
ENLARGE: Final = 1


@final
class PolicyNetwork(nn.Module):
    """Chances of two actions from a state: the frequency, embedded, and the size as a one-hot vector, through
    one hidden layer.

    Args:
        num_sizes: n; of the largest there is nothing to choose.
        num_frequencies: larger ones share an embedding.
        frequency_dim: length of a frequency's embedding.
        hidden: width of the hidden layer.
        generator: (CPU) draws the initial weights.
    """

    def __init__(
        self,
        num_sizes: int,
        num_frequencies: int,
        frequency_dim: int,
        hidden: int,
        *,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self._num_sizes, self._num_frequencies = num_sizes, num_frequencies
        self.frequency_FD = nn.Parameter(torch.randn(num_frequencies, frequency_dim, generator=generator))
        self.layer = fully_connected(frequency_dim + num_sizes, hidden, generator=generator)
        self.output = fully_connected(hidden, 2, generator=generator)

    def forward(self, frequency_S: Tensor, size_S: Tensor) -> Tensor:
        """(S, 2): ln of the chances of `KEEP` and `ENLARGE` in S states.

        Many states are the same, as are all of the largest size: each goes through the layers once."""
        largest = self._num_sizes - 1
        bounded_S = frequency_S.clamp(max=self._num_frequencies - 1).masked_fill(size_S == largest, 0)
        state_U, place_S = torch.unique(bounded_S * self._num_sizes + size_S, return_inverse=True)
        frequency_U, size_U = state_U // self._num_sizes, state_U % self._num_sizes
        state_UI = torch.cat(
            [self.frequency_FD[frequency_U], functional.one_hot(size_U, self._num_sizes).float()], dim=1
        )
        logit_U2: Tensor = self.output(torch.tanh(self.layer(state_UI)))
        out_of_reach_U2 = (size_U == largest)[:, None] & (torch.arange(2) == ENLARGE)
        log_U2 = logit_U2.masked_fill(out_of_reach_U2, -torch.inf).log_softmax(dim=1)
        return log_U2.index_select(0, place_S)
