"""The registered model: raw values of fields in, probabilities of classes out.

MLflow stores this file beside the tables and runs it where the model is loaded ("models from code"). So it
imports nothing of this package. `Scorer` needs no MLflow: the evaluation asks it, so that what is judged is
what is served.
"""

import json
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnxruntime
import pandas as pd
import pyarrow.parquet as pq
from mlflow.pyfunc import PythonModel, PythonModelContext
from numpy.typing import NDArray

BLOCK = 8192  # examples scored at a time; memory is BLOCK × fields × width floats
UNKNOWN, MISSING, FIRST = 0, 1, 2  # codes; from the last one on those of values

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
TextCode = Callable[[str], int]
NumberCodes = Callable[[Floats], Codes]


class Scorer:
    """A classifier without torch: tables of codes and embeddings, and the network as ONNX.

    Args:
        files: where `fields`, `values`, `edges`, `value_embeddings` (Parquet), `network` (ONNX) and
            `classes` (JSON) lie.

    Attributes:
        classes: in the order of the probabilities.
        missing: texts that stand for no value, as in the source that the model learned from.
        fields: in the order of the dataset's.
    """

    def __init__(self, files: Mapping[str, str | Path]) -> None:
        fields, values, edges, embeddings = (
            pq.ParquetFile(Path(files[name])).read()
            for name in ("fields", "values", "edges", "value_embeddings")
        )
        document = json.loads(Path(files["classes"]).read_text(encoding="utf-8"))
        self.classes: list[str] = document["classes"]
        self.missing = frozenset(document["missing"])
        codes: dict[str, dict[str, int]] = {name: {} for name in fields["field"].to_pylist()}
        for row in values.select(["field", "value", "code"]).to_pylist():
            codes[row["field"]][row["value"]] = row["code"]
        lows: dict[str, list[float]] = {name: [] for name in codes}
        for row in edges.to_pylist():
            lows[row["field"]].append(row["low"])
        rows = {row["field"]: row for row in fields.to_pylist()}
        self.fields = []
        for name, row in rows.items():
            of = row.get("of") or name
            known = Field(rows[of], codes[of], lows[of], self.missing)
            self.fields.append(known if of == name else History(row, known))
        vectors = embeddings["embedding"].combine_chunks()
        table_RW: NDArray[np.float32] = vectors.flatten().to_numpy().reshape(len(vectors), -1)
        first = dict(zip(rows, np.cumsum([0, *(row["size"] for row in rows.values())]), strict=False))
        self._tables = {name: table_RW[first[row.get("of") or name] :] for name, row in rows.items()}
        self._network = _network(Path(files["network"]))
        inputs = {given.name: given.shape for given in self._network.get_inputs()}
        self._longest: int | None = inputs["past"][1] if "past" in inputs else None

    def score(self, columns: Mapping[str, Sequence[Any]]) -> Floats:
        """Probabilities (N, C) of N examples.

        Args:
            columns: field → N values; of a categorical field text, of a numeric one numbers, of a
                multi-valued one lists of text, of a history lists of text in the order of time. None is
                missing, and so are NaN, an empty list, and what the source has for missing values.

        Raises:
            ValueError: a field is missing, or an example's histories differ in length.
        """
        names = [field.name for field in self.fields]
        missing = [name for name in names if name not in columns]
        if missing:
            raise ValueError(f"missing columns {missing}: need {names}")
        blocks = [
            self._score({name: columns[name][start : start + BLOCK] for name in names})
            for start in range(0, len(columns[names[0]]), BLOCK)
        ]
        return np.concatenate([np.empty((0, len(self.classes))), *blocks])

    def _score(self, columns: Mapping[str, Sequence[Any]]) -> Floats:
        pooled, read = [], []
        for field in self.fields:
            table, values = self._tables[field.name], columns[field.name]
            if self._longest is not None and isinstance(field, History):
                read.append(field.read(table, values, self._longest))
            else:
                pooled.append(field.pool(table, values))
        inputs: dict[str, NDArray[Any]] = {"rows": np.stack(pooled, axis=1)}
        if read:
            there_BT = read[0][1]
            if any((other_BT != there_BT).any() for _, other_BT in read):
                names = [field.name for field in self.fields if isinstance(field, History)]
                raise ValueError(
                    f"{names}: the lists of an example differ in length, need one value a behaviour"
                )
            inputs |= {"past": np.concatenate([some for some, _ in read], axis=2), "there": there_BT}
        (logit_BL,) = self._network.run(["logit"], inputs)
        return _probabilities(logit_BL)


class Field:
    """A field as the dataset's tables describe it: values become codes, codes rows of its table."""

    def __init__(
        self, row: Mapping[str, Any], codes: Mapping[str, int], lows: Sequence[float], missing: Set[str]
    ) -> None:
        self.name: str = row["field"]
        self.kind: str = row["kind"]
        self.size: int = row["size"]
        self._mean = row["pooling"] == "mean"
        self._missing = missing
        self._missing_numbers = [number for text in missing for number in _as_number(text)]
        self._text: TextCode = lambda value: codes.get(value, UNKNOWN)
        self._numbers: NumberCodes = partial(_by_quantile, np.array(lows))
        if row["encoding"] == "hashed":
            self._text = partial(_by_hash, self.size - FIRST)
        elif row["encoding"] == "log2":
            self._numbers = partial(_by_log_square, {float(bucket): code for bucket, code in codes.items()})

    def codes(self, values: Sequence[Any]) -> tuple[Codes, Codes]:
        """The codes of N examples one after another, and how many each has (N,); of a multi-valued field
        each code of an example once."""
        if self.kind == "multi_valued":
            lists = [self._several(texts) for texts in values]
            lengths = np.array([len(several) for several in lists], dtype=np.int64)
            return np.array([code for several in lists for code in several], dtype=np.int64), lengths
        if self.kind == "numeric":
            number_N = np.array(values, dtype=np.float64)  # None becomes NaN
            absent_N = np.isnan(number_N) | np.isin(number_N, self._missing_numbers)
            code_N = np.where(absent_N, MISSING, self._numbers(number_N))
        else:
            code_N = np.fromiter(map(self._one, values), dtype=np.int64)
        return code_N, np.ones(len(values), dtype=np.int64)

    def _several(self, texts: Sequence[str | None] | None) -> list[int]:
        if texts is None:
            return [MISSING]
        return sorted({self._one(value) for value in texts} - {MISSING}) or [MISSING]

    def _one(self, value: str | None) -> int:
        return MISSING if value is None or value in self._missing else self._text(value)

    def pool(self, table_RW: NDArray[np.float32], values: Sequence[Any]) -> NDArray[np.float32]:
        """One row (N, W) for each example."""
        code, count_N = self.codes(values)
        row_VW = table_RW[code]
        return row_VW if self.kind != "multi_valued" else _pooled(row_VW, count_N, mean=self._mean)


class History:
    """What a user did before, by the values of a field, in the order of time."""

    kind = "history"

    def __init__(self, row: Mapping[str, Any], of: Field) -> None:
        self.name: str = row["field"]
        self.size = 0
        self._mean, self._length, self._of = row["pooling"] == "mean", row["length"], of

    def codes(self, values: Sequence[Any]) -> tuple[Codes, Codes]:
        """The codes of N histories one after another, and how many each has (N,): its last ones, and one
        missing value for none."""
        lists = [list(some)[-self._length :] if some is not None and len(some) else [None] for some in values]
        lengths = np.array([len(some) for some in lists], dtype=np.int64)
        return self._of.codes([value for some in lists for value in some])[0], lengths

    def pool(self, table_RW: NDArray[np.float32], values: Sequence[Any]) -> NDArray[np.float32]:
        """One row (N, W) for each example."""
        code, count_N = self.codes(values)
        return _pooled(table_RW[code], count_N, mean=self._mean)

    def read(
        self, table_RW: NDArray[np.float32], values: Sequence[Any], longest: int
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """(N, T, W) rows, the last behaviour at place T − 1; and (N, T), where there is one."""
        code, count_N = self.codes(values)
        there_NT = np.arange(longest) >= longest - count_N[:, None]
        state_NTW = np.zeros((*there_NT.shape, table_RW.shape[1]), np.float32)
        state_NTW[there_NT] = table_RW[code]
        return state_NTW, there_NT


def _pooled(row_VW: NDArray[np.float32], count_N: Codes, *, mean: bool) -> NDArray[np.float32]:
    pooled_NW: NDArray[np.float32] = np.add.reduceat(row_VW, np.cumsum(count_N) - count_N)
    if mean:
        pooled_NW /= count_N[:, None].astype(np.float32)
    return pooled_NW


def _as_number(text: str) -> list[float]:
    try:
        return [float(text)]
    except ValueError:
        return []


def _by_hash(buckets: int, value: str) -> int:
    return FIRST + int.from_bytes(blake2b(value.encode(), digest_size=8).digest(), "little") % buckets


def _by_quantile(low_E: Floats, number_N: Floats) -> Codes:
    return FIRST - 1 + np.searchsorted(low_E, number_N, side="right")


def _by_log_square(code_of: Mapping[float, int], number_N: Floats) -> Codes:
    large_N = np.floor(np.log(np.maximum(number_N, 2.0)) ** 2)
    bucket_N = np.where(number_N > 2, large_N, np.floor(number_N) - 2)
    return np.fromiter((code_of.get(bucket, UNKNOWN) for bucket in bucket_N.tolist()), dtype=np.int64)


def _network(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # the same sums in the same order
    options.use_deterministic_compute = True
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _probabilities(logit_BL: NDArray[np.float32]) -> Floats:
    """Softmax; one logit is that of the second class, against 0 for the first."""
    logit_BC = logit_BL.astype(np.float64)
    if logit_BC.shape[1] == 1:
        logit_BC = np.concatenate([np.zeros_like(logit_BC), logit_BC], axis=1)
    weight_BC = np.exp(logit_BC - logit_BC.max(axis=1, keepdims=True))
    probability_BC: Floats = weight_BC / weight_BC.sum(axis=1, keepdims=True)
    return probability_BC


class Classifier(PythonModel):  # type: ignore[misc]  # mlflow is not typed
    """The class of each example, and the probability of every class."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the tables and the network."""
        self.scorer = Scorer(context.artifacts)

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """One row for each of the input's.

        Args:
            model_input: a column for each field; see `Scorer.score`. Within a list a missing value is one of
                the source's own texts for it: MLflow makes other texts of lists that hold None.

        Returns:
            class, the most probable; and probability_<class> for each class.

        Raises:
            ValueError: a field is missing, or holds what it cannot hold.
        """
        columns = {
            field.name: _COLUMNS[field.kind](model_input[field.name])
            for field in self.scorer.fields
            if field.name in model_input
        }
        probability_NC = self.scorer.score(columns)
        classes = np.array(self.scorer.classes, dtype=object)
        shares = {f"probability_{name}": probability_NC[:, place] for place, name in enumerate(classes)}
        return pd.DataFrame({"class": classes[probability_NC.argmax(axis=1)], **shares})


def _texts(column: "pd.Series[Any]") -> list[str | None]:
    """Values as text; None where there is none."""
    return [None if missing else str(value) for value, missing in zip(column, column.isna(), strict=True)]


def _numbers(column: "pd.Series[Any]") -> list[float]:
    numbers: list[float] = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan).tolist()
    return numbers


def _lists(column: "pd.Series[Any]") -> list[list[str | None] | None]:
    lists: list[list[str | None] | None] = []
    for values in column:
        if isinstance(values, str):
            raise ValueError(f"{column.name}: got the text {values!r}, need a list of values")
        lists.append(_texts(pd.Series(list(values), dtype=object)) if np.iterable(values) else None)
    return lists


_COLUMNS: Mapping[str, Callable[["pd.Series[Any]"], Sequence[Any]]] = {
    "categorical": _texts,
    "numeric": _numbers,
    "multi_valued": _lists,
    "history": _lists,
}

mlflow.models.set_model(Classifier())
