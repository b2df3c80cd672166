"""Retraining of a model that ranks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import pyarrow as pa
from torch import Tensor

from components.core import columns
from components.core.recipe import RankingTraining
from components.data.parquet import read_table, write_table
from components.rec.data import RankingData, choose_device
from components.rec.learner import Learner
from components.rec.loop import TrainingData
from components.rec.models.base import RankingModel
from components.rec.objective import build_model, passes_of
from components.rec.ranking_learner import RankingLearner
from components.rec.rows import RowModel
from components.rec.warm_start import dataset_ids, embedded_ids, no_differences
from components.retrain.start import Ids
from components.retrain.trainee import Trainee


@final
class RankingTrainee(Trainee):
    """Users and items; their embeddings are what is served."""

    ids = Ids(of_dataset=dataset_ids, of_model=embedded_ids, differences=no_differences)

    def __init__(self, training: RankingTraining, inputs: Mapping[str, Path], seed: int) -> None:
        self._training, self._dataset, self._seed = training, inputs["dataset"], seed
        device = choose_device(training.device)
        self._ranking = RankingData.load(inputs["dataset"], device, in_time=training.reads_histories)
        self.data: TrainingData = passes_of(training, self._ranking)

    def build(self) -> RankingModel:
        return build_model(self._training, self._ranking, self._seed)

    def learner(self, model: RowModel) -> Learner:
        assert isinstance(model, RankingModel)
        return RankingLearner(self._training, self._ranking, model, self._seed)

    def write(self, model: RowModel, output: Path) -> None:
        assert isinstance(model, RankingModel)
        tables = model.published()
        sides = (("user", columns.USER, tables.users), ("item", columns.ITEM, tables.items))
        for name, dense, table in sides:
            vocabulary = read_table(self._dataset / f"{name}s.parquet")
            embeddings = _embeddings(vocabulary, dense, f"{name}_id", table)
            write_table(embeddings, output / f"{name}_embeddings.parquet")

    def sizes(self) -> dict[str, Any]:
        return {"num_users": self._ranking.num_users, "num_items": self._ranking.num_items}


def _embeddings(vocabulary: pa.Table, dense: str, raw: str, table_RD: Tensor) -> pa.Table:
    flat = pa.array(table_RD.detach().cpu().contiguous().numpy().reshape(-1))
    return pa.table(
        {
            dense: vocabulary[dense],
            raw: vocabulary[raw],
            columns.EMBEDDING: pa.FixedSizeListArray.from_arrays(flat, table_RD.shape[1]),
        }
    )
