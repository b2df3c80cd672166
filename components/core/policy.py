"""A policy: what a search decided, as data. Retraining applies it without knowing who searched."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import ValidationError

from components.core.errors import IntegrityError, InvalidInputError
from components.core.recipe.training import Training
from components.core.strategy import Config

AnyTraining = TypeVar("AnyTraining", bound=Training)
POLICY_FILE = "policy.json"
TRAJECTORY_FILE = "trajectory.parquet"
WEIGHTS_FILE = "weights.safetensors"
CONTROLLER_FILE = "controller.safetensors"
SIZE_FILES = ("users.parquet", "items.parquet")  # of a search for the sizes of embeddings


class Policy(Config):
    """A patch to the recipe's training section, and what it rests on.

    Attributes:
        kind: the search's kind.
        patch: dotted key in the training section → its whole new value.
        decision: the search's findings in its own words, such as α*.
        best_epoch, epochs: where the search's weights come from, and how long it ran.
    """

    kind: str
    patch: dict[str, Any]
    decision: dict[str, Any]
    best_epoch: int
    epochs: int

    def apply(self, training: AnyTraining) -> AnyTraining:
        """The training section, of any task, as the search wants it.

        Raises:
            InvalidInputError: the patch does not fit the section.
        """
        document = training.model_dump(mode="json")
        for key, value in self.patch.items():
            *path, last = key.split(".")
            section: Any = document
            for part in path:
                section = section.get(part) if isinstance(section, Mapping) else None
            if not isinstance(section, dict) or last not in section:
                raise InvalidInputError(
                    f"policy.patch: got {key!r}, which the training section does not have"
                )
            section[last] = value
        try:
            return type(training).model_validate(document)
        except ValidationError as error:
            raise InvalidInputError(f"policy.patch: does not fit the training section: {error}") from error

    def write(self, directory: Path) -> None:
        """Store it in a policy artifact."""
        text = json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True)
        (directory / POLICY_FILE).write_text(text + "\n")

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read it from a policy artifact.

        Raises:
            IntegrityError: it is none.
        """
        try:
            return cls.model_validate_json((directory / POLICY_FILE).read_bytes())
        except ValidationError as error:
            raise IntegrityError(f"{directory / POLICY_FILE}: not a policy: {error}") from error
