"""What a search is given and what it gives."""

from dataclasses import dataclass
from typing import Any, Protocol, final

from torch import Tensor

from components.core.checkpoint import Checkpoint
from components.core.policy import Policy
from components.rec.loop import Fit


@final
@dataclass(frozen=True)
class SearchResult:
    """The policy, how it came about, and the weights W′ to start retraining from (None: none).

    Attributes:
        controller: the weights of the network that weighs losses, where the policy has one.
    """

    policy: Policy
    trajectory: Fit
    weights: dict[str, Tensor] | None
    controller: dict[str, Tensor] | None = None


class Search(Protocol):
    """Runs a whole search: one training run for AutoSample, several for a search in steps."""

    def __call__(
        self, config: Any, training: Any, data: Any, *, seed: int, checkpoint: Checkpoint
    ) -> SearchResult: ...
