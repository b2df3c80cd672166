"""What a stage's container is made from and gets, in every engine and cluster."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from components.core.recipe import Recipe
from components.core.recipe.containers import Resources
from components.core.runs import slug
from components.core.stage import StageSpec

USER = 10001  # of the images, and group
STOP_GRACE_S = 30  # for a checkpoint, between asking a stage to end and ending it
OVERTIME_S = 300  # an orchestrator's own timeout comes first; this ends the stage when that one died
_SHM_GIB = 1.0  # of the training image: torch's workers pass tensors there
_LABEL_LENGTH = 63


@dataclass(frozen=True, kw_only=True)
class Container:
    """One stage's.

    Attributes:
        shm_gib: GiB of /dev/shm; None for the engine's own.
    """

    image: str
    cpu: float
    memory_gib: float
    gpus: int
    shm_gib: float | None

    @property
    def threads(self) -> int:
        """What the numeric libraries may start: they count the machine's cores, not the container's."""
        return max(1, math.ceil(self.cpu))

    @property
    def digest(self) -> str | None:
        """The image's, where the recipe pins it."""
        return self.image.partition("@")[2] or None


def container_of(recipe: Recipe, spec: StageSpec) -> Container:
    """The recipe's word, else the catalogue's."""
    asked = recipe.orchestration.resources.get(spec.name, Resources())  # type: ignore[call-overload]
    usual = spec.resources
    gpus = int(usual.gpu and recipe.training.device == "cuda") if asked.gpus is None else asked.gpus
    return Container(
        image=getattr(recipe.orchestration.images, spec.image),
        cpu=asked.cpu or usual.cpu,
        memory_gib=asked.memory_gib or usual.memory_gib,
        gpus=gpus,
        shm_gib=asked.shm_gib or (_SHM_GIB if spec.image == "training" else None),
    )


def labels_of(recipe: Recipe, spec: StageSpec, run_id: str) -> dict[str, str]:
    """What finds the container of a run's stage; valid for Docker and for Kubernetes."""
    values = {"recipe": recipe.name, "run": slug(run_id), "stage": spec.name}
    return {f"recloop.{key}": _label(value) for key, value in values.items()}


def _label(value: str) -> str:
    return re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9]+$", "", value[:_LABEL_LENGTH])


def bounded(command: Sequence[str], seconds: int) -> list[str]:
    """A command that ends by itself, and hears every signal: as a container's first process Python would
    ignore one that comes before its handler."""
    # foreground: else a signal reaches the command twice, and the second one does not wait for a checkpoint
    return ["timeout", "--foreground", f"--kill-after={STOP_GRACE_S}", str(seconds), *command]


def mebibytes(gib: float) -> str:
    """A size in Kubernetes' words."""
    return f"{round(gib * 1024)}Mi"
