"""What is registered of a model that ranks."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from components.core import columns
from components.data.parquet import read_table, write_table
from components.registry.served import Served, recommender


def serve(inputs: Mapping[str, Path], scratch: Path) -> Served:
    """The tables of users and items, written to `scratch` where no artifact has them as they are needed."""
    dataset, model = inputs["dataset"], inputs["model"]
    parts = [
        read_table(dataset / f"{part}.parquet").select([columns.USER, columns.ITEM]) for part in columns.PARTS
    ]
    seen = pa.concat_tables(parts).sort_by([(columns.USER, "ascending"), (columns.ITEM, "ascending")])
    popularity = read_table(dataset / "items.parquet").select([columns.ITEM_ID, columns.NUM_TRAIN])
    tables = {"seen": seen, "popularity": popularity}
    for name, table in tables.items():
        write_table(table, scratch / f"{name}.parquet")
    files = {
        **{name: scratch / f"{name}.parquet" for name in tables},
        **{name: model / f"{name}.parquet" for name in ("user_embeddings", "item_embeddings")},
    }
    users = read_table(dataset / "users.parquet")
    return recommender(files, str(users[columns.USER_ID][0].as_py()))


def metrics(evaluation: Path) -> dict[str, float]:
    """Those of the test, by name such as `ndcg@20`."""
    means = read_table(evaluation / "metrics.parquet").to_pylist()
    return {f"{row[columns.METRIC]}@{row[columns.K]}": row[columns.VALUE] for row in means}
