"""Which weights training starts from: the champion's, the search's, or random ones."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, final

from components.core.errors import InvalidInputError
from components.core.manifest import read_manifest
from components.core.policy import WEIGHTS_FILE
from components.core.recipe import EpochTraining
from components.rec.rows import RowModel
from components.rec.warm_start import Carried, Differences, OldModel, RawIds, carry_over
from components.rec.weights import load_tensors

logger = logging.getLogger(__name__)


@final
@dataclass(frozen=True, kw_only=True)
class Ids:
    """Where the raw ids of a model's rows stand: in a dataset artifact, and in that of an older model.

    Attributes:
        differences: what of an older model means something else for a dataset; see `OldModel`.
    """

    of_dataset: Callable[[Path], RawIds]
    of_model: Callable[[Path], RawIds]
    differences: Callable[[Path, Path], Differences]


@final
@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a model's first weights came from.

    Attributes:
        source: what was taken; `none` are the model's own random weights.
        champion_sha256: content hash of the champion's model artifact, where there was one to start from.
        tensors: what became of each tensor, of the new model and of the champion's.
    """

    source: Literal["champion", "search", "none"]
    champion_sha256: str | None = None
    tensors: Mapping[str, Carried] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "from": self.source,
            "champion_sha256": self.champion_sha256,
            "tensors": {name: asdict(carried) for name, carried in self.tensors.items()},
        }


def start(model: RowModel, training: EpochTraining, inputs: Mapping[str, Path], ids: Ids) -> Start:
    """Give `model` its first weights, as `training.warm_start` has it.

    The champion's weights come before the search's: `champion` takes those of the search only where there
    is no champion, or nothing of it fits, and random ones where the search left none.

    Args:
        ids: how the raw ids of rows are read.

    Raises:
        InvalidInputError: the search's weights are those of another model.
    """
    sha256: str | None = None
    tensors: Mapping[str, Carried] = {}
    if training.warm_start == "champion" and "champion" in inputs:
        sha256, tensors = _from_champion(model, training, inputs, ids)
        if any(became.carried for became in tensors.values()):
            return Start(source="champion", champion_sha256=sha256, tensors=tensors)
        logger.warning("nothing of the champion's weights fits: training does not start from them")
    elif training.warm_start == "champion":
        logger.info("there is no champion to start from")
    searched = training.warm_start != "none" and _from_search(model, inputs["policy"] / WEIGHTS_FILE)
    logger.info("training starts from %s weights", "the search's" if searched else "random")
    return Start(source="search" if searched else "none", champion_sha256=sha256, tensors=tensors)


def _from_champion(
    model: RowModel, training: EpochTraining, inputs: Mapping[str, Path], ids: Ids
) -> tuple[str, dict[str, Carried]]:
    champion = inputs["champion"]
    sha256 = read_manifest(str(champion)).sha256
    differences = ids.differences(champion, inputs["dataset"])
    device = next(model.parameters()).device
    old = OldModel.read(champion, ids.of_model(champion), device, differences)
    new = ids.of_dataset(inputs["dataset"])
    tensors = carry_over(model, new, old, training.new_rows, training.warm_scale)
    logger.info(
        "weights of the champion %s × %g, new rows %s:", sha256[:12], training.warm_scale, training.new_rows
    )
    for name, became in tensors.items():
        logger.info("  %s: %s", name, _told(became))
    return sha256, tensors


def _from_search(model: RowModel, path: Path) -> bool:
    """Start from a search's weights; False where it left none."""
    if not path.exists():
        return False
    weights = load_tensors(path, next(model.parameters()).device)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if expected != found:
        raise InvalidInputError(f"policy weights: got {found}, the model needs {expected}")
    model.load_state_dict(weights)
    return True


def _told(became: Carried) -> str:
    rows = "as a whole" if became.rows is None else f"rows of {became.rows}s"
    counts = f"{became.carried:,} carried, {became.fresh:,} fresh, {became.lost:,} lost"
    return f"{counts}, {rows}{f' ({became.reason})' if became.reason else ''}"
