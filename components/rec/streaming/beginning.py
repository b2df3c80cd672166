"""Where following a stream begins: with a state that someone left, or with nothing."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, final

import pyarrow as pa
import torch
from torch import Tensor

from components.core.checkpoint import Checkpoint
from components.core.columns import EMBEDDING_SIZE
from components.core.errors import InvalidInputError
from components.core.manifest import read_manifest
from components.core.policy import CONTROLLER_FILE, WEIGHTS_FILE
from components.core.recipe import StreamTraining
from components.core.recipe.stream import Esapn
from components.data.document import read_document
from components.data.matching import positions
from components.data.parquet import read_table
from components.rec.streaming.building import build_learner
from components.rec.streaming.data import NO_IDS, RAW, RawIds, StreamData, read_ids
from components.rec.streaming.learner import StreamLearner
from components.rec.streaming.model import SIDES, Side
from components.rec.weights import load_tensors

logger = logging.getLogger(__name__)
SIZES: Final = "{side}s.parquet"  # of a policy
EMBEDDINGS: Final = "{side}_embeddings.parquet"  # of a model
STATE_VERSION: Final = 2  # of what learners save; another one cannot be read
_FREE: Final = {"policy_learning_rate", "weights_learning_rate"}  # may change while a stream goes on


@final
@dataclass(frozen=True, kw_only=True)
class Beginning:
    """A state, and where it came from.

    Attributes:
        source: whose it is. `policy` is a learner that has seen nothing, and knows what another search found
            out about sizes; `none` one that does not.
        place: the artifact that holds it.
        ids: the raw ids that it knows.
        sizes: of their embeddings, where these are all that is known of them.
        champion_sha256: content hash of the champion's model artifact, where it began with that, at first or
            later.
    """

    source: Literal["champion", "search", "policy", "none"]
    place: Path | None = None
    ids: RawIds = field(default_factory=lambda: NO_IDS)
    sizes: Mapping[Side, Tensor] = field(default_factory=dict)
    champion_sha256: str | None = None

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"from": self.source, "champion_sha256": self.champion_sha256}

    def checkpoint(self, checkpoint: Checkpoint) -> Checkpoint:
        """Where following the stream from here saves itself. The champion is not part of the cache key: what
        was saved on the way from another one is not gone on from."""
        return checkpoint.part("stream", self.champion_sha256 or "")

    def learner(self, training: StreamTraining, stream: StreamData, seed: int) -> StreamLearner:
        """The learner in that state."""
        learner = build_learner(training, len(stream.classes), seed)
        if self.source == "policy":
            assert self.place is not None
            learner.adopt(_read(self.place / CONTROLLER_FILE), self.sizes)
        elif self.place is not None:
            learner.load_state(_read(self.place / WEIGHTS_FILE))
        logger.info("the stream begins with %s state", _TOLD[self.source])
        return learner


_TOLD: Final = {
    "champion": "the champion's",
    "search": "the search's",
    "policy": "an empty state and the sizes of another search as its",
    "none": "an empty",
}


def begin_with_champion(training: StreamTraining, champion: Path | None, dataset: Path) -> Beginning:
    """The champion's state, or none where there is no champion.

    Raises:
        InvalidInputError: the champion's state does not fit the training section or the dataset; or the
            dataset was prepared to go on from another champion, or from none.
    """
    if champion is None:
        return Beginning(source="none")
    document, sha256 = read_document(champion / "training.json"), read_manifest(str(champion)).sha256
    preparation = read_document(dataset / "preparation.json")
    if reason := _difference(document, training, preparation):
        raise InvalidInputError(
            f"champion: its state cannot be gone on from: {reason}. Begin anew, with everything that is "
            "delivered, by `training.warm_start: none`, or keep the recipe as it was"
        )
    _require_next(preparation["learned_until"], document["last_timestamp"])
    return Beginning(
        source="champion", place=champion, ids=read_ids(champion, EMBEDDINGS), champion_sha256=sha256
    )


def _require_next(prepared: int | None, learned: int) -> None:
    """The dataset begins where the champion has ended."""
    if prepared == learned:
        return
    told = (
        "holds everything that was delivered"
        if prepared is None
        else f"begins after what another champion had learned, up to {prepared} (seconds since 1970)"
    )
    raise InvalidInputError(
        f"dataset: {told}, but the champion has learned from everything up to {learned}: prepare it again "
        "for this one, with `--set prepare.attempt=2` (or the next number that was not used yet), or begin "
        "anew with `training.warm_start: none`"
    )


def begin_with_search(policy: Path, began: dict[str, Any]) -> Beginning:
    """The state that a search left.

    Args:
        began: the document of where the search itself began.
    """
    return Beginning(
        source="search",
        place=policy,
        ids=read_ids(policy, SIZES),
        champion_sha256=began["champion_sha256"],
    )


def begin_with_policy(training: StreamTraining, policy: Path, dataset: Path) -> Beginning:
    """What another search found out about sizes, where it left that: its networks, and, of ESAPN, the sizes
    of those users and items that the dataset has, too; else nothing."""
    if not (policy / CONTROLLER_FILE).exists():
        return Beginning(source="none")
    if not isinstance(training.embedding, Esapn):
        return Beginning(source="policy", place=policy)
    ids: dict[Side, pa.Array] = {}
    sizes: dict[Side, Tensor] = {}
    for side in SIDES:
        table = read_table(policy / SIZES.replace("{side}", side))
        among = read_table(dataset / f"{side}s.parquet")[RAW[side]].combine_chunks()
        table = table.filter(pa.array(positions(table[RAW[side]].combine_chunks(), among) >= 0))
        ids[side] = table[RAW[side]].combine_chunks()
        sizes[side] = torch.from_numpy(table[EMBEDDING_SIZE].to_numpy().astype("int64"))
    return Beginning(source="policy", place=policy, ids=ids, sizes=sizes)


def _read(place: Path) -> dict[str, Tensor]:
    return load_tensors(place, torch.device("cpu"))


def _difference(document: dict[str, Any], training: StreamTraining, preparation: dict[str, Any]) -> str:
    """Why a state does not fit a training section and a dataset; empty where it does."""
    if document.get("state_version") != STATE_VERSION:
        return f"its state is of version {document.get('state_version')}, not {STATE_VERSION}"
    theirs = document["training"]
    for name in ("model", "embedding"):
        ours = getattr(training, name).model_dump(mode="json")
        keys = (ours.keys() | theirs[name].keys()) - _FREE
        for key in sorted(keys, key=lambda key: (key != "kind", key)):  # of another kind all else is another
            if ours.get(key) != theirs[name].get(key):
                return f"its {name}.{key} is {theirs[name].get(key)!r}, the recipe's {ours.get(key)!r}"
    for name in ("classes", "thresholds"):
        if document[name] != preparation[name]:
            return f"its {name} are {document[name]}, the recipe's {preparation[name]}"
    return ""
