"""Side tables: right, or an error; and joined as a dictionary would."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.core.errors import InvalidInputError
from components.core.manifest import MANIFEST
from components.core.recipe.examples import ExamplesSource
from components.data.parquet import read_table
from components.ingest.examples import read
from tests.unit.ingest.taking_in import ingest, profile_of, rows_of, written

BRANDS = '{"i": 1, "brand": "q"}\n{"i": 2, "brand": 5.0}\n'
USERS = "id,age,tags\nu1,30,x y\nu2,?,\n7,50,z\n"


def tables(folder: Path, users: str = USERS, **changes: Any) -> dict[str, Any]:
    return {
        "fields": {"categorical": {"user": "user", "item": "item"}},
        "missing": ["", "?"],
        "tables": {
            "users": {
                "path": written(folder / "users" / "a.csv", users),
                "field": "user",
                "key": "id",
                "fields": {
                    "numeric": {"age": "age"},
                    "multi_valued": {"tags": {"column": "tags", "separator": " "}},
                },
                **changes,
            },
            "items": {
                "path": written(folder / "items" / "a.jsonl", BRANDS),
                "format": {"kind": "jsonl"},
                "field": "item",
                "key": "i",
                "fields": {"categorical": {"brand": "brand"}},
            },
        },
    }  # fmt: skip


def test_side_tables_tell_more_of_a_field(tmp_path: Path) -> None:
    text = "label,user,item\n1,u1,2\n0,u9,1\n1,,2\n0,u2,3\n1,7,1\n"
    result = ingest(tmp_path, path=written(tmp_path / "a.csv", text), **tables(tmp_path))
    table = read_table(Path(result.uri) / "interactions.parquet")
    assert table.column_names == ["label", "age", "brand", "item", "tags", "user"]
    assert rows_of(result) == [
        (1, "u1", "2", 30.0, ["x", "y"], "5"),
        (0, "u9", "1", None, None, "q"),
        (1, None, "2", None, None, "5"),
        (0, "u2", "3", None, None, None),
        (1, "7", "1", 50.0, ["z"], "q"),
    ]
    assert profile_of(result)["tables"] == {
        "users": {"rows": 3, "unmatched": 2},
        "items": {"rows": 2, "unmatched": 1},
    }


@pytest.mark.parametrize(
    ("users", "told"),
    [
        (USERS + "u1,1,x\nu1,2,y\n", r"source\.tables\.users\.key: got 'u1' more than once, need each"),
        ("id,age,tags\n1,1,x\n1.0,1,x\n", None),
        (USERS + "?,1,x\n", r"rows that cannot be used \(1\);.*\n  the key is empty, as in a\.csv:5"),
        (USERS + "u3,old,x\n", r"users: got rows .*missing:\n  age is not a number, as in a\.csv:5"),
        (USERS + "u3\n", r"has not 3 fields, as in a\.csv:5"),
        ("id,age,tags\n", r"source\.tables\.users: got no rows, need one for each user"),
        ("", r"source\.tables\.users: got no rows"),
        ("id,age\n", r"a\.csv: columns: tags: got 'tags', no such column"),
    ],
)  # fmt: skip
def test_a_side_table_is_right_or_an_error(users: str, told: str | None, tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "label,user,item\n1,1,2\n0,1,1\n")
    if told is None:  # keys are compared as text
        assert ingest(tmp_path, path=path, **tables(tmp_path, users)).metrics["examples"] == 2
        return
    with pytest.raises(InvalidInputError, match=told):
        ingest(tmp_path, path=path, **tables(tmp_path, users))
    assert not list(tmp_path.rglob(MANIFEST))


SIDE = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9), min_size=1)
DRAWN = st.lists(st.sampled_from(["a", "b", "c", "d", "", "ab"]), min_size=1, max_size=30)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=25, deadline=None)
@given(side=SIDE, keys=DRAWN, size=st.integers(20, 200))
def test_a_join_is_that_of_a_dictionary(side: dict, keys: list, size: int, tmp_path_factory) -> None:
    """In batches that are so small that one file is several."""
    folder = tmp_path_factory.mktemp("join")
    text = "label,user\n" + "".join(f"{n % 2},{key}\n" for n, key in enumerate(keys))
    written(folder / "source" / "a.csv", text)
    written(
        folder / "table_1" / "b.csv", "k,v\n" + "".join(f"{key},{value}\n" for key, value in side.items())
    )
    source = ExamplesSource(
        path="x",
        fields={"categorical": {"user": "user"}},
        tables={"t": {"path": "y", "field": "user", "key": "k", "fields": {"numeric": {"v": "v"}}}},
    )
    inputs = {name: folder / name for name in source.locations()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("components.data.formats.delimited.BATCH_BYTES", max(size, 20))
        batches = list(read(source, inputs, 1))
    rows = [row for batch in batches for row in batch.rows.frame.select("label", "user", "v").iter_rows()]
    assert rows == [(n % 2, key or None, side.get(key)) for n, key in enumerate(keys)]
    assert sum(batch.joined["t"].unmatched for batch in batches) == sum(key not in side for key in keys)
