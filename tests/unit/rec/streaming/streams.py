"""Small streams, small learners of every kind that follow them, and their artifacts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from components.core.checkpoint import Checkpoint
from components.core.recipe.stream import Embedding, StreamMlp, StreamTraining
from components.core.strategy import Strategy, registered
from components.data.document import write_document
from components.data.parquet import write_table
from components.rec.streaming.building import build_learner
from components.rec.streaming.export import embedding_tables, network_table
from components.rec.streaming.following import Followed, follow
from components.rec.streaming.learner import StreamLearner
from components.rec.streaming.model import SIDES, StreamBatch, StreamModel

KINDS: Final[dict[str, type[Strategy]]] = {
    strategy.model_fields["kind"].default: strategy for strategy in registered(Embedding)
}
BATCH_SIZE: Final = 20
# what makes any kind small and quick to learn
_SMALL: Final[dict[str, Any]] = {
    "size": 6,
    "sizes": (2, 3, 5),
    "history": 150,
    "num_losses": 3,
    "hidden": 8,
    "frequency_dim": 4,
    "num_frequencies": 20,
    "policy_learning_rate": 0.01,
    "weights_learning_rate": 0.01,
}


def small(kind: str, **changes: Any) -> Any:
    """How embeddings get their sizes, in small."""
    strategy = KINDS[kind]
    settings = {name: value for name, value in _SMALL.items() if name in strategy.model_fields}
    return strategy(**{**settings, **changes})


def training(kind: str = "fixed", **changes: Any) -> StreamTraining:
    """The training section of a small learner."""
    settings = {
        "model": StreamMlp(hidden=16, init_std=0.1),
        "embedding": small(kind),
        "learning_rate": 0.01,
        "batch_size": BATCH_SIZE,
    }
    return StreamTraining(**{**settings, **changes})


def learner_of(kind: str = "fixed", num_classes: int = 2, seed: int = 1) -> StreamLearner:
    """One that has seen nothing."""
    return build_learner(training(kind), num_classes, seed)


def by_appearance(values: Sequence[Any]) -> list[int]:
    """Numbers from 0 in the order in which values come."""
    place: dict[Any, int] = {}
    return [place.setdefault(value, len(place)) for value in values]


def stream(length: int, num_classes: int = 2, seed: int = 0) -> StreamBatch:
    """New users and items come all the time, some come often; labels follow from them."""
    generator = np.random.default_rng(seed)
    reach = np.arange(length) // 4 + 3
    user, item = ((generator.random(length) ** 2 * reach).astype(int) for _ in range(2))
    label = (user * 7 + item * 3) % num_classes
    ids = (torch.tensor(by_appearance(side.tolist())) for side in (user, item))
    return StreamBatch(*ids, torch.from_numpy(label))


def follow_in(place: Path, learner: StreamLearner, some: StreamBatch) -> Followed:
    """Follow a stream with checkpoints in a directory, again from there where there is one, and keep all that
    is predicted."""
    place.mkdir(exist_ok=True)
    checkpoint = Checkpoint(str(place / "artifact"), place, "key")
    return follow(learner, some, batch_size=BATCH_SIZE, checkpoint=checkpoint, name="test", tail=len(some))


def raw_ids(model: StreamModel) -> dict[Any, pa.Array]:
    """A raw id for each that a model knows: `u0`, `u1`, …, `i0`, …"""
    return {side: pa.array([f"{side[0]}{n}" for n in range(len(model.side(side)))]) for side in SIDES}


def write_served(model: StreamModel, place: Path, classes: Sequence[str]) -> dict[str, Path]:
    """What is served of a model, with ids as `raw_ids` has them; the files by their names."""
    tables = {f"{side}_embeddings": table for side, table in embedding_tables(model, raw_ids(model)).items()}
    tables["network"] = network_table(model)
    for name, table in tables.items():
        write_table(table, place / f"{name}.parquet")
    write_document({"classes": list(classes), "missing": [""]}, place / "classes.json")
    return {**{name: place / f"{name}.parquet" for name in tables}, "classes": place / "classes.json"}


def copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that nobody changes any more."""
    return {name: tensor.clone() for name, tensor in state.items()}


def differences(first: dict[str, Tensor], second: dict[str, Tensor]) -> list[str]:
    """Names of tensors that are not the same, bit for bit."""
    names = sorted(first.keys() | second.keys())
    return [n for n in names if n not in first or n not in second or not torch.equal(first[n], second[n])]


def write_dataset(
    place: Path,
    rows: Sequence[tuple[str, str, int, int]],
    num_test: int,
    classes: Sequence[str] = ("0", "1"),
    learned_until: int | None = None,
    thresholds: Sequence[float] | None = None,
) -> Path:
    """A prepared stream.

    Args:
        rows: user, item, label and time, in the order of time.
        learned_until: the champion's last timestamp.
    """
    place.mkdir(parents=True, exist_ok=True)
    users, items, labels, times = zip(*rows, strict=True)
    num_train = len(rows) - num_test
    codes = {}
    for side, raw in (("user", users), ("item", items)):
        codes[side] = by_appearance(raw)
        ids = list(dict.fromkeys(raw))
        counts = {
            name: pa.array([part.count(one) for one in ids], pa.int32())
            for name, part in (("num_interactions", raw), ("num_train", raw[:num_train]))
        }
        numbers = pa.array(range(len(ids)), pa.int32())
        write_table(pa.table({side: numbers, f"{side}_id": ids, **counts}), place / f"{side}s.parquet")
    table = pa.table(
        {
            "row": pa.array(range(len(rows)), pa.int64()),
            "label": pa.array(labels, pa.int32()),
            **{side: pa.array(numbers, pa.int32()) for side, numbers in codes.items()},
            "timestamp": pa.array(times, pa.int64()),
        }
    )
    write_table(table.slice(0, num_train), place / "train.parquet")
    write_table(table.slice(num_train), place / "test.parquet")
    parts = {"train": labels[:num_train], "test": labels[num_train:]}
    document = {
        "classes": list(classes),
        "thresholds": thresholds,
        "learned_until": learned_until,
        "missing": [""],
        "class_counts": {
            part: {name: some.count(place) for place, name in enumerate(classes)}
            for part, some in parts.items()
        },
        "last_timestamp": times[-1],
    }
    write_document(document, place / "preparation.json")
    return place
