"""The registered model: raw ids of users and items in, probabilities of classes out.

MLflow stores this file beside the tables and runs it where the model is loaded ("models from code"). So it
imports nothing of this package. `Scorer` needs no MLflow: the evaluation asks it, so that what is judged is
what is served.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from mlflow.pyfunc import PythonModel, PythonModelContext
from numpy.typing import NDArray

BLOCK = 8192  # interactions scored at a time
SIDES = ("user", "item")

Floats = NDArray[np.float32]


class Field(NamedTuple):
    """A column that is asked for."""

    name: str
    kind: str = "categorical"


class Scorer:
    """A stream's model without torch: embeddings of many sizes, and two layers above them.

    Args:
        files: where `user_embeddings`, `item_embeddings`, `network` (Parquet) and `classes` (JSON) lie.

    Attributes:
        classes: in the order of the probabilities.
        missing: texts that stand for no value, as in the source that the model learned from.
        fields: user and item.
    """

    fields = tuple(map(Field, SIDES))

    def __init__(self, files: Mapping[str, str | Path]) -> None:
        document = json.loads(Path(files["classes"]).read_text(encoding="utf-8"))
        self.classes: list[str] = document["classes"]
        self.missing = frozenset(document["missing"])
        self._network = _tensors(Path(files["network"]))
        self._sides = {side: Side(side, Path(files[f"{side}_embeddings"]), self._network) for side in SIDES}

    def score(self, columns: Mapping[str, Sequence[Any]]) -> NDArray[np.float64]:
        """Probabilities (N, C) of N interactions.

        Args:
            columns: `user` and `item`, each N raw ids as text. None, and what the source has for missing
                values, is like an id that nobody has seen.

        Raises:
            ValueError: a column is missing.
        """
        missing = [name for name in SIDES if name not in columns]
        if missing:
            raise ValueError(f"missing columns {missing}: need {list(SIDES)}")
        blocks = [
            self._score({name: columns[name][start : start + BLOCK] for name in SIDES})
            for start in range(0, len(columns["user"]), BLOCK)
        ]
        return np.concatenate([np.empty((0, len(self.classes))), *blocks])

    def _score(self, columns: Mapping[str, Sequence[Any]]) -> NDArray[np.float64]:
        vectors = [self._sides[name].vectors(columns[name]) for name in SIDES]
        hidden_BH = np.tanh(self._layer("hidden", np.concatenate(vectors, axis=1)))
        return _probabilities(self._layer("output", hidden_BH))

    def _layer(self, name: str, input_BI: Floats) -> Floats:
        return input_BI @ self._network[f"{name}.weight"].T + self._network[f"{name}.bias"]


class Side:
    """The embeddings of users, or of items."""

    def __init__(self, side: str, place: Path, network: Mapping[str, Floats]) -> None:
        table = pq.ParquetFile(place).read()
        self._row_of = {str(name): row for row, name in enumerate(table[f"{side}_id"].to_pylist())}
        lists = table["embedding"].combine_chunks()
        self._flat, self._offset_N = lists.flatten().to_numpy(), lists.offsets.to_numpy()
        self._unknown_W = network[f"{side}.unknown"]
        self._affine = {
            int(name.split(".")[1]): (weight_WD, network[name.replace("weight", "bias")])
            for name, weight_WD in network.items()
            if name.startswith(f"{side}.") and name.endswith(".weight")
        }

    def vectors(self, names: Sequence[str | None]) -> Floats:
        """(N, W), one for each raw id."""
        known = [-1 if name is None else self._row_of.get(str(name), -1) for name in names]
        row_N = np.array(known, dtype=np.int64)
        first_N = self._offset_N[row_N]
        size_N = np.where(row_N < 0, 0, self._offset_N[row_N + 1] - first_N)
        vector_NW = np.empty((len(row_N), len(self._unknown_W)), dtype=np.float32)
        for size in np.unique(size_N).tolist():
            here = size_N == size
            vector_NW[here] = self._of_size(size, first_N[here])
        return vector_NW

    def _of_size(self, size: int, first_M: NDArray[np.int32]) -> Floats:
        if not size:
            return self._unknown_W
        stored_MD: Floats = self._flat[first_M[:, None] + np.arange(size)]
        if size not in self._affine:
            return stored_MD
        weight_WD, bias_W = self._affine[size]
        vector_MW: Floats = np.tanh(stored_MD @ weight_WD.T + bias_W)
        return vector_MW


def _tensors(place: Path) -> dict[str, Floats]:
    rows = pq.ParquetFile(place).read().to_pylist()
    return {row["tensor"]: np.array(row["values"], np.float32).reshape(row["shape"]) for row in rows}


def _probabilities(logit_BL: Floats) -> NDArray[np.float64]:
    """Softmax; one logit is that of the second class, against 0 for the first."""
    logit_BC = logit_BL.astype(np.float64)
    if logit_BC.shape[1] == 1:
        logit_BC = np.concatenate([np.zeros_like(logit_BC), logit_BC], axis=1)
    weight_BC = np.exp(logit_BC - logit_BC.max(axis=1, keepdims=True))
    probability_BC: NDArray[np.float64] = weight_BC / weight_BC.sum(axis=1, keepdims=True)
    return probability_BC


class StreamClassifier(PythonModel):  # type: ignore[misc]  # mlflow is not typed
    """The class of each interaction, and the probability of every class."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the tables."""
        self.scorer = Scorer(context.artifacts)

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """One row for each of the input's.

        Args:
            model_input: columns `user` and `item`; see `Scorer.score`.

        Returns:
            class, the most probable; and probability_<class> for each class.

        Raises:
            ValueError: a column is missing.
        """
        columns = {name: _texts(model_input[name]) for name in SIDES if name in model_input}
        probability_NC = self.scorer.score(columns)
        classes = np.array(self.scorer.classes, dtype=object)
        shares = {f"probability_{name}": probability_NC[:, place] for place, name in enumerate(classes)}
        return pd.DataFrame({"class": classes[probability_NC.argmax(axis=1)], **shares})


def _texts(column: "pd.Series[Any]") -> list[str | None]:
    """Values as text; None where there is none."""
    return [None if missing else str(value) for value, missing in zip(column, column.isna(), strict=True)]


mlflow.models.set_model(StreamClassifier())
