"""The contract of the interactions artifact."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components.core.columns import (
    ITEM_ID,
    PART,
    POSITION,
    RATING,
    TIMESTAMP,
    USER_ID,
)
from components.core.gates import Gate
from components.core.hashing import derive_seed
from components.core.recipe import IngestParams
from components.core.recipe.source import FilesSource, SessionsSource, SyntheticSource
from components.core.stage import Validation
from components.data.changes import Interactions
from components.data.contracts.deliveries import change_gates, delivery_gates, rejected_gate
from components.data.contracts.examination import Examination
from components.data.contracts.expectations import (
    Expectation,
    between,
    finite,
    in_set,
    length_between,
    not_null,
    row_count,
    unique,
)
from components.data.contracts.interactions.rejected import examine_rejected
from components.data.document import read_keys
from components.data.normalize import END_OF_TIME
from components.data.parquet import TableFile
from components.data.scanning import num_out_of_order, parts_by, scan_table

_OWN = (USER_ID, ITEM_ID, RATING, TIMESTAMP, POSITION, PART)
_PROFILE = ("rows", "users", "items", "duplicates_dropped")


def validate(
    output: Path,
    params: IngestParams,
    inputs: Mapping[str, Path],
    docs: Path,
    *,
    clock: Callable[[], float] = time.time,
) -> Validation:
    """Check tables and profile of an ingest, and the delivery against the recipe's bounds.

    Args:
        clock: seconds since 1970.

    Raises:
        GateFailedError: an expectation failed.
    """
    exam = Examination("interactions", output, docs)
    table = exam.file("interactions.parquet", schema(params))
    rejected = examine_rejected(exam)
    profile = exam.document("profile.json", lambda path: read_keys(path, _PROFILE))
    columns = [
        name for name in (USER_ID, ITEM_ID, RATING, TIMESTAMP, POSITION, PART) if name in table.schema.names
    ]
    exam.expect(
        "interactions.parquet",
        (part.to_pandas() for part in parts_by(table, USER_ID, columns)),
        _expectations(params, columns),
    )
    exam.require()
    interactions = Interactions(scan_table(table.path))
    exam.facts("interactions", _facts(table, interactions, rejected, profile))
    exam.gate([rejected_gate(rejected.num_rows, profile["rows"], params.max_rejected_fraction)])
    exam.gate(_gates(interactions, profile, params, inputs, clock()))
    exam.own("interactions", table, params.quality.expectations)
    return exam.finish(docs=True)


def schema(params: IngestParams) -> pa.Schema:
    """The schema of the interactions table that a source gives."""
    source = params.source
    fields: dict[str, pa.DataType] = {}
    if isinstance(source, SyntheticSource):
        return pa.schema({USER_ID: pa.string(), ITEM_ID: pa.string(), TIMESTAMP: pa.int64()})
    fields |= dict.fromkeys((USER_ID, ITEM_ID), pa.int64() if source.ids == "integer" else pa.string())
    if isinstance(source, SessionsSource):
        return pa.schema(fields)
    if source.columns.rating is not None:
        fields[RATING] = pa.float64()
    if source.columns.timestamp is not None:
        fields[TIMESTAMP] = pa.int64()
    if source.ordered:
        fields[POSITION] = pa.int64()
    fields |= dict.fromkeys(sorted(source.columns.features), pa.string())
    if source.parts is not None:
        fields[PART] = pa.string()
    return pa.schema(fields)


def _expectations(params: IngestParams, columns: list[str]) -> list[Expectation]:
    found = [row_count(1), unique(USER_ID, ITEM_ID), *(not_null(column) for column in columns)]
    source = params.source
    if not isinstance(source, SyntheticSource) and source.ids == "string":
        found += [length_between(column, 1, source.max_id_length) for column in (USER_ID, ITEM_ID)]
    if RATING in columns:
        found.append(finite(RATING))
    if TIMESTAMP in columns:
        found.append(between(TIMESTAMP, 0, END_OF_TIME - 1))
    if POSITION in columns:
        found.append(between(POSITION, 0, None))
    if PART in columns:
        assert isinstance(source, FilesSource)
        found.append(in_set(PART, source.locations()))
    return found


def _gates(
    now: Interactions,
    profile: Mapping[str, Any],
    params: IngestParams,
    inputs: Mapping[str, Path],
    now_s: float,
) -> Iterator[Gate]:
    source, quality = params.source, params.quality
    optional = sorted(source.columns.features) if isinstance(source, FilesSource) else []
    yield from delivery_gates(quality.delivery, now, profile, optional, now_s)
    for name, subject, bounds in (
        ("previous", "against the previous delivery", quality.previous),
        ("champion", "against the champion's delivery", quality.champion),
    ):
        if name in inputs:
            before = Interactions(scan_table(inputs[name] / "interactions.parquet"))
            generator = np.random.default_rng(derive_seed(params.seed, "ingest", name))
            yield from change_gates(bounds, subject, now, before, generator)


def _facts(
    table: TableFile, interactions: Interactions, rejected: pa.Table, profile: Mapping[str, Any]
) -> dict[str, tuple[float, float | None, float | None]]:
    sessions = profile.get("sessions")
    distinct = sessions["rows"] if sessions else table.num_rows
    accounted = distinct + rejected.num_rows + profile["duplicates_dropped"]
    num_users, num_items = len(interactions.users), len(interactions.items)
    return {
        "rows out of order": (num_out_of_order(table, USER_ID, ITEM_ID), 0, 0),
        "users in the profile": (profile["users"], num_users, num_users),
        "items in the profile": (profile["items"], num_items, num_items),
        "rows read": (profile["rows"], accounted, accounted),
    }
