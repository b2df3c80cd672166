"""The retrain stage: the searched training section, from the search's weights (Algorithm 2)."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import torch
from torch import Tensor

from components.core import columns
from components.core.errors import InvalidInputError
from components.core.policy import WEIGHTS_FILE, Policy
from components.core.recipe import RetrainParams
from components.core.stage import Context
from components.data.parquet import read_table, write_table
from components.rec.allocator import keep_large_buffers
from components.rec.data import RankingData, choose_device
from components.rec.learner import RankingLearner
from components.rec.loop import Schedule, fit
from components.rec.models.base import RankingModel
from components.rec.objective import build_model
from components.rec.weights import load_tensors, save_tensors

logger = logging.getLogger(__name__)


def run(
    params: RetrainParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> Mapping[str, float]:
    """Train to convergence and write the weights, the embeddings, the history and what was trained."""
    keep_large_buffers()
    policy = Policy.read(inputs["policy"])
    training = policy.apply(params.training)
    data = RankingData.load(inputs["dataset"], choose_device(training.device))
    model = build_model(training, data, params.seed)
    warm = training.warm_start == "search" and _load_weights(model, inputs["policy"] / WEIGHTS_FILE)
    schedule = Schedule(
        epochs=training.epochs,
        patience=training.patience,
        validate_every=training.validate_every,
        batch_size=training.batch_size,
        metric=training.metric,
        from_start=warm,
    )
    learner = RankingLearner(training, data, model, params.seed)
    result = fit(learner, data, schedule, seed=params.seed, checkpoint=context.checkpoint, name="retrain")

    model.load_state_dict(result.weights)
    save_tensors(result.weights, output / "weights.safetensors")
    with torch.no_grad():
        encoded = model.encode()
    for name, dense, table in (("user", columns.USER, encoded.users), ("item", columns.ITEM, encoded.items)):
        vocabulary = read_table(inputs["dataset"] / f"{name}s.parquet")
        write_table(
            _embeddings(vocabulary, dense, f"{name}_id", table), output / f"{name}_embeddings.parquet"
        )
    write_table(result.table(), output / "history.parquet")
    document = {
        "training": training.model_dump(mode="json"),
        "warm_start": "search" if warm else "none",
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        "num_users": data.num_users,
        "num_items": data.num_items,
    }
    (output / "training.json").write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    has_validation = data.valid.values.numel() > 0
    return {
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "training_seconds": result.seconds,
        **({f"valid_{training.metric}": result.best_value} if has_validation else {}),
    }


def _load_weights(model: RankingModel, path: Path) -> bool:
    """Start from a search's weights; False where it left none."""
    if not path.exists():
        logger.info("the search left no weights: training starts from random ones")
        return False
    weights = load_tensors(path, next(model.parameters()).device)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if expected != found:
        raise InvalidInputError(f"policy weights: got {found}, the model needs {expected}")
    model.load_state_dict(weights)
    return True


def _embeddings(vocabulary: pa.Table, dense: str, raw: str, table_RD: Tensor) -> pa.Table:
    flat = pa.array(table_RD.detach().cpu().contiguous().numpy().reshape(-1))
    return pa.table(
        {
            dense: vocabulary[dense],
            raw: vocabulary[raw],
            columns.EMBEDDING: pa.FixedSizeListArray.from_arrays(flat, table_RD.shape[1]),
        }
    )
