"""The contract of the interactions artifact, where interactions are labelled examples."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from components.core.columns import LABEL, PART, TIMESTAMP
from components.core.gates import Gate
from components.core.hashing import derive_seed
from components.core.recipe import IngestExamplesParams, IngestStreamParams
from components.core.recipe.examples import ExamplesSource, FieldKind
from components.core.recipe.stream_data import SyntheticStream
from components.core.stage import Validation
from components.data.contracts.deliveries import rejected_gate
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.example_deliveries import change_gates, delivery_gates
from components.data.contracts.expectations import (
    Expectation,
    between,
    in_set,
    not_null,
    row_count,
)
from components.data.contracts.interactions.rejected import examine_rejected
from components.data.document import read_keys
from components.data.examples import Examples
from components.data.normalize import END_OF_TIME
from components.data.scanning import parts_of, scan_table

AnyIngest = IngestExamplesParams | IngestStreamParams
_PROFILE: Final = ("rows", "examples", "classes", "fields", "duplicates", "tables")
_TYPES: Final[Mapping[FieldKind, pa.DataType]] = {
    "categorical": pa.string(),
    "numeric": pa.float64(),
    "multi_valued": pa.list_(pa.field("element", pa.string())),  # named as in Parquet
}


def validate(
    output: Path,
    params: AnyIngest,
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
    kinds = params.source.kinds()
    others = [name for name in table.schema.names if name not in kinds]
    exam.expect(
        "interactions.parquet",
        (part.to_pandas() for part in parts_of(table, others)),
        _expectations(params, others),
    )
    exam.facts("interactions.parquet", _field_facts(scan_table(table.path), params))
    exam.require()
    examples = Examples.count(table.path, params.source.label.classes, kinds)
    exam.facts("interactions", _profile_facts(examples, rejected, profile))
    exam.gate([rejected_gate(rejected.num_rows, profile["rows"], params.max_rejected_fraction)])
    exam.gate(_gates(examples, profile, params, inputs, clock()))
    exam.own("interactions", table, params.quality.expectations)
    return exam.finish(docs=True)


def schema(params: AnyIngest) -> pa.Schema:
    """The schema of the interactions table that a source gives."""
    source = params.source
    columns = {LABEL: pa.int32(), **{name: _TYPES[kind] for name, kind in source.kinds().items()}}
    if isinstance(source, SyntheticStream) or (
        isinstance(source, ExamplesSource) and source.timestamp is not None
    ):
        columns[TIMESTAMP] = pa.int64()
    if isinstance(source, ExamplesSource) and source.parts is not None:
        columns[PART] = pa.string()
    return pa.schema(columns)


def _expectations(params: AnyIngest, columns: list[str]) -> list[Expectation]:
    """About the columns that are no fields."""
    source = params.source
    found = [row_count(1), *map(not_null, columns), between(LABEL, 0, len(source.label.classes) - 1)]
    if TIMESTAMP in columns:
        found.append(between(TIMESTAMP, 0, END_OF_TIME - 1))
    if PART in columns:
        assert isinstance(source, ExamplesSource)
        found.append(in_set(PART, source.parts or ()))
    return found


def _field_facts(rows: pl.LazyFrame, params: AnyIngest) -> dict[str, Fact]:
    """About the fields, all in one pass: Great Expectations would look at every column once for each."""
    source = params.source
    limit = source.max_value_length if isinstance(source, ExamplesSource) else None
    counted: dict[str, pl.Expr] = {}
    bounds: dict[str, float | None] = {}
    if isinstance(source, ExamplesSource):
        for name in source.required:
            counted[f"{name}: rows without a value"] = pl.col(name).is_null().sum()
    for name, kind in source.kinds().items():
        values = pl.col(name)
        if kind == "numeric":
            counted[f"{name}: values that are not finite"] = (~values.is_finite()).sum()
            continue
        length = values.str.len_chars()
        if kind == "multi_valued":
            counted[f"{name}: empty lists"] = (values.list.len() == 0).sum()
            counted[f"{name}: missing values in lists"] = (
                values.list.eval(pl.element().is_null()).list.any().sum()
            )
            length = values.list.eval(pl.element().str.len_chars()).list.max()
        longest = f"{name}: characters of the longest value"
        counted[longest], bounds[longest] = length.max(), limit
    found = rows.select(value.alias(name) for name, value in counted.items()).collect(engine="streaming")
    return {name: (found[name].item() or 0, 0, bounds.get(name, 0)) for name in counted}


def _profile_facts(examples: Examples, rejected: pa.Table, profile: Mapping[str, Any]) -> dict[str, Fact]:
    """That the profile tells what is there."""
    read, kept = len(examples) + rejected.num_rows, len(examples)
    nulls = {name: field.get("nulls") for name, field in profile["fields"].items()}
    wrong = [
        name for name in nulls.keys() | examples.nulls.keys() if nulls.get(name) != examples.nulls.get(name)
    ]
    return {
        "rows read": (profile["rows"], read, read),
        "examples in the profile": (profile["examples"], kept, kept),
        "classes are the profile's": (profile["classes"] == examples.classes, 1, 1),
        "fields whose missing values are not the profile's": (len(wrong), 0, 0),
        "duplicates in the profile": (profile["duplicates"], 0, kept - 1),
    }


def _gates(
    now: Examples,
    profile: Mapping[str, Any],
    params: AnyIngest,
    inputs: Mapping[str, Path],
    now_s: float,
) -> Iterator[Gate]:
    quality = params.quality
    yield from delivery_gates(quality.delivery, now, profile, now_s)
    for name, subject, bounds in (
        ("previous", "against the previous delivery", quality.previous),
        ("champion", "against the champion's delivery", quality.champion),
    ):
        if name in inputs:
            generator = np.random.default_rng(derive_seed(params.seed, "ingest", name))
            yield from change_gates(bounds, subject, now, Examples.read(inputs[name]), generator)
