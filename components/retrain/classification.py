"""Retraining of a classifier."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

import pyarrow as pa

from components.core import columns
from components.core.recipe import ClassificationTraining
from components.data.document import read_document, write_document
from components.data.parquet import write_table
from components.rec.classification import ClassificationLearner, build_classifier, build_loss
from components.rec.classifiers.base import ClassifierModel
from components.rec.classifiers.export import export
from components.rec.data import choose_device
from components.rec.fields import FieldData
from components.rec.learner import Learner
from components.rec.rows import RowModel
from components.rec.warm_start import of_classifiers, value_ids
from components.retrain.start import Ids
from components.retrain.trainee import Trainee

VOCABULARIES: Final = ("fields.parquet", "values.parquet", "edges.parquet")


@final
class ClassificationTrainee(Trainee):
    """Feature fields; what is served are their vocabularies, the rows of their values, and the network."""

    ids = Ids(of_dataset=value_ids, of_model=value_ids, differences=of_classifiers)

    def __init__(self, training: ClassificationTraining, inputs: Mapping[str, Path], seed: int) -> None:
        self._training, self._inputs, self._seed = training, inputs, seed
        self.data: FieldData = FieldData.load(inputs["dataset"], choose_device(training.device))
        if self.data.has_validation:
            self.data.require_validation()

    def build(self) -> ClassifierModel:
        return build_classifier(self._training, self.data, self._seed)

    def learner(self, model: RowModel) -> Learner:
        assert isinstance(model, ClassifierModel)
        loss = build_loss(self._training.loss, self.data, self._inputs["policy"], self._seed)
        return ClassificationLearner(self._training, self.data, model, loss, self._seed)

    def write(self, model: RowModel, output: Path) -> None:
        assert isinstance(model, ClassifierModel)
        for name in VOCABULARIES:
            shutil.copyfile(self._inputs["dataset"] / name, output / name)
        write_table(_embeddings(model), output / "value_embeddings.parquet")
        missing = read_document(self._inputs["dataset"] / "preparation.json")["missing"]
        write_document({"classes": list(self.data.classes), "missing": missing}, output / "classes.json")
        export(model, output / "network.onnx")

    def sizes(self) -> dict[str, Any]:
        layout = self.data.layout
        return {
            "num_fields": len(layout.fields),
            "num_values": layout.num_rows,
            "classes": list(self.data.classes),
        }


def _embeddings(model: ClassifierModel) -> pa.Table:
    """The table's rows in its order, with what they stand for."""
    names = [field.name for field in model.layout.fields for _ in range(field.size)]
    codes = [code for field in model.layout.fields for code in range(field.size)]
    table_RW = model.table.detach().cpu().contiguous().numpy()
    flat = pa.array(table_RW.reshape(-1))
    return pa.table(
        {
            columns.FIELD: pa.array(names, pa.string()),
            columns.CODE: pa.array(codes, pa.int32()),
            columns.EMBEDDING: pa.FixedSizeListArray.from_arrays(flat, table_RW.shape[1]),
        }
    )
