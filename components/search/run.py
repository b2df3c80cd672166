"""The search stage: what fits this model on this data?"""

from collections.abc import Mapping
from pathlib import Path

from components.core.policy import CONTROLLER_FILE, TRAJECTORY_FILE, WEIGHTS_FILE
from components.core.recipe import (
    EpochTraining,
    SearchForClassifierParams,
    SearchForStreamParams,
    SearchParams,
)
from components.core.recipe.search import FromPolicy, NoSearch
from components.core.stage import Context
from components.data.parquet import write_table
from components.rec.allocator import keep_large_buffers
from components.rec.data import RankingData, choose_device
from components.rec.fields import FieldData
from components.rec.searchers.base import Search, SearchResult
from components.rec.threads import share_threads
from components.rec.weights import save_tensors
from components.search.stream import search_stream
from components.search.taking import take

AnyParams = SearchParams | SearchForClassifierParams | SearchForStreamParams


def run(
    params: AnyParams,
    inputs: Mapping[str, Path],
    output: Path,
    context: Context,
) -> Mapping[str, float]:
    """Search on train and valid; write the policy, its trajectory and the weights W′."""
    keep_large_buffers()
    share_threads()
    if isinstance(params.search, FromPolicy):
        return take(params.training, inputs, output)
    if isinstance(params, SearchForStreamParams) and not isinstance(params.search, NoSearch):
        return search_stream(params, inputs, output, context)
    data = None if isinstance(params.search, NoSearch) else _load(params, inputs["dataset"])
    search: Search = params.search.load()
    result = search(params.search, params.training, data, seed=params.seed, checkpoint=context.checkpoint)
    result.policy.write(output)
    write_table(result.trajectory.table(), output / TRAJECTORY_FILE)
    if result.weights is not None:
        save_tensors(result.weights, output / WEIGHTS_FILE)
    if result.controller is not None:
        save_tensors(result.controller, output / CONTROLLER_FILE)
    return {
        "epochs": result.policy.epochs,
        "best_epoch": result.policy.best_epoch,
        "training_seconds": result.trajectory.seconds,
        **_validated(params, result),
    }


def _validated(params: AnyParams, result: SearchResult) -> dict[str, float]:
    if result.weights is None or not isinstance(params.training, EpochTraining):
        return {}
    return {f"valid_{params.training.metric}": result.trajectory.best_value}


def _load(params: AnyParams, dataset: Path) -> RankingData | FieldData:
    device = choose_device(params.training.device)
    if isinstance(params, SearchParams):
        return RankingData.load(dataset, device, in_time=params.training.reads_histories)
    data = FieldData.load(dataset, device)
    data.require_validation()
    return data
