"""How a classification's names are told."""

from typing import Final

from components.core.columns import ALPHA, LOSS, PROBABILITY, WEIGHT
from components.core.verdict import ExampleOther
from components.evaluate.report.wording import Trajectory, Wording

OTHERS: Final[dict[ExampleOther, str]] = {"champion": "the champion", "prior": "the class shares"}
_NAMES: Final = {"auc": "AUC", "logloss": "log loss", "mse": "MSE", "ece": "ECE"}


def metric_name(name: str) -> str:
    """As people write it: `auc` becomes AUC."""
    return _NAMES.get(name, name)


WORDING: Final = Wording(
    metric_name=metric_name,
    metrics=r"\b(auc|logloss|mse|ece)\b",
    trajectories={
        ALPHA: Trajectory(
            title="α of every loss",
            note="What the controller says, averaged over the examples of the epoch.",
            limits=(0.0, 1.0),
        ),
        PROBABILITY: Trajectory(
            title="Weight of every loss",
            note="As it was drawn from α, averaged over the examples of the epoch.",
            limits=(0.0, 1.0),
        ),
        WEIGHT: Trajectory(
            title="Weights that were tried",
            note="One trial after another; the same weights for all examples.",
            limits=(0.0, 1.0),
        ),
        LOSS: Trajectory(title="Every loss by itself", note="Averaged over the examples of the epoch."),
    },
    drawn="Losses of different kinds or weights cannot be compared.",
)
