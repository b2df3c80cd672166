"""Following a stream through its tail: the model at its end, and what it said on the way."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from components.core import columns
from components.core.policy import WEIGHTS_FILE, Policy
from components.core.recipe import RetrainStreamParams
from components.core.stage import Context
from components.data.document import read_document, write_document
from components.data.embedding_sizes import EmbeddingSizes
from components.data.parquet import TableFile, write_table
from components.rec.streaming.beginning import (
    STATE_VERSION,
    Beginning,
    begin_with_champion,
    begin_with_policy,
    begin_with_search,
)
from components.rec.streaming.data import StreamData
from components.rec.streaming.export import NETWORK_FILE, embedding_tables, network_table
from components.rec.streaming.following import Followed, follow
from components.rec.streaming.learner import StreamLearner
from components.rec.streaming.model import SIDES, Side
from components.rec.weights import save_tensors


def follow_stream(
    params: RetrainStreamParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> dict[str, float]:
    """Follow the stream to its end: from where the search is; else the whole of it, from the champion on
    where there is one. Write the state, what is served, the course, and what was said of each
    interaction of the tail before it was learned from."""
    policy = Policy.read(inputs["policy"])
    training = policy.apply(params.training)
    beginning, parts = _beginning(params, policy, inputs)
    stream = StreamData.load(inputs["dataset"], parts, beginning.ids)
    learner = beginning.learner(training, stream, params.seed)
    checkpoint = beginning.checkpoint(context.checkpoint)
    num_tail = TableFile(inputs["dataset"] / "test.parquet").num_rows
    found = follow(
        learner,
        stream.batch,
        batch_size=training.batch_size,
        checkpoint=checkpoint,
        name="retrain",
        tail=num_tail,
    )
    write_table(_predictions(stream, found), output / "predictions.parquet")
    write_table(found.table(), output / "history.parquet")
    _write_model(learner, stream, output, inputs["dataset"])
    document = {
        "training": training.model_dump(mode="json"),
        "began": beginning.document(),
        "classes": list(stream.classes),
        "thresholds": read_document(inputs["dataset"] / "preparation.json")["thresholds"],
        "state_version": STATE_VERSION,
        "interactions": len(stream),
        "last_timestamp": stream.last,
        "sides": {side: _sizes(learner, side) for side in SIDES},
    }
    write_document(document, output / "training.json")
    last = found.course[-1]
    return {
        "interactions": float(len(stream)),
        "training_seconds": found.seconds,
        "interactions_per_second": len(stream) / max(found.seconds, 1e-9),
        **{
            f"{what}{side}": last[what + side]
            for what in (columns.MEAN_SIZE, columns.BYTES)
            for side in SIDES
        },
    }


def _beginning(
    params: RetrainStreamParams, policy: Policy, inputs: Mapping[str, Path]
) -> tuple[Beginning, list[str]]:
    """Where it begins, and what of the dataset is still to come."""
    if (inputs["policy"] / WEIGHTS_FILE).exists():
        return begin_with_search(inputs["policy"], policy.decision["began"]), ["test"]
    dataset, training = inputs["dataset"], policy.apply(params.training)
    beginning = begin_with_champion(training, inputs.get("champion"), dataset)
    if beginning.source == "none":  # a stream that goes on has networks and sizes of its own
        beginning = begin_with_policy(training, inputs["policy"], dataset)
    return beginning, ["train", "test"]


def _predictions(stream: StreamData, found: Followed) -> pa.Table:
    """What was said of the tail, in the order of the interactions' places in the delivery."""
    row_N = torch.from_numpy(stream.row_N[-len(found.said["loss"]) :])
    order_N = torch.argsort(row_N)
    said = {name: column[order_N] for name, column in found.said.items()}
    probability_NC = said["probability"].double()
    probability_NC /= probability_NC.sum(dim=1, keepdim=True)  # float32 adds up to 1 but for its last digit
    flat = pa.array(probability_NC.contiguous().reshape(-1).numpy())
    return pa.table(
        {
            columns.ROW: row_N[order_N].numpy(),
            columns.PROBABILITIES: pa.FixedSizeListArray.from_arrays(flat, probability_NC.shape[1]),
            **{
                f"{side}_{what}": said[f"{what}_{side}"].numpy()
                for side in SIDES
                for what in (columns.SEEN, columns.EMBEDDING_SIZE)
            },
        }
    )


def _write_model(learner: StreamLearner, stream: StreamData, output: Path, dataset: Path) -> None:
    save_tensors(learner.state(), output / WEIGHTS_FILE)
    for side, table in embedding_tables(learner.model, stream.ids).items():
        write_table(table, output / f"{side}_embeddings.parquet")
    write_table(network_table(learner.model), output / NETWORK_FILE)
    missing = read_document(dataset / "preparation.json")["missing"]
    write_document({"classes": list(stream.classes), "missing": missing}, output / "classes.json")


def _sizes(learner: StreamLearner, side: Side) -> dict[str, Any]:
    """How many embeddings there are of each size, and what they take."""
    embeddings = learner.model.side(side)
    return EmbeddingSizes(
        ids=len(embeddings), counts=embeddings.counts(), bytes=embeddings.bytes()
    ).document()
