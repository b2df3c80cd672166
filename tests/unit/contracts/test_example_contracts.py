# ruff: noqa: E501  (a table reads best with one case a line)
"""The contract of labelled examples: it passes a good artifact and stops a broken one, by the name of what is
wrong."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components.core.errors import GateFailedError
from components.core.gates import Gate, gates_of
from components.core.recipe import IngestExamplesParams
from components.core.recipe.example_quality import ExampleChanges, ExampleQuality
from components.core.recipe.examples import ExamplesSource, SyntheticExamples
from components.core.recipe.quality import Bound, Expectation
from components.core.stage import Validation
from components.data import scanning
from components.data.contracts.interactions.classification import schema, validate
from components.data.document import write_document
from components.data.parquet import fingerprint, read_table, write_table

from . import artifacts as a

PARAMS = IngestExamplesParams(
    source=ExamplesSource(
        parts={"train": "x", "test": "y"},
        label={"classes": ["no", "yes", "perhaps"]},
        fields={
            "categorical": {"site": "s"},
            "numeric": {"price": "p"},
            "multi_valued": {"genres": {"column": "g"}},
        },
        timestamp="t",
        max_value_length=4,
    ),
    max_rejected_fraction=0.2,
    seed=1,
)
LISTS = pa.list_(pa.field("element", pa.string()))
NAN, INF = float("nan"), float("inf")


def examples(root: Path) -> None:
    """Five examples and a rejected row."""
    columns = {
        "label": [0, 1, 0, 1, 0],
        "site": ["a", None, "b", "aaaa", "a"],
        "price": [1.0, 2.0, None, -4.0, 1.0],
        "genres": [["x"], ["x", "y"], None, ["yyyy"], ["x"]],
        "timestamp": [10, 20, 30, 40, 10],
        "part": ["train", "train", "train", "test", "test"],
    }
    write_table(pa.table(columns, schema=schema(PARAMS)), root / "interactions.parquet")
    rejected = {"file": ["f.csv"], "line": [7], "reason": ["is empty"], "content": [""]}
    write_table(pa.table(rejected), root / "rejected.parquet")
    fields = {
        "site": {"kind": "categorical", "nulls": 1, "distinct": 3},
        "price": {"kind": "numeric", "nulls": 1, "distinct": 3, "min": -4, "max": 2, "mean": 0},
        "genres": {"kind": "multi_valued", "nulls": 1, "distinct": 3},
    }
    profile = {
        "rows": 6,
        "examples": 5,
        "classes": {"no": 3, "yes": 2, "perhaps": 0},
        "fields": fields,
        "duplicates": 1,
        "tables": {"sites": {"rows": 2, "unmatched": 1}, "ads": {"rows": 9, "unmatched": 0}},
    }
    write_document(profile, root / "profile.json")


def validated(
    root: Path,
    changes: Mapping[str, a.Break],
    *,
    params: IngestExamplesParams = PARAMS,
    inputs: Mapping[str, Path] | None = None,
    now_s: float = 100.0,
) -> Validation:
    output = root / "output"
    output.mkdir()
    examples(output)
    for change in changes.values():
        change(output)
    return validate(output, params, inputs or {}, root / "docs", clock=lambda: now_s)


def test_a_good_artifact_passes_and_its_tables_are_described(tmp_path: Path) -> None:
    found = validated(tmp_path, {})
    tables = {path.name: read_table(path) for path in (tmp_path / "output").glob("*.parquet")}
    assert found.tables == {
        name: (table.num_rows, fingerprint(table.schema)) for name, table in tables.items()
    }
    assert found.summary["success"] is True
    assert found.columns["interactions.parquet"]["genres"] == "list<element: string>"
    assert (tmp_path / "docs" / "gates.parquet").is_file()
    assert (tmp_path / "docs" / "data_docs" / "index.html").is_file()


def test_a_source_without_times_and_parts_has_no_such_columns() -> None:
    made_up = IngestExamplesParams(source=SyntheticExamples(), seed=1)
    assert schema(made_up).names == ["label", "device", "genres", "hour", "item", "price", "user"]
    assert schema(PARAMS).names == ["label", "genres", "price", "site", "timestamp", "part"]
    assert list(map(str, schema(PARAMS).types)) == [
        "int32", "list<element: string>", "double", "string", "int64", "string",
    ]  # fmt: skip


FILE = "interactions.parquet"
CASES: list[dict[str, a.Break]] = [
    {
        "interactions.parquet: label: expect_column_values_to_be_between(min_value=0.0, max_value=2.0): 2 of 5 values, such as 3, -1": a.column(FILE, "label", [0, 3, 0, 1, -1]),
        "timestamp: expect_column_values_to_be_between(min_value=0.0, max_value=4102444799.0): 1 of 5 values, such as -3": a.column(FILE, "timestamp", [1, 2, -3, 4, 5]),
        "part: expect_column_values_to_be_in_set(value_set=['train', 'test']): 1 of 5 values, such as 'dev'": a.column(FILE, "part", ["train", "train", "dev", "test", "test"]),
        "site: characters of the longest value": a.column(FILE, "site", ["a", "b", "aaaaa", None, ""]),
        "price: values that are not finite": a.column(FILE, "price", [1, NAN, INF, None, 1]),
        "genres: empty lists": a.column(FILE, "genres", [["x"], [], [None, "y"], None, ["x", "yyyyy"]], LISTS),
        "genres: missing values in lists": lambda root: None,
        "genres: characters of the longest value": lambda root: None,
        "rejected.parquet: line: expect_column_values_to_be_between": a.column("rejected.parquet", "line", [0]),
    },
    {
        "label: expect_column_values_to_not_be_null(): 1 of 5 values": a.column(FILE, "label", [0, 1, None, 1, 0]),
        "timestamp: expect_column_values_to_not_be_null(): 1 of 5 values": a.column(FILE, "timestamp", [0, 1, None, 1, 0]),
        "part: expect_column_values_to_not_be_null(): 1 of 5 values": a.column(FILE, "part", ["train", "test", None, "test", "test"]),
    },
    {"interactions.parquet schema: genres: expect_column_values_to_be_in_set(value_set=['list<element: string>']): 1 of 1 values, such as 'string'": a.column(FILE, "genres", list("abcde"), pa.string())},
    {"interactions.parquet schema: label, genres, price, site, timestamp, part: expect_table_columns_to_match_ordered_list": a.without(FILE, "site")},
    {"interactions.parquet: rows: expect_table_row_count_to_be_between(min_value=1): found 0": a.rows(FILE, [])},
    {
        "interactions facts: rows read": a.document("profile.json", "rows", value=5),
        "interactions facts: examples in the profile": a.document("profile.json", "examples", value=6),
        "interactions facts: classes are the profile's": a.document("profile.json", "classes", "yes", value=3),
        "interactions facts: fields whose missing values are not the profile's": a.document("profile.json", "fields", "site", "nulls", value=0),
        "interactions facts: duplicates in the profile": a.document("profile.json", "duplicates", value=5),
    },
    {
        "the delivery: rejected: 3 of 8 rows (37.50%) cannot be used; max_rejected_fraction allows 20.00%": a.rows("rejected.parquet", [0, 0, 0]),
        "the delivery: rejected": a.document("profile.json", "rows", value=8),
    },
    {"profile.json: cannot be read: KeyError": a.content("profile.json", b"{}")},
    {"profile.json: cannot be read": a.content("profile.json", b"{")},
    {"interactions.parquet: cannot be read": a.content(FILE, b"PAR1")},
    {"rejected.parquet: cannot be read": a.content("rejected.parquet", None)},
]  # fmt: skip


@pytest.mark.parametrize("changes", CASES, ids=[next(iter(changes))[:70] for changes in CASES])
@pytest.mark.parametrize("rows", [1, 1 << 20])
def test_a_broken_artifact_is_stopped_and_leaves_data_docs(
    changes: dict[str, a.Break], rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the table is looked at in parts."""
    monkeypatch.setattr(scanning, "_PART_ROWS", rows)
    with pytest.raises(GateFailedError) as error:
        validated(tmp_path, changes)
    assert [told for told in changes if told not in str(error.value)] == []
    assert (tmp_path / "docs" / "data_docs" / "index.html").is_file()
    assert any(gate.outcome == "stopped" for gate in error.value.gates)


def gates(validation: Validation, subject: str) -> dict[str, Gate]:
    return {gate.name: gate for gate in gates_of(validation.summary) if gate.subject == subject}


def test_a_delivery_by_itself(tmp_path: Path) -> None:
    bounds = {"rarest_class": {"min": 0.1}, "nulls": {"max": 0.1, "severity": "warn"}, "age_s": {"max": 60}}
    quality = ExampleQuality.model_validate({"delivery": bounds})
    params = PARAMS.model_copy(update={"quality": quality})
    found = gates(validated(tmp_path, {}, params=params), "the delivery")
    assert {name: (gate.value, gate.outcome) for name, gate in found.items()} == {
        "rejected": (1 / 6, "passed"),
        "missing_classes": (1, "warned"),
        "rarest_class": (0, "warned"),
        "duplicates": (1 / 5, "passed"),
        "nulls": (1 / 5, "warned"),
        "unmatched": (1 / 5, "passed"),
        "age_s": (60, "passed"),
    }
    assert found["missing_classes"].told == "no example is of the classes perhaps; need at most 0"
    assert (
        found["rarest_class"].told
        == "0.00% of the examples are of class perhaps, the rarest; need at least 0.1"
    )
    assert found["age_s"].told == "the last example was 60 seconds ago"


def test_own_expectations_are_gates(tmp_path: Path) -> None:
    between = {"column": "price", "min_value": 0, "max_value": 3}
    own = Expectation(expect="expect_column_values_to_be_between", arguments=between, severity="warn")
    params = PARAMS.model_copy(update={"quality": ExampleQuality(expectations=(own,))})
    found = gates(validated(tmp_path, {}, params=params), "interactions: price")
    assert found["expect_column_values_to_be_between"].value == pytest.approx(1 / 4)
    assert found["expect_column_values_to_be_between"].outcome == "warned"


def test_a_delivery_against_earlier_ones(tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.mkdir()
    examples(before)
    a.column(FILE, "site", ["c", "c", "c", "c", "c"])(before)
    a.column(FILE, "timestamp", [1, 2, 3, 4, 5])(before)
    a.document("profile.json", "fields", "site", "nulls", value=0)(before)
    a.document("profile.json", "classes", value={"no": 1, "never": 4})(before)
    bounds = ExampleChanges(drift=Bound(max=0.5, severity="stop"), new_values=Bound(max=0.5))
    params = PARAMS.model_copy(update={"quality": ExampleQuality(champion=bounds)})
    with pytest.raises(GateFailedError, match=r"drift: the values of site lie 1\.000 apart") as error:
        validated(tmp_path, {}, params=params, inputs={"previous": before, "champion": before})
    told = {(gate.subject, gate.name): gate for gate in error.value.gates}
    champion, previous = "against the champion's delivery", "against the previous delivery"
    assert told[champion, "drift"].outcome == "stopped"
    assert told[champion, "new_values"].outcome == "warned"
    assert (
        told[champion, "new_values"].told
        == "80.0% of the examples have a value of site that is new; need at most 0.5"
    )
    assert told[previous, "drift"].outcome == "passed"
    assert told[previous, "volume"].value == 1
    assert told[previous, "gap_s"].told == "begins 5 seconds after it ended"
    p, q = np.array([3, 2, 0, 0]) / 5, np.array([1, 0, 4, 0]) / 5
    assert told[previous, "label"].value == pytest.approx(jensen_shannon(p, q))


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    def entropy(shares: np.ndarray) -> float:
        return -sum(share * np.log2(share) for share in shares if share)

    return float(np.sqrt(entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2))
