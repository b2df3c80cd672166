"""The recipe's own expectations, from the recipe to the gates and the pages."""

import inspect
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from components.catalog import INGEST, PREPARE
from components.core.errors import GateFailedError, InvalidInputError
from components.core.gates import gates_of
from components.core.recipe import IngestParams, PrepareParams
from components.core.recipe.expectations import CORE, REFUSED
from components.core.recipe.quality import Expectation, Quality
from components.core.recipe.schema import recipe_schema
from components.core.recipe.source import SyntheticSource
from components.core.strategy import load_object
from components.data.contracts.data_docs import bounds
from components.data.contracts.examination import Examination
from components.data.contracts.findings import shown
from components.data.contracts.own import check
from components.data.parquet import write_table

SCHEMA = pa.schema(
    {"user_id": pa.string(), "item_id": pa.string(), "rating": pa.float64(), "timestamp": pa.int64()}
)
TABLE = pa.table(
    {
        "user_id": ["a", "a", "b", "c"],
        "item_id": ["x", "y", "x", "<b>"],
        "rating": [1.0, 2.0, 3.0, 10.0],
        "timestamp": [1, 2, 3, 4],
    },
    schema=SCHEMA,
)
# Arguments that each expectation that needs some can be asked with.
VALUES: dict[str, Any] = {
    "column": "rating", "column_A": "rating", "column_B": "rating", "column_list": ["user_id", "item_id"],
    "value_set": [1.0], "value": 4, "min_value": 0, "threshold": 3, "double_sided": True, "type_": "float64",
    "type_list": ["float64"], "regex": "^.", "regex_list": ["^."], "strftime_format": "%Y", "json_schema": {},
    "value_pairs_set": [[1, 1]], "sum_total": 3, "column_set": ["user_id"],
    "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 10]]},
    "partition_object": {"bins": [0, 2, 5], "weights": [0.5, 0.5]},
}  # fmt: skip
OF_TEXT = ("regex", "lengths", "json", "dateutil", "strftime")


def own(name: str, severity: str = "stop", **arguments: Any) -> Expectation:
    return Expectation.model_validate(
        {"expect": f"expect_{name}", "arguments": arguments, "severity": severity}
    )


def some_arguments(name: str) -> dict[str, Any]:
    required, optional = CORE[name]
    chosen = [*required, *({"min_value"} & set(optional))]
    arguments = {argument: VALUES[argument] for argument in chosen}
    if "column" in arguments and any(word in name for word in OF_TEXT):
        arguments["column"] = "user_id"
    if "sum" in name and "column_list" in arguments:
        arguments["column_list"] = ["rating", "timestamp"]
    return arguments


def test_the_list_of_names_and_arguments_is_that_of_the_installed_release() -> None:
    """Arguments that only say how a result is told or stored are not a recipe's."""
    from great_expectations import expectations
    from great_expectations.expectations.expectation import Expectation as Core

    about = {
        *("id", "meta", "notes", "result_format", "description", "catch_exceptions", "rendered_content"),
        *("windows", "batch_id", "severity", "library_metadata"),
    }
    found = {}
    for name, kind in vars(expectations).items():
        if (
            inspect.isclass(kind)
            and issubclass(kind, Core)
            and name.startswith("Expect")
            and kind is not Core
        ):
            snake = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
            fields = {key: field for key, field in kind.__fields__.items() if key not in about}
            found[snake] = fields
    assert found.keys() == CORE.keys() | REFUSED.keys()
    for name, (required, optional) in CORE.items():
        assert {*required, *optional} == found[name].keys(), name
        assert {key for key, field in found[name].items() if field.required} <= set(required), name


def test_each_of_them_can_be_asked() -> None:
    asked = [Expectation(expect=name, arguments=some_arguments(name)) for name in CORE]
    check(asked, {"interactions": SCHEMA})


def test_an_editor_completes_the_names() -> None:
    [named, _] = recipe_schema()["$defs"]["Expectation"]["properties"]["expect"]["anyOf"]
    assert named["enum"] == list(CORE)


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        (
            {"expect": "expect_column_value_to_be_between"},
            "did you mean 'expect_column_values_to_be_between'",
        ),
        (
            {"expect": "expect_column_values_to_match_like_pattern"},
            "works on SQL alone, .* use expect_column",
        ),
        ({"expect": "expect_column_to_exist", "arguments": {"colum": "x"}}, "arguments.column: missing"),
        ({"expect": "expect_column_to_exist", "arguments": {"colum": "x"}}, "did you mean 'column'"),
        (
            {"expect": "expect_column_values_to_match_regex", "arguments": {"column": "x", "regex": "("}},
            "arguments.regex: got '\\(', need a regular expression",
        ),
    ],
)
def test_what_a_recipe_gets_wrong_is_told_without_great_expectations(
    expectation: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Expectation.model_validate(expectation)


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        (own("column_values_to_be_between", column="rating", min_value="much"), "min_value: got 'much'"),
        (own("column_values_to_be_between", column="rating"), "min_value and max_value cannot both be None"),
        (own("column_values_to_be_between", column="rating", min_value=2, max_value=1), "cannot be greater"),
        (own("column_values_to_be_between", column="user_id", min_value=2), "of the same type"),
        (own("column_values_to_be_unique", column="rating", mostly=7), "mostly: got 7"),
        (own("column_values_to_be_unique", column="colour"), "got 'colour', need one of the columns user"),
        (own("compound_columns_to_be_unique", column_list=["user_id", "x"]), "column_list: got 'x'"),
        (own("column_quantile_values_to_be_between", column="rating", quantile_ranges={}), "quantiles"),
        (own("column_values_to_be_null", column="rating", row_condition="a >"), "column|condition|syntax"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_told_before_any_work(expectation: Expectation, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as error:
        check([expectation], {"interactions": SCHEMA})
    assert str(error.value).startswith(f"quality.expectations: {expectation.expect} over interactions: argum")


def test_stages_look_at_their_expectations_first(tmp_path: Path) -> None:
    """Neither has written anything; prepare knows the columns that the interactions bring with them."""
    wrong = own("column_values_to_be_unique", column="colour")
    source = SyntheticSource(num_users=20, num_items=20)
    params = IngestParams(source=source, quality=Quality(expectations=(wrong,)), seed=1)
    ingest, prepare = (load_object(spec.runs[0]) for spec in (INGEST, PREPARE))
    output = tmp_path / "output"
    output.mkdir()
    with pytest.raises(InvalidInputError, match="one of the columns user_id, item_id, timestamp"):
        ingest(params, {}, output, None)
    write_table(TABLE, tmp_path / "interactions.parquet")
    over_train = wrong.model_copy(update={"table": "train"})
    with pytest.raises(InvalidInputError, match="one of the columns user, item, rating, timestamp"):
        prepare(PrepareParams(expectations=(over_train,), seed=1), {"interactions": tmp_path}, output, None)
    assert not list(output.iterdir())


def examined(tmp_path: Path, *expectations: Expectation) -> Examination:
    exam = Examination("interactions", tmp_path, tmp_path / "docs")
    exam.own("interactions", TABLE, expectations)
    return exam


def test_each_is_a_gate_with_its_severity_and_what_was_found(tmp_path: Path) -> None:
    exam = examined(
        tmp_path,
        own("column_values_to_be_between", "warn", column="rating", min_value=2, mostly=0.9),
        own("column_mean_to_be_between", column="rating", min_value=1, max_value=5),
        own("table_row_count_to_equal", "warn", value=5),
    )
    gates = {gate.name: gate for gate in gates_of(exam.finish().summary)}
    between = gates["expect_column_values_to_be_between"]
    assert (between.outcome, between.value, between.high) == ("warned", 0.25, 0.1)
    assert between.subject == "interactions: rating"
    assert between.told == (
        "rating values must be greater than or equal to 2, at least 90 % of the time; "
        "found: 1 of 4 values (25 %) are not so, such as 1"
    )
    mean = gates["expect_column_mean_to_be_between"]
    assert (mean.outcome, mean.value, mean.low, mean.high) == ("passed", 4, 1, 5)
    count = gates["expect_table_row_count_to_equal"]
    assert (count.outcome, count.value, count.low, count.high) == ("warned", 4, 5, 5)


def test_one_that_stops_does_and_all_are_named(tmp_path: Path) -> None:
    exam = examined(
        tmp_path,
        own("column_values_to_be_in_set", column="user_id", value_set=["a", "b"]),
        own("column_values_to_be_null", column="item_id"),
        own("column_values_to_be_unique", "warn", column="item_id"),
    )
    with pytest.raises(GateFailedError) as error:
        exam.finish()
    message = str(error.value)
    assert "interactions: user_id: expect_column_values_to_be_in_set: user_id values must belong" in message
    assert "interactions: item_id: expect_column_values_to_be_null: " in message
    assert "unique" not in message
    assert [gate.outcome for gate in error.value.gates] == ["stopped", "stopped", "warned"]


def test_a_long_list_is_worded_by_its_beginning(tmp_path: Path) -> None:
    allowed = [f"i{number:05}" for number in range(20_000)]
    exam = examined(tmp_path, own("column_values_to_be_in_set", "warn", column="item_id", value_set=allowed))
    [gate] = gates_of(exam.finish().summary)
    assert "i00018, i00019, … (20,000 in all); found: 4 of 4 values (100 %) are not so" in gate.told


class Links(HTMLParser):
    """What a page would load or lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = {"src", "href", "srcset", "action", "data", "poster"}
        self.found += [f"{tag} {name}={value}" for name, value in attributes if name in names]
        self.found += [tag] * (tag in {"script", "link", "button", "form", "iframe", "base"})


def test_the_page_needs_no_network_and_shows_no_markup_of_the_data(tmp_path: Path) -> None:
    exam = examined(
        tmp_path, own("column_values_to_be_in_set", "warn", column="item_id", value_set=["x", "y"])
    )
    exam.facts("interactions", {"rows": (4, 4, 4)})
    exam.finish(docs=True)
    assert [path.name for path in (tmp_path / "docs" / "data_docs").rglob("*")] == ["index.html"]
    page = (tmp_path / "docs" / "data_docs" / "index.html").read_text()
    links = Links()
    links.feed(page)
    assert links.found == []
    assert not re.search(r"://|url\(|@import|np\.|<b>\W*</", page)
    assert "1 of 4 values (25 %) are not so, such as &lt;b&gt;" in page
    assert "Accepted, with warnings" in page


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "nothing"), (float("nan"), "nothing"), (True, "yes"), (12345, "12345"), (12345.0, "12,345"),
        (0.123456, "0.1235"), (59678700.5, "59,678,700"), (1e300, "1e+300"), (["a", 2], "a, 2"), ([], "none"),
        ({"user_id": "a", "n": 1}, "user_id a, n 1"),
    ],
)  # fmt: skip
def test_values_are_readable(value: Any, told: str) -> None:
    assert shown(value) == told


def test_bounds_in_words() -> None:
    found = [bounds(None, None), bounds(1.0, None), bounds(None, 0.5), bounds(1.0, 2.0), bounds(0, 0)]
    assert found == ["", "at least 1", "at most 0.5", "1 to 2", "0"]
