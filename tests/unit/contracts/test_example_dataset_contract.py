# ruff: noqa: E501  (a table reads best with one case a line)
"""The contract of a classifier's dataset passes a good one, and stops a broken one by the name of what is wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.core.errors import GateFailedError
from components.core.gates import Gate, gates_of
from components.core.recipe import PrepareExamplesParams
from components.core.recipe.example_preparation import QuantileEncoding
from components.core.recipe.example_quality import Values
from components.core.recipe.quality import Bound, Expectation
from components.core.stage import Validation
from components.data.contracts.dataset import classification
from components.data.contracts.dataset.classification import validate
from components.data.document import write_document
from components.data.fields import CODE_LIST, EDGES, FIELDS, VALUES
from components.data.parquet import fingerprint, read_table, write_table

from . import artifacts as a

INF = float("inf")
PARAMS = PrepareExamplesParams(
    kinds={
        "item": "categorical",
        "site": "categorical",
        "price": "numeric",
        "amount": "numeric",
        "genres": "multi_valued",
    },
    classes=("no", "yes"),
    split={"kind": "temporal", "ratio": [6, 2, 2]},
    encodings={
        "categorical": {"kind": "values", "min_count": 2},
        "numeric": {"kind": "quantile", "buckets": 3},
        "fields": {"site": {"kind": "hashed", "buckets": 3}, "amount": {"kind": "log2"}},
    },
    seed=1,
)
ROWS: dict[str, dict[str, list[Any]]] = {
    "train": {
        "row": [0, 1, 2, 3, 4, 5],
        "label": [0, 1, 0, 1, 0, 1],
        "item": [2, 2, 3, 3, 1, 0],
        "site": [2, 3, 4, 2, 1, 3],
        "price": [2, 2, 3, 3, 4, 1],
        "amount": [2, 3, 2, 3, 2, 1],
        "genres": [[2], [2, 3], [1], [3], [2, 3], [0, 2]],
        "timestamp": [0, 1, 2, 3, 4, 5],
    },
    "valid": {
        "row": [6, 7],
        "label": [0, 1],
        "item": [2, 0],
        "site": [2, 4],
        "price": [4, 1],
        "amount": [0, 2],
        "genres": [[2], [0]],
        "timestamp": [6, 7],
    },
    "test": {
        "row": [8, 9],
        "label": [1, 0],
        "item": [3, 0],
        "site": [4, 1],
        "price": [2, 4],
        "amount": [3, 3],
        "genres": [[1], [3]],
        "timestamp": [8, 9],
    },
}
FIELD_ROWS = [
    ("item", "categorical", "values", None, 4, None, None),
    ("site", "categorical", "hashed", None, 5, None, None),
    ("price", "numeric", "quantile", None, 5, None, None),
    ("amount", "numeric", "log2", None, 4, None, None),
    ("genres", "multi_valued", "values", "mean", 4, None, None),
]
VALUE_ROWS = [
    ("item", 2, "a", 2), ("item", 3, "b", 2),
    ("price", 2, "(-inf, 2)", 2), ("price", 3, "[2, 5)", 2), ("price", 4, "[5, inf)", 1),
    ("amount", 2, "-1", 3), ("amount", 3, "4", 2),
    ("genres", 2, "x", 4), ("genres", 3, "y", 3),
]  # fmt: skip
EDGE_ROWS = [("price", 2, -INF), ("price", 3, 2.0), ("price", 4, 5.0)]


def dataset(root: Path) -> None:
    types = {"row": pa.int64(), "timestamp": pa.int64(), "genres": CODE_LIST}
    for part, columns in ROWS.items():
        arrays = {name: pa.array(values, types.get(name, pa.int32())) for name, values in columns.items()}
        write_table(pa.table(arrays), root / f"{part}.parquet")
    for name, schema, rows in (
        ("fields", FIELDS, FIELD_ROWS),
        ("values", VALUES, VALUE_ROWS),
        ("edges", EDGES, EDGE_ROWS),
    ):
        table = pa.table([list(column) for column in zip(*rows, strict=True)], schema=schema)
        write_table(table, root / f"{name}.parquet")
    sizes = {"train": 6, "valid": 2, "test": 2}
    document = {
        "classes": ["no", "yes"],
        "sizes": sizes,
        "split": {"kind": "temporal", "sizes": sizes},
        "class_counts": {part: {"no": size // 2, "yes": size // 2} for part, size in sizes.items()},
        "fields": {},
        "equal_across_parts": 0,
    }
    write_document(document, root / "preparation.json")


def examined(
    root: Path,
    changes: Mapping[str, a.Break],
    params: PrepareExamplesParams = PARAMS,
    champion: Mapping[str, a.Break] | None = None,
) -> Validation:
    """What the contract finds in the good dataset after some changes, against a champion's after others."""
    output, before = root / "output", root / "champion"
    for place, broken in ((output, changes), (before, champion or {})):
        place.mkdir()
        dataset(place)
        for change in broken.values():
            change(place)
    return validate(output, params, {} if champion is None else {"champion": before}, root / "docs")


def values(column: str, found: list[Any]) -> a.Break:
    return a.column("values.parquet", column, found)


def test_a_good_dataset_passes_and_its_tables_are_described(tmp_path: Path) -> None:
    found = examined(tmp_path, {})
    tables = {path.name: read_table(path) for path in (tmp_path / "output").glob("*.parquet")}
    assert len(tables) == 6
    assert found.tables == {
        name: (table.num_rows, fingerprint(table.schema)) for name, table in tables.items()
    }
    assert found.summary["success"] is True
    assert (tmp_path / "docs" / "gates.parquet").is_file()
    assert (tmp_path / "docs" / "data_docs" / "index.html").is_file()


def test_many_values_are_looked_at_by_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classification, "_AT_ONCE", 3)
    assert examined(tmp_path, {}).summary["success"] is True


# For each case what the message must say, with the change that makes it so; changes in one case are
# found, and told, together.
CASES: list[dict[str, a.Break]] = [
    {
        "train.parquet: label: expect_column_values_to_be_between(min_value=0.0, max_value=1.0): 1 of 6 values, such as 2": a.column("train.parquet", "label", [0, 1, 0, 1, 0, 2]),
        "valid.parquet: row: expect_column_values_to_be_between(min_value=0.0, max_value=9.0): 1 of 2 values, such as 10": a.column("valid.parquet", "row", [6, 10]),
        "test.parquet: timestamp: expect_column_values_to_not_be_null": a.column("test.parquet", "timestamp", [8, None]),
        "fields.parquet: size: expect_column_values_to_not_be_null": a.column("fields.parquet", "size", [4, 5, 5, 4, None]),
        "values.parquet: code: expect_column_values_to_be_between(min_value=2.0): 1 of 9 values, such as 1": values("code", [1, 3, 2, 3, 4, 2, 3, 2, 3]),
        "values.parquet: count: expect_column_values_to_be_between(min_value=1.0): 1 of 9 values, such as 0": values("count", [2, 2, 2, 2, 0, 3, 2, 4, 3]),
        "values.parquet: field, value: expect_compound_columns_to_be_unique(): 2 of 9": values("value", ["a", "a", "(-inf, 2)", "[2, 5)", "[5, inf)", "-1", "4", "x", "y"]),
        "edges.parquet: low: expect_column_values_to_not_be_null": a.column("edges.parquet", "low", [-INF, None, 5]),
    },
    {"train.parquet: row: expect_column_values_to_be_unique(): 2 of 6": a.column("train.parquet", "row", [0, 1, 2, 3, 4, 4])},
    {"train.parquet: rows: expect_table_row_count_to_be_between(min_value=1): found 0": a.rows("train.parquet", [])},
    {"train.parquet schema: genres: expect_column_values_to_be_in_set": a.column("train.parquet", "genres", [2] * 6, pa.int32())},
    {"train.parquet schema: row, label, item, site, price, amount, genres, timestamp: expect_table_columns_to_match_ordered_list": a.without("train.parquet", "timestamp")},
    {"values.parquet schema: count: expect_column_values_to_be_in_set": a.column("values.parquet", "count", [1] * 9, pa.int32())},
    {"preparation.json: cannot be read: KeyError: 'class_counts.valid'": a.document("preparation.json", "class_counts", value={"train": {}})},
    {
        "fields.parquet facts: kind other than the recipe's": a.column("fields.parquet", "kind", ["numeric", *(row[1] for row in FIELD_ROWS[1:])]),
        "fields.parquet facts: of other than the recipe's": a.column("fields.parquet", "of", [None, "item", None, None, None]),
        "fields.parquet facts: pooling other than the recipe's": a.column("fields.parquet", "pooling", [None] * 5),
        "sizes facts: wrong size of site, genres": a.column("fields.parquet", "size", [4, 6, 5, 4, 9]),
        "sizes facts: wrong number of edges of price": a.rows("edges.parquet", [0, 1]),
    },
    {
        "fields.parquet facts: field other than the recipe's": a.rows("fields.parquet", [1, 0, 2, 3, 4]),
        "fields.parquet facts: encoding other than the recipe's": lambda root: None,
    },
    {"sizes facts: values out of the order of fields": a.rows("values.parquet", [0, 1, 5, 6, 2, 3, 4, 7, 8])},
    {"sizes facts: edges out of the order of fields": a.rows("edges.parquet", [])},
    {
        "train.parquet facts: values that are no codes of item, genres": a.column("train.parquet", "item", [2, 2, 3, 3, 1, 4]),
        "train.parquet facts: codes that repeat, or are none, of genres": a.column("train.parquet", "genres", [[2], [2, 2], [1], [], None, [0, 7]]),
        "valid.parquet facts: values that are no codes of price": a.column("valid.parquet", "price", [4, None]),
        "test.parquet facts: values that are no codes of site": a.column("test.parquet", "site", [5, -1]),
        "values.parquet facts: wrong counts of genres": lambda root: None,
    },
    {
        "values.parquet facts: holes in the codes of item": values("code", [2, 4, 2, 3, 4, 2, 3, 2, 3]),
        "values.parquet facts: wrong counts of item, price, amount, genres": values("count", [1, 2, 1, 2, 2, 3, 3, 4, 2]),
        "values.parquet facts: rarer than min_count of item": lambda root: None,
        "values.parquet facts: values out of order of item, amount, genres": values("value", ["b", "a", "(-inf, 2)", "[2, 5)", "[5, 9)", "4", "-1", "y", "x"]),
        "values.parquet facts: values of other edges of price": lambda root: None,
        "values.parquet facts: holes in the codes of edges of price": a.column("edges.parquet", "code", [2, 3, 5]),
    },
    {"values.parquet facts: values out of order of amount": values("value", ["a", "b", "(-inf, 2)", "[2, 5)", "[5, inf)", "-1", "many", "x", "y"])},
    {"values.parquet facts: edges out of order of price": a.column("edges.parquet", "low", [-INF, 5, 2])},
    {"values.parquet facts: edges out of order of price": a.column("edges.parquet", "low", [0, 2, 5])},
    {"values.parquet facts: edges out of order of price": a.column("edges.parquet", "low", [-INF, 2, INF])},
    {
        "classes facts: not the recipe's": a.document("preparation.json", "classes", value=["yes", "no"]),
        "classes facts: train: examples of the rarest": a.column("train.parquet", "label", [1] * 6),
        "classes facts: train: wrong counts": lambda root: None,
        "classes facts: test: wrong counts": a.document("preparation.json", "class_counts", "test", value={"no": 1}),
    },
    {
        "examples facts: valid rows: expect_column_values_to_be_between(min_value=3.0, max_value=3.0)": a.document("preparation.json", "sizes", "valid", value=3),
        "examples facts: rows out of order": a.rows("train.parquet", [1, 0, 2, 3, 4, 5]),
        "leaks: leaked_rows: 1 examples stand in two of train, valid and test; need 0": a.column("valid.parquet", "row", [5, 7]),
        "leaks: future_in_train: 1 examples in train are later than the first in valid; need 0": a.column("valid.parquet", "timestamp", [4, 7]),
    },
    {"examples facts: test rows by the ratio": a.document("preparation.json", "sizes", value={"train": 6, "valid": 0, "test": 4})},
]  # fmt: skip


@pytest.mark.parametrize("changes", CASES, ids=[next(iter(case))[:60] for case in CASES])
def test_what_is_broken_is_named(changes: dict[str, a.Break], tmp_path: Path) -> None:
    with pytest.raises(GateFailedError) as error:
        examined(tmp_path, changes)
    for told in changes:
        assert told in str(error.value)
    assert (tmp_path / "docs" / "data_docs" / "index.html").is_file()


def test_every_example_of_the_interactions_is_in_a_part(tmp_path: Path) -> None:
    dataset(tmp_path)
    write_table(pa.table({"label": [0] * 11}), tmp_path / "interactions.parquet")
    with pytest.raises(GateFailedError, match="examples facts: rows of all parts"):
        validate(tmp_path, PARAMS, {"interactions": tmp_path}, tmp_path / "docs")


def test_there_are_no_more_buckets_than_the_recipe_has(tmp_path: Path) -> None:
    numeric = QuantileEncoding(buckets=2)
    encodings = PARAMS.encodings.model_copy(update={"numeric": numeric})
    with pytest.raises(GateFailedError, match="sizes facts: too many buckets of price"):
        examined(tmp_path, {}, PARAMS.model_copy(update={"encodings": encodings}))


def gates(root: Path, vocabulary: Values, champion: Mapping[str, a.Break]) -> dict[str, Gate]:
    params = PARAMS.model_copy(update={"vocabulary": vocabulary})
    return {gate.name: gate for gate in gates_of(examined(root, {}, params, champion).summary)}


def test_vocabulary_and_leaks_are_gates(tmp_path: Path) -> None:
    """The champion knew another genre, and other buckets, which say nothing."""
    others = ["a", "b", "(-inf, 1)", "[1, 4)", "[4, inf)", "-1", "4", "w", "x"]
    bounds = Values(kept_values=Bound(min=0.6), unknown=Bound(max=0.5, severity="stop"))
    found = gates(tmp_path, bounds, {"values": values("value", others)})
    leaks = [(gate.name, gate.value) for gate in found.values() if gate.subject == "leaks"]
    assert leaks == [("leaked_rows", 0), ("future_in_train", 0), ("future_in_valid", 0)]
    assert (found["kept_values"].value, found["kept_values"].outcome) == (0.5, "warned")
    assert found["kept_values"].told == "50.0% of the 2 values of 'genres' are still there; need at least 0.6"
    assert (found["unknown"].value, found["unknown"].outcome) == (0.5, "passed")
    assert found["unknown"].told == "50.0% of the test examples have a value of 'item' out of vocabulary"


def test_too_much_out_of_vocabulary_stops(tmp_path: Path) -> None:
    told = "unknown: 50.0% of the test examples have a value of 'item' out of vocabulary; need at most 0.4"
    with pytest.raises(GateFailedError, match=told):
        gates(tmp_path, Values(unknown=Bound(max=0.4, severity="stop")), {})


def test_without_a_field_in_common_nothing_is_compared(tmp_path: Path) -> None:
    other = a.column("fields.parquet", "field", ["i", "s", "p", "q", "g"])
    names = a.column("values.parquet", "field", ["i"] * 2 + ["p"] * 3 + ["q"] * 2 + ["g"] * 2)
    found = gates(tmp_path, Values(kept_values=Bound(min=1, severity="stop")), {"f": other, "v": names})
    assert (found["kept_values"].value, found["kept_values"].told) == (None, "no field to compare")


def test_own_expectations_look_at_every_table(tmp_path: Path) -> None:
    asked = [
        {
            "expect": "expect_column_values_to_be_in_set",
            "table": "train",
            "arguments": {"column": "site", "value_set": [1, 2, 3, 4]},
        },
        {
            "expect": "expect_table_row_count_to_be_between",
            "table": "values",
            "arguments": {"max_value": 5},
            "severity": "warn",
        },
        {
            "expect": "expect_column_values_to_be_between",
            "table": "fields",
            "arguments": {"column": "size", "max_value": 5},
        },
    ]
    expectations = tuple(map(Expectation.model_validate, asked))
    found = examined(tmp_path, {}, PARAMS.model_copy(update={"expectations": expectations}))
    own = {gate.subject: gate.outcome for gate in gates_of(found.summary) if gate.name.startswith("expect_")}
    assert own == {"train: site": "passed", "values": "warned", "fields: size": "passed"}
