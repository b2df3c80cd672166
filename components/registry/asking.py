"""Loads a registered version and asks it, as a stranger would: run in a process of its own, by its path, this
file imports nothing of this package.

    python -I asking.py TRACKING_URI MODEL VERSION K

Standard output is one JSON object: `{"problems": […]}`, what is wrong with the answers; `{"fault": …}`, what
kept it from asking at all.
"""

import gc
import json
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_UNREACHABLE = {"RequestException", "ConnectionError", "SQLAlchemyError", "BotoCoreError", "ClientError"}


def ask(tracking_uri: str, model: str, version: str, k: int) -> list[str]:
    """What is wrong with the answers."""
    import mlflow

    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    with tempfile.TemporaryDirectory() as scratch:
        served = mlflow.pyfunc.load_model(
            f"models:/{model}/{version}",
            dst_path=scratch,
            suppress_warnings=True,  # nobody reads them, and going through all that is installed takes long
        )
        outputs = served.metadata.get_output_schema()
        if outputs and "class" in outputs.input_names():
            return _ask_classifier(served, outputs.input_names())
        return _ask_recommender(served, _Known(Path(scratch)), k)


# -- recommenders ------------------------------------------------------------------------------------------


def _ask_recommender(served: Any, known: "_Known", k: int) -> list[str]:
    """What is wrong with the lists of a known and an unknown user."""
    import pandas as pd

    queries = {known.user: known.left(), _unknown(known.user_ids): known.items}
    answer = served.predict(pd.DataFrame({"user_id": list(queries)}), params={"k": k})
    columns = list(answer.columns)
    if columns != ["user_id", "rank", "item_id", "score"]:
        return [f"got the columns {columns}, need user_id, rank, item_id, score"]
    problems = []
    for user, allowed in queries.items():
        rows = answer[answer["user_id"] == user]
        found = _faults(rows, allowed, min(k, len(allowed)))
        problems += [f"user {user!r}: {fault}" for fault in found]
    if len(answer) != sum(min(k, len(allowed)) for allowed in queries.values()):
        problems.append(f"got {len(answer)} rows in all")
    return problems


class _Known:
    """The version's own tables: the user of whom most is known, and what may be recommended."""

    def __init__(self, place: Path) -> None:
        import pyarrow.parquet as pq

        def column(table: str, name: str) -> list[Any]:
            files = list(place.rglob(f"{table}.parquet"))
            if not files:
                raise ValueError(f"it has no table {table!r}: no run has registered it")
            values: list[Any] = pq.ParquetFile(files[0]).read([name])[name].to_pylist()
            return values

        user_ids = [str(user) for user in column("user_embeddings", "user_id")]
        item_ids = [str(item) for item in column("item_embeddings", "item_id")]
        seen: dict[int, set[str]] = {}
        for user, item in zip(column("seen", "user"), column("seen", "item"), strict=True):
            seen.setdefault(user, set()).add(item_ids[item])
        busiest = max(seen, key=lambda user: len(seen[user]), default=0)
        self.user_ids, self.items = set(user_ids), set(item_ids)
        self.user, self._seen = user_ids[busiest], seen.get(busiest, set())

    def left(self) -> set[str]:
        return self.items - self._seen


def _unknown(user_ids: set[str]) -> str:
    name = "nobody"
    while name in user_ids:
        name += "-"
    return name


def _faults(rows: Any, allowed: set[str], length: int) -> list[str]:
    ranks, items, scores = (list(rows[name]) for name in ("rank", "item_id", "score"))
    strange = [item for item in items if item not in allowed]
    faults = []
    if len(items) != length:
        faults.append(f"got {len(items)} items, need {length}")
    if ranks != list(range(1, len(items) + 1)):
        faults.append(f"got the ranks {ranks}, need 1 to {len(items)}")
    if len(set(items)) != len(items):
        faults.append("an item comes twice")
    if strange:
        faults.append(f"got {strange[:3]}, which are seen already or not in the catalogue")
    if not all(map(math.isfinite, scores)):
        faults.append("a score is not finite")
    elif scores != sorted(scores, reverse=True):
        faults.append("the scores do not fall")
    return faults


# -- classifiers -------------------------------------------------------------------------------------------


def _ask_classifier(served: Any, columns: list[str]) -> list[str]:
    """What is wrong with the answers for examples of the test, for unknown values and for none at all."""
    examples = served.metadata.load_input_example()
    queries = {
        "examples of the test": examples,
        "unknown values": examples.map(_strange),
        "no values": examples.map(lambda _: None),
    }
    problems = []
    for name, query in queries.items():
        answer = served.predict(query)
        if list(answer.columns) != columns:
            return [f"got the columns {list(answer.columns)}, need {', '.join(columns)}"]
        found = [f"got {len(answer)} rows, need {len(query)}"] if len(answer) != len(query) else []
        found += [fault for row in answer.to_dict("records") for fault in _doubts(row, columns[1:])]
        problems += [f"{name}: {fault}" for fault in dict.fromkeys(found)]
    return problems


def _strange(value: Any) -> Any:
    """A value that no training has seen."""
    if isinstance(value, str):
        return f"{value}, which nobody has seen"
    return [*map(_strange, value)] if isinstance(value, list) else value


def _doubts(row: dict[str, Any], columns: list[str]) -> list[str]:
    shares = [row[name] for name in columns]
    if not all(0 <= share <= 1 for share in shares):
        return [f"got the probabilities {shares}, need numbers from 0 to 1"]
    doubts = []
    if not math.isclose(sum(shares), 1, abs_tol=1e-6):
        doubts.append(f"the probabilities add up to {sum(shares):g}")
    best = columns[shares.index(max(shares))]
    if f"probability_{row['class']}" != best:
        doubts.append(f"got class {row['class']!r}, but {best} is higher")
    return doubts


def _kinds(error: BaseException | None) -> Iterator[type]:
    """The kinds of an error and of what is behind it: MLflow puts its own in front."""
    while error is not None:
        yield from type(error).__mro__
        error = error.__cause__ or error.__context__


def main() -> None:
    """Ask, and say what came of it."""
    gc.disable()  # the process ends before it matters, and a third of MLflow's import is the collector's
    tracking_uri, model, version, k = sys.argv[1:]
    try:
        told: dict[str, Any] = {"problems": ask(tracking_uri, model, version, int(k))}
    except Exception as error:
        kinds = {kind.__name__ for kind in _kinds(error)}
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"[:1000]
        told = {"fault" if kinds & _UNREACHABLE else "problems": text}
        if "problems" in told:
            told["problems"] = [f"it cannot be loaded and asked: {text}"]
    print(json.dumps(told))


if __name__ == "__main__":
    main()
