"""What retraining asks of a task."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from components.rec.learner import Learner
from components.rec.loop import TrainingData
from components.rec.rows import RowModel
from components.retrain.start import Ids


class Trainee(ABC):
    """A model in the making: its data, and how it is built, trained and written down.

    Attributes:
        ids: where the raw ids of its rows stand.
    """

    data: TrainingData
    ids: Ids

    @abstractmethod
    def build(self) -> RowModel:
        """The model with random weights, the same each time."""

    @abstractmethod
    def learner(self, model: RowModel) -> Learner:
        """What trains it."""

    @abstractmethod
    def write(self, model: RowModel, output: Path) -> None:
        """What others need of the model besides its weights."""

    @abstractmethod
    def sizes(self) -> dict[str, Any]:
        """What the document of the training tells of the data."""
