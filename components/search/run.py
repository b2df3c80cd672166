"""The search stage: what fits this model on this data?"""

from collections.abc import Mapping
from pathlib import Path

import torch

from components.compiled import use_threads
from components.core.policy import TRAJECTORY_FILE, WEIGHTS_FILE
from components.core.recipe import SearchParams
from components.core.stage import Context
from components.data.parquet import write_table
from components.rec.allocator import keep_large_buffers
from components.rec.data import RankingData, choose_device
from components.rec.searchers.base import Search
from components.rec.weights import save_tensors


def run(
    params: SearchParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> Mapping[str, float]:
    """Search on train and valid; write the policy, its trajectory and the weights W′."""
    keep_large_buffers()
    use_threads(torch.get_num_threads())
    data = RankingData.load(inputs["dataset"], choose_device(params.training.device))
    search: Search = params.search.load()
    result = search(params.search, params.training, data, seed=params.seed, checkpoint=context.checkpoint)
    result.policy.write(output)
    write_table(result.trajectory.table(), output / TRAJECTORY_FILE)
    if result.weights is not None:
        save_tensors(result.weights, output / WEIGHTS_FILE)
    best = result.trajectory.best_value
    return {
        "epochs": result.policy.epochs,
        "best_epoch": result.policy.best_epoch,
        "training_seconds": result.trajectory.seconds,
        **({f"valid_{params.training.metric}": best} if result.weights is not None else {}),
    }
