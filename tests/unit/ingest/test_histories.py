"""What users did before: from the examples themselves, and from columns."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.recipe.examples import EarlierExamples, ExamplesSource
from components.data.parquet import read_table, write_table
from components.ingest.histories import add_histories
from tests.unit.ingest.taking_in import ingest, profile_of, rejected_of, written

ROWS = "label,user,item,kind,time\n"
FIELDS = {"categorical": {"user": "user", "item": "item", "kind": "kind"}}


def histories_of(result: Any) -> list[Any]:
    table = read_table(Path(result.uri) / "interactions.parquet")
    names = [name for name in table.column_names if name.startswith("history_")]
    return [tuple(row.values()) for row in table.select(names).to_pylist()]


def test_a_history_is_what_the_user_did_before(tmp_path: Path) -> None:
    text = ROWS + (
        "1,u,c,x,30\n"  # not the first in time
        "0,u,a,,10\n"
        "1,v,b,y,15\n"
        "1,u,b,y,20\n"
        "0,u,d,x,20\n"  # at the same moment: neither knows the other
        "0,,a,x,40\n"  # nobody's
        "1,u,,,25\n"  # no behaviour, as nothing is told of it
    )
    result = ingest(
        tmp_path,
        path=written(tmp_path / "a.csv", text),
        fields=FIELDS,
        timestamp="time",
        history={"kind": "earlier", "by": "user", "fields": ["item", "kind"], "length": 2},
    )
    assert histories_of(result) == [
        (["b", "d"], ["y", "x"]),
        (None, None),
        (None, None),
        (["a"], [None]),
        (["a"], [None]),
        (None, None),
        (["b", "d"], ["y", "x"]),
    ]
    told = profile_of(result)["fields"]["history_item"]
    assert told == {"kind": "history", "nulls": 3, "distinct": 3}


def test_only_some_classes_are_behaviours(tmp_path: Path) -> None:
    text = ROWS + "0,u,a,x,1\n1,u,b,x,2\n0,u,c,x,3\n1,u,d,x,4\n"
    history = {"kind": "earlier", "by": "user", "fields": ["item"], "classes": ["1"]}
    path = written(tmp_path / "a.csv", text)
    result = ingest(tmp_path, path=path, fields=FIELDS, timestamp="time", history=history)
    assert histories_of(result) == [(None,), (None,), (["b"],), (["b"],)]


def slowly(rows: list[dict[str, Any]], history: EarlierExamples) -> list[list[Any] | None]:
    found: list[list[Any] | None] = []
    for row in rows:
        before = [
            (other["timestamp"], place, other["item"])
            for place, other in enumerate(rows)
            if row["user"] is not None
            and other["user"] == row["user"]
            and other["timestamp"] < row["timestamp"]
            and other["item"] is not None
            and (history.classes is None or str(other["label"]) in history.classes)
        ]
        found.append([item for *_, item in sorted(before)][-history.length :] or None)
    return found


a_row = st.fixed_dictionaries(
    {
        "label": st.integers(0, 2),
        "item": st.sampled_from(["a", "b", "c", None]),
        "user": st.sampled_from(["u", "v", "w", None]),
        "timestamp": st.integers(0, 6),
    }
)


def test_one_behaviour_of_which_a_value_is_missing(tmp_path: Path) -> None:
    result = delivered(tmp_path, "1,u,a,x,a,\n0,u,b,x,,x\n1,u,b,x,,\n0,v,a,x,a,-\n")
    assert histories_of(result) == [(["a"], [None]), ([None], ["x"]), (None, None), (["a"], [None])]


def test_a_file_in_which_nobody_has_a_history(tmp_path: Path) -> None:
    users = {"label": ["0", "1"], "user": ["u", "v"], "item": ["a", "b"], "kind": ["x", "y"]}
    told = {"kind": "delivered", "columns": {"item": "seen", "kind": "kinds"}}
    full = {**users, "seen": [["a"], ["b", "a"]], "kinds": [["x"], ["y", "x"]]}
    write_table(pa.table(full), tmp_path / "some" / "b.parquet") if (
        tmp_path / "some"
    ).mkdir() is None else None
    nothing = {**users, "seen": pa.nulls(2), "kinds": pa.array([[], []], pa.list_(pa.null()))}
    write_table(pa.table(nothing), tmp_path / "some" / "a.parquet")
    result = ingest(
        tmp_path, path=str(tmp_path / "some"), fields=FIELDS, history=told, format={"kind": "parquet"}
    )
    assert histories_of(result) == [(None, None), (None, None), (["a"], ["x"]), (["b", "a"], ["y", "x"])]


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(a_row, max_size=30),
    length=st.integers(1, 4),
    classes=st.sampled_from([None, ("1",), ("0", "2")]),
)
def test_histories_equal_those_of_a_slow_version(
    rows: list[dict[str, Any]], length: int, classes: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("histories") / "table.parquet"
    lists = pa.list_(pa.field("element", pa.string()))
    columns = pa.schema(
        {
            "label": pa.int32(),
            "history_item": lists,
            "item": pa.string(),
            "user": pa.string(),
            "timestamp": pa.int64(),
        }
    )
    read = pa.schema([field for field in columns if field.name != "history_item"])
    write_table(pa.Table.from_pylist(rows, read), place)
    history = EarlierExamples(by="user", fields=("item",), length=length, classes=classes)
    found = read_table(add_histories(history, ("0", "1", "2"), place, columns))
    assert found.schema == columns
    assert found["history_item"].to_pylist() == slowly(rows, history)
    assert found.select(read.names).to_pylist() == pa.Table.from_pylist(rows, read).to_pylist()


def delivered(tmp_path: Path, text: str, **history: Any) -> Any:
    columns = {"item": "seen", "kind": "kinds"}
    path = written(tmp_path / "a.csv", "label,user,item,kind,seen,kinds\n" + text)
    told = {"kind": "delivered", "columns": columns, "length": 3, **history}
    return ingest(tmp_path, path=path, fields=FIELDS, history=told, missing=["", "-"])


def test_delivered_histories_keep_order_repeats_and_the_last_ones(tmp_path: Path) -> None:
    result = delivered(tmp_path, "1,u,a,x,a|b|a|c,x|-|x|y\n0,u,b,x,,\n1,u,b,x,b|c,\n0,v,a,x,-|a,x|y\n")
    assert histories_of(result) == [
        (["b", "a", "c"], [None, "x", "y"]),
        (None, None),
        ([None, "a"], ["x", "y"]),
    ]
    assert rejected_of(result) == [("a.csv", 4, "history_kind has not as many values as history_item")]


def earlier(by: str, *fields: str, **changes: Any) -> dict[str, Any]:
    history = {"kind": "earlier", "by": by, "fields": fields, **changes}
    return {"timestamp": "time", "history": history}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({**earlier("user", "item"), "timestamp": None}, "'earlier', which needs timestamp"),
        (
            earlier("who", "item"),
            r"history\.by: got 'who', need one of fields\.categorical, \['item', 'kind', 'user'\]",
        ),
        (earlier("user", "price"), "history: got the field 'price', need categorical fields, of"),
        (earlier("user", "item", "item"), "need each once"),
        (
            earlier("user", "item", classes=["7"]),
            r"history\.classes: got \['7'\], need some of \['0', '1'\]",
        ),
        (
            {
                "fields": {"categorical": {"item": 0, "history_item": 1}},
                "history": {"kind": "delivered", "columns": {"item": 2}},
            },
            "'history_item'] stand twice",
        ),
    ],
)
def test_what_a_history_cannot_be(changes: dict[str, Any], told: str) -> None:
    fields = {**FIELDS, "numeric": {"price": "price"}}
    with pytest.raises(ValueError, match=told):
        ExamplesSource.model_validate({"path": "x", "fields": fields, **changes})
