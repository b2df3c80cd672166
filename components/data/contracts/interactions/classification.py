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
from components.core.recipe.examples import (
    LISTS,
    DeliveredHistory,
    EarlierExamples,
    ExamplesSource,
    FieldKind,
)
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
_BEFORE: Final = "known before"  # no field can have such a name
_PROFILE: Final = ("rows", "examples", "classes", "fields", "duplicates", "tables")
_TYPES: Final[Mapping[FieldKind, pa.DataType]] = {
    "categorical": pa.string(),
    "numeric": pa.float64(),
    "multi_valued": pa.list_(pa.field("element", pa.string())),  # named as in Parquet
    "history": pa.list_(pa.field("element", pa.string())),
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
        if kind in LISTS:
            counted[f"{name}: empty lists"] = (values.list.len() == 0).sum()
            length = values.list.eval(pl.element().str.len_chars()).list.max()
        if kind == "multi_valued":
            counted[f"{name}: missing values in lists"] = (
                values.list.eval(pl.element().is_null()).list.any().sum()
            )
        longest = f"{name}: characters of the longest value"
        counted[longest], bounds[longest] = length.max(), limit
    found = rows.select(value.alias(name) for name, value in counted.items()).collect(engine="streaming")
    facts: dict[str, Fact] = {name: (found[name].item() or 0, 0, bounds.get(name, 0)) for name in counted}
    if isinstance(source, ExamplesSource) and source.history is not None:
        facts |= _history_facts(rows, source.history, source)
    return facts


def _history_facts(
    rows: pl.LazyFrame, history: EarlierExamples | DeliveredHistory, source: ExamplesSource
) -> dict[str, Fact]:
    """About what an example's user did before: as much as the examples say, and of all fields alike."""
    first, *others = (pl.col(name).list.len().fill_null(0) for name in source.histories())
    counted = {"histories: longest": first.max()}
    if others:
        counted["histories: examples in which they differ in length"] = pl.any_horizontal(
            other != first for other in others
        ).sum()
    if isinstance(history, EarlierExamples):
        rows = rows.join(_known_before(rows, history, source), on=[history.by, TIMESTAMP], how="left")
        expected = pl.col(_BEFORE).fill_null(0).clip(upper_bound=history.length)
        counted["histories: examples that do not know what came before, or know more"] = (
            first != expected
        ).sum()
    found = rows.select(value.alias(name) for name, value in counted.items()).collect(engine="streaming")
    return {
        name: (found[name].item() or 0, 0, history.length if name.endswith("longest") else 0)
        for name in counted
    }


def _known_before(rows: pl.LazyFrame, history: EarlierExamples, source: ExamplesSource) -> pl.LazyFrame:
    """How many behaviours each user has before each moment."""
    happened = pl.any_horizontal(pl.col(name).is_not_null() for name in history.fields)
    if history.classes is not None:
        places = [source.label.classes.index(name) for name in history.classes]
        happened &= pl.col(LABEL).is_in(places)
    moments = rows.group_by(history.by, TIMESTAMP).agg(happened.sum().cast(pl.Int64).alias(_BEFORE))
    count = pl.col(_BEFORE)
    return moments.sort(history.by, TIMESTAMP).with_columns(count.cum_sum().over(history.by) - count)


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
