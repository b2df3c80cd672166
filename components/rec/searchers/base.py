"""What a search is given and what it gives."""

from dataclasses import dataclass
from typing import Any, Protocol, final

from torch import Tensor

from components.core.checkpoint import Checkpoint
from components.core.policy import Policy
from components.core.recipe.training import Training
from components.rec.data import RankingData
from components.rec.loop import Fit


@final
@dataclass(frozen=True)
class SearchResult:
    """The policy, how it came about, and the weights W′ to start retraining from (None: none)."""

    policy: Policy
    trajectory: Fit
    weights: dict[str, Tensor] | None


class Search(Protocol):
    """Runs a whole search: one training run for AutoSample, several for a search in steps."""

    def __call__(
        self, config: Any, training: Training, data: RankingData, *, seed: int, checkpoint: Checkpoint
    ) -> SearchResult: ...
