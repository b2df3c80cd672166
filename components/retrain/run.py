"""The retrain stage: the searched training section, from the weights it is to start from (Algorithm 2)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from components.compiled import use_threads
from components.core import columns
from components.core.checkpoint import Checkpoint
from components.core.errors import InvalidInputError
from components.core.policy import Policy
from components.core.recipe import RetrainParams, Training
from components.core.stage import Context
from components.data.document import write_document
from components.data.parquet import read_table, write_table
from components.rec.allocator import keep_large_buffers
from components.rec.data import RankingData, choose_device
from components.rec.learner import RankingLearner
from components.rec.loop import Fit, Schedule, fit
from components.rec.models.base import RankingModel
from components.rec.objective import build_model
from components.rec.weights import save_tensors
from components.retrain.start import start


def run(
    params: RetrainParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> Mapping[str, float]:
    """Train to convergence and write the weights, the embeddings, the history and what was trained."""
    keep_large_buffers()
    use_threads(torch.get_num_threads())
    policy = Policy.read(inputs["policy"])
    training = policy.apply(params.training)
    data = RankingData.load(inputs["dataset"], choose_device(training.device))
    has_validation = data.valid.values.numel() > 0
    if training.warm_check is not None and not has_validation:
        raise InvalidInputError("training.warm_check: compares on validation data, of which there is none")

    model = build_model(training, data, params.seed)
    begun = start(model, training, inputs)
    cold = None
    if training.warm_check is not None and begun.source != "none":
        cold_model = build_model(training, data, params.seed)
        cold = _train(cold_model, training, data, params.seed, context.checkpoint.part("cold"), warm=False)
    checkpoint = context.checkpoint
    if begun.champion_sha256 is not None:  # not part of the cache key: the champion may have changed
        checkpoint = checkpoint.part("warm", begun.champion_sha256)
    result = _train(model, training, data, params.seed, checkpoint, warm=begun.source != "none")

    model.load_state_dict(result.weights)
    save_tensors(result.weights, output / "weights.safetensors")
    tables = model.tables()
    for name, dense, table in (("user", columns.USER, tables.users), ("item", columns.ITEM, tables.items)):
        vocabulary = read_table(inputs["dataset"] / f"{name}s.parquet")
        write_table(
            _embeddings(vocabulary, dense, f"{name}_id", table), output / f"{name}_embeddings.parquet"
        )
    write_table(result.table(), output / "history.parquet")
    document = {
        "training": training.model_dump(mode="json"),
        "warm_start": begun.document(),
        "warm_check": _compared(result, cold),
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        "num_users": data.num_users,
        "num_items": data.num_items,
    }
    write_document(document, output / "training.json")
    return {
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "training_seconds": result.seconds,
        **({"cold_training_seconds": cold.seconds} if cold else {}),
        **({f"valid_{training.metric}": result.best_value} if has_validation else {}),
    }


def _train(
    model: RankingModel,
    training: Training,
    data: RankingData,
    seed: int,
    checkpoint: Checkpoint,
    *,
    warm: bool,
) -> Fit:
    schedule = Schedule.of(training, from_start=warm)
    learner = RankingLearner(training, data, model, seed)
    name = "retrain" if warm else "retrain from random weights"
    return fit(learner, data, schedule, seed=seed, checkpoint=checkpoint, name=name)


def _compared(warm: Fit, cold: Fit | None) -> dict[str, Any] | None:
    """The best validation of both, for the gate; None where nothing was compared."""
    if cold is None:
        return None
    runs = {"warm": warm, "cold": cold}
    return {
        name: {"value": run.best_value, "best_epoch": run.best_epoch, "epochs": run.epochs}
        for name, run in runs.items()
    }


def _embeddings(vocabulary: pa.Table, dense: str, raw: str, table_RD: Tensor) -> pa.Table:
    flat = pa.array(table_RD.detach().cpu().contiguous().numpy().reshape(-1))
    return pa.table(
        {
            dense: vocabulary[dense],
            raw: vocabulary[raw],
            columns.EMBEDDING: pa.FixedSizeListArray.from_arrays(flat, table_RD.shape[1]),
        }
    )
