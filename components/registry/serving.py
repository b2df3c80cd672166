"""The registered model: raw user ids in, ranked raw item ids out.

MLflow stores this file beside the tables and runs it where the model is loaded ("models from code"). So it
imports nothing of this package.
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from mlflow.pyfunc import PythonModel, PythonModelContext
from numpy.typing import NDArray

BLOCK = 256  # users scored at a time; memory is BLOCK × items floats


class Recommender(PythonModel):  # type: ignore[misc]  # mlflow is not typed
    """Full ranking by inner product, without the items that a user is known to have seen.

    An unknown user gets the most popular items. Ties go to the item that comes first in the catalogue.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Read the tables."""
        tables = {name: pq.ParquetFile(Path(path)).read() for name, path in context.artifacts.items()}
        users, items = tables["user_embeddings"], tables["item_embeddings"]
        self.row_of = {str(user): row for row, user in enumerate(users["user_id"].to_pylist())}
        self.item_ids = [str(item) for item in items["item_id"].to_pylist()]
        self.users_UD, self.items_ID = _matrix(users), _matrix(items)
        self.popularity_I = tables["popularity"]["num_train"].to_numpy().astype(np.float32)
        user, item = (tables["seen"][name].to_numpy() for name in ("user", "item"))
        self.seen = np.split(item, np.searchsorted(user, np.arange(1, len(self.row_of))))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """The best items of every row's user.

        Args:
            model_input: a column `user_id`.
            params: `k`, length of the lists (20); shorter where fewer items are left.

        Returns:
            user_id, rank (from 1), item_id, score: the inner product, or for an unknown user the
            item's number of interactions in training.
        """
        k = int((params or {}).get("k", 20))
        if k < 1:
            raise ValueError(f"k: got {k}, need at least 1")
        queries = [str(user) for user in model_input["user_id"]]
        lists = [
            (user, *best)
            for start in range(0, len(queries), BLOCK)
            for user, best in zip(
                queries[start : start + BLOCK], self._rank(queries[start : start + BLOCK], k), strict=True
            )
        ]
        lengths = [len(items) for _, items, _ in lists]
        return pd.DataFrame(
            {
                "user_id": np.repeat(np.array([user for user, _, _ in lists], dtype=object), lengths),
                "rank": np.concatenate([np.arange(1, length + 1) for length in [0, *lengths]]),
                "item_id": [self.item_ids[item] for _, items, _ in lists for item in items],
                "score": np.concatenate([np.empty(0), *(scores for _, _, scores in lists)]),
            }
        )

    def _rank(self, users: list[str], k: int) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        rows = [self.row_of.get(user) for user in users]
        known = [row for row in rows if row is not None]
        scores = iter(self.users_UD[known] @ self.items_ID.T)
        ranked = []
        for row in rows:
            score_I = self.popularity_I.copy() if row is None else next(scores)
            if row is not None:
                score_I[self.seen[row]] = -np.inf
            ranked.append(_best(score_I, k))
        return ranked


def _best(score_I: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    kept = np.flatnonzero(score_I > -np.inf)
    if k < len(kept):
        threshold = np.partition(score_I[kept], -k)[-k]
        kept = kept[score_I[kept] >= threshold]
    best = kept[np.argsort(-score_I[kept], kind="stable")[:k]]
    return best, score_I[best].astype(np.float64)


def _matrix(table: Any) -> NDArray[np.float32]:
    vectors = table["embedding"].combine_chunks()
    matrix: NDArray[np.float32] = vectors.flatten().to_numpy().reshape(len(vectors), -1)
    return matrix


mlflow.models.set_model(Recommender())
