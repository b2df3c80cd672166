"""Files of examples, as `recloop predict` reads them."""

import pyarrow as pa
import pytest

from components.cli.examples import read_examples
from components.core.errors import InvalidInputError
from components.data.parquet import write_table

JSON_LINES = """\
{"site": "007", "age": "31.5", "tags": "x|y"}
{"site": "a, b", "age": null, "tags": null}"""
EXAMPLES = [{"site": "007", "age": "31.5", "tags": "x|y"}, {"site": "a, b", "age": None, "tags": None}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("some.csv", 'site,age,tags\n007,31.5,x|y\n"a, b",,\n'),
        ("some.TSV", "site\tage\ttags\n007\t31.5\tx|y\na, b\t\t\n"),
        ("some.jsonl", JSON_LINES),
    ],
)
def test_text_stays_text_and_what_is_empty_is_missing(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_examples(tmp_path / name) == EXAMPLES


def test_parquet_has_types(tmp_path):
    rows = [{"site": "007", "age": 31.5, "tags": ["x", "y"]}, {"site": None, "age": None, "tags": None}]
    write_table(pa.Table.from_pylist(rows), tmp_path / "some.parquet")
    assert read_examples(tmp_path / "some.parquet") == rows


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("gone.csv", None, "there is no file .*gone.csv"),
        (
            "some.xlsx",
            "x",
            r"got 'some.xlsx', need a file that ends with one of \.csv, \.tsv, \.jsonl, \.parquet",
        ),
        ("some.csv", "a,b\n1,2\n1,2,3\n", r"some.csv: line 3: got another number of columns, need 2"),
        ("some.csv", "a,b\n1\n", r"line 2: got another number of columns, need 2"),
        ("some.csv", "a,b\n", "holds no example"),
        ("some.jsonl", "[1]\n", r"line 1: got \[1\], need a JSON object"),
        ("some.csv", "a,b,a\n1,2,3\n", r"line 1: got the columns \['a'\] more than once"),
        (
            "some.jsonl",
            '{"a": 1}\n{"a": }\n',
            "some.jsonl: line 2: not valid JSON: Expecting value at character 7",
        ),
        ("some.parquet", "x", "some.parquet: "),
    ],
)
def test_what_is_no_such_file(tmp_path, name, text, told):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InvalidInputError, match=told):
        read_examples(tmp_path / name)
