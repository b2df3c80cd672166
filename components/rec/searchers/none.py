"""No search: the training section stands as it is."""

from components.core.checkpoint import Checkpoint
from components.core.policy import Policy
from components.core.recipe.ranking import RankingTraining
from components.core.recipe.search import NoSearch
from components.rec.data import RankingData
from components.rec.loop import Fit
from components.rec.searchers.base import SearchResult


def search(
    config: NoSearch, training: RankingTraining, data: RankingData, *, seed: int, checkpoint: Checkpoint
) -> SearchResult:
    """An empty patch and no weights."""
    policy = Policy(kind=config.kind, patch={}, decision={}, best_epoch=0, epochs=0)
    return SearchResult(policy, Fit(), weights=None)
