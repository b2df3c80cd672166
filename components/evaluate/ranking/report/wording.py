"""How a ranking's names are told."""

from typing import Final

from components.evaluate.report.wording import Trajectory, Wording
from components.metrics.ranking import METRICS

_NAMES: Final = {
    "recall": "Recall",
    "ndcg": "NDCG",
    "precision": "Precision",
    "hit_ratio": "Hit ratio",
    "coverage": "Coverage",
    "gini": "Gini",
    "popularity": "Popularity",
}


def metric_name(name: str) -> str:
    """As people write it: `ndcg@20` becomes NDCG@20."""
    metric, _, k = name.partition("@")
    return f"{_NAMES.get(metric, metric)}@{k}"


def metric_order(name: str) -> tuple[int, int]:
    """Metrics by K, then in their usual order."""
    metric, _, k = name.partition("@")
    return int(k), METRICS.index(metric)


WORDING: Final = Wording(
    metric_name=metric_name,
    metrics=r"\b[a-z_]+@\d+",
    trajectories={
        # AutoSample's Figure 4
        "alpha_": Trajectory(
            title="α of every sampler",
            note="A distribution in every epoch; the largest α wins.",
            limits=(0.0, 1.0),
        ),
        "probability_": Trajectory(
            title="Mean Gumbel-softmax probability",
            note="Averaged over the steps of the epoch.",
            limits=(0.0, 1.0),
        ),
        "loss_": Trajectory(title="Loss under every sampler", note="Harder negatives give a larger loss."),
    },
    drawn="In the search: under the sampler that was drawn.",
)
