"""The contract of the dataset artifact of a classifier."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from components.core.columns import (
    CODE,
    COUNT,
    ENCODING,
    FIELD,
    KIND,
    LABEL,
    LOW,
    OF,
    PART,
    PARTS,
    ROW,
    SIZE,
    TIMESTAMP,
    VALUE,
)
from components.core.gates import Gate
from components.core.recipe import PrepareExamplesParams
from components.core.recipe.examples import LISTS
from components.core.stage import Validation
from components.data.contracts.dataset.field_tables import (
    facts_by_field,
    field_facts,
    size_facts,
    value_facts,
)
from components.data.contracts.dataset.leaks import future_gates, leak_gate
from components.data.contracts.dataset.recount import Recount, recount
from components.data.contracts.dataset.value_gates import kept_gate, unknown_gate
from components.data.contracts.examination import Examination, Fact
from components.data.contracts.expectations import between, not_null, row_count, unique
from components.data.document import read_keys
from components.data.encoders.tables import by_field
from components.data.fields import (
    CODE_LIST,
    CODE_TYPE,
    EDGES,
    FIELDS,
    FIRST_VALUE,
    OUT_OF_VOCABULARY,
    VALUES,
)
from components.data.parquet import TableFile
from components.data.scanning import num_out_of_order, parts_by
from components.data.vocabulary import count_codes

Parts = Mapping[str, TableFile]
_AT_ONCE: Final = 1 << 20  # values that are looked at together
_PREPARATION: Final = (
    "classes", "fields", "equal_across_parts",
    *(f"{section}.{part}" for section in ("sizes", "class_counts") for part in PARTS),
)  # fmt: skip


def validate(
    output: Path, params: PrepareExamplesParams, inputs: Mapping[str, Path], docs: Path
) -> Validation:
    """Check the parts, what their codes stand for and what the preparation says of both; that nothing leaks
    between the parts; and how many of the champion's and of the test examples' values train knows.

    Raises:
        GateFailedError: an expectation failed.
    """
    exam = Examination("dataset", output, docs)
    several = {name: kind in LISTS for name, kind in params.kinds.items()}
    temporal = params.split.kind == "temporal"
    train = exam.file(
        "train.parquet", lambda found: _part_schema(several, timed=temporal or TIMESTAMP in found.names)
    )
    parts = {"train": train} | {part: exam.file(f"{part}.parquet", train.schema) for part in PARTS[1:]}
    fields = exam.table("fields.parquet", FIELDS)
    values, edges = exam.table("values.parquet", VALUES), exam.table("edges.parquet", EDGES)
    preparation = exam.document("preparation.json", lambda path: read_keys(path, _PREPARATION))
    _expect_fields(exam, fields, values, edges)
    _expect_examples(exam, parts, sum(preparation["sizes"].values()), len(params.classes))
    exam.require()  # what follows counts by field and code
    exam.facts("fields.parquet", field_facts(fields, params))
    exam.facts("sizes", size_facts(fields, values, edges, params))
    exam.require()
    found = {part: _recount(file, fields, whole=part == "train") for part, file in parts.items()}
    for part, of_fields in found.items():
        facts = facts_by_field(_wrong_codes(of_fields)) | _history_facts(of_fields, params)
        exam.facts(f"{part}.parquet", facts)
    count_S = {
        name: of_field.count_S for name, of_field in found["train"].items() if name not in params.histories
    }
    exam.facts("values.parquet", value_facts(values, edges, count_S, params))
    exam.facts("classes", _class_facts(parts, preparation, params))
    exam.facts("examples", _example_facts(parts, preparation, params, inputs))
    exam.gate(_leaks(parts, temporal=temporal))
    if "champion" in inputs:
        exam.gate([kept_gate(params.vocabulary, output, inputs["champion"])])
    shares = {
        name: int(of_field.count_S[OUT_OF_VOCABULARY]) / parts["test"].num_rows
        for name, of_field in found["test"].items()
    }
    exam.gate([unknown_gate(params.vocabulary, shares)])
    for name, table in {**parts, "fields": fields, "values": values}.items():
        exam.own(name, table, params.expectations)
    return exam.finish(docs=True)


def schemas(interactions: pa.Schema) -> dict[str, pa.Schema]:
    """Name of a table → what prepare makes of interactions with a schema."""
    several = {
        field.name: pa.types.is_list(field.type)
        for field in interactions
        if field.name not in {LABEL, TIMESTAMP, PART}
    }
    part = _part_schema(several, timed=TIMESTAMP in interactions.names)
    return {**dict.fromkeys(PARTS, part), "fields": FIELDS, "values": VALUES}


def _part_schema(several: Mapping[str, bool], *, timed: bool) -> pa.Schema:
    """Of fields, and whether an example may have several values of each."""
    codes = {name: CODE_LIST if many else CODE_TYPE for name, many in several.items()}
    times = {TIMESTAMP: pa.int64()} if timed else {}
    return pa.schema({ROW: pa.int64(), LABEL: pa.int32(), **codes, **times})


def _expect_fields(exam: Examination, fields: pa.Table, values: pa.Table, edges: pa.Table) -> None:
    columns = (FIELD, KIND, ENCODING, SIZE)
    exam.expect("fields.parquet", fields.to_pandas(), [*map(not_null, columns), unique(FIELD)])
    exam.expect(
        "values.parquet",
        _frames(values),
        [
            *map(not_null, VALUES.names),
            unique(FIELD, VALUE),
            between(CODE, FIRST_VALUE, None),
            between(COUNT, 1, None),
        ],
    )
    exam.expect("edges.parquet", edges.to_pandas(), [not_null(FIELD), not_null(CODE), not_null(LOW)])


def _frames(values: pa.Table) -> pd.DataFrame | Iterator[pd.DataFrame]:
    """All of them, or so many that they are one field's at a time."""
    if values.num_rows <= _AT_ONCE:
        frame: pd.DataFrame = values.to_pandas()
        return frame
    return (rows.to_pandas() for _, rows in by_field(values))


def _expect_examples(exam: Examination, parts: Parts, num_rows: int, num_classes: int) -> None:
    for part, file in parts.items():
        columns = [name for name in (ROW, LABEL, TIMESTAMP) if name in file.schema.names]
        exam.expect(
            f"{part}.parquet",
            (rows.to_pandas() for rows in parts_by(file, ROW, columns)),
            [
                row_count(0 if part == "valid" else 1),
                *map(not_null, columns),
                between(ROW, 0, num_rows - 1),
                between(LABEL, 0, num_classes - 1),
                unique(ROW),
            ],
        )


def _recount(file: TableFile, fields: pa.Table, *, whole: bool) -> dict[str, Recount]:
    """All codes that stand for values, or those alone that stand for none."""
    rows = fields.to_pylist()
    own = {row[FIELD]: row[SIZE] for row in rows}
    histories = {row[FIELD]: row[OF] for row in rows if row[OF] is not None}
    sizes = own | {name: own[of] for name, of in histories.items()}
    counted = {
        row[FIELD]: row[SIZE]
        if whole and row[ENCODING] != "hashed" and row[FIELD] not in histories
        else FIRST_VALUE
        for row in rows
    }
    return recount(file, sizes, counted, histories)


def _history_facts(found: Mapping[str, Recount], params: PrepareExamplesParams) -> dict[str, Fact]:
    """None is longer than it may be."""
    return {
        f"{name}: behaviours in the longest": (found[name].longest, 0, params.history_length)
        for name in params.histories
    }


def _wrong_codes(found: Mapping[str, Recount]) -> dict[str, dict[str, int]]:
    return {
        "values that are no codes": {name: one.not_codes for name, one in found.items()},
        "codes that repeat, or are none,": {name: one.not_sets for name, one in found.items()},
    }


def _class_facts(
    parts: Parts, preparation: Mapping[str, Any], params: PrepareExamplesParams
) -> dict[str, Fact]:
    """Every class stands in every part, as often as the preparation says."""
    others = preparation["classes"] != list(params.classes)
    facts: dict[str, Fact] = {"not the recipe's": (int(others), 0, 0)}
    for part, file in parts.items():
        count_C = count_codes(file.values(LABEL), len(params.classes))
        told = preparation["class_counts"][part]
        wrong = sum(told.get(name) != count for name, count in zip(params.classes, count_C, strict=True))
        facts[f"{part}: examples of the rarest"] = (int(count_C.min()), int(file.num_rows > 0), None)
        facts[f"{part}: wrong counts"] = (wrong, 0, 0)
    return facts


def _example_facts(
    parts: Parts,
    preparation: Mapping[str, Any],
    params: PrepareExamplesParams,
    inputs: Mapping[str, Path],
) -> dict[str, Fact]:
    """Every example stands in a part: as many as there are have different places among so many."""
    sizes = preparation["sizes"]
    count = sum(sizes.values())
    num_wrong = sum(num_out_of_order(file, ROW) for file in parts.values())
    facts: dict[str, Fact] = {"rows out of order": (num_wrong, 0, 0)}
    for part, file in parts.items():
        facts[f"{part} rows"] = (file.num_rows, sizes[part], sizes[part])
    if "interactions" in inputs:
        read = TableFile(inputs["interactions"] / "interactions.parquet").num_rows
        facts["rows of all parts"] = (count, read, read)
    split = params.split
    if split.kind != "given":
        shares = [Fraction(str(share)) for share in split.ratio]
        for part, share in zip(PARTS, shares, strict=True):
            quota = float(count * share / sum(shares))
            facts[f"{part} rows by the ratio"] = (sizes[part], quota - 1, quota + 1)
    return facts


def _leaks(parts: Parts, *, temporal: bool) -> Iterator[Gate]:
    """No example stands in two parts, and where time splits, no part knows the future of another."""
    row_N = np.sort(np.concatenate([file.values(ROW) for file in parts.values()]))
    count = int(np.count_nonzero(row_N[1:] == row_N[:-1]))
    told = f"{count:,} examples stand in two of train, valid and test"
    yield leak_gate("leaked_rows", count, told)
    if temporal:
        yield from future_gates(parts, "examples")
