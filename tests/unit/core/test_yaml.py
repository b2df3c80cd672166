import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.recipe.yaml import _FastLoader, _Loader, parse_yaml
from components.core.recipe_files import included


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_way_to_write_a_float_is_a_float(value):
    for text in (f"{value:e}", f"{value:g}", repr(value)):
        parsed = parse_yaml(f"x: {text}")["x"]
        assert not isinstance(parsed, str)
        assert math.isclose(parsed, float(text), abs_tol=0)


@pytest.mark.parametrize("text", ["1e-3", "5E4", "-2e1", ".5e1", "1.e+2"])
def test_exponents_need_no_dot(text):
    assert parse_yaml(text) == float(text)


@pytest.mark.parametrize("text", ["e3", "1e", "v1e3", "0 3 * * *", "12-11", "1e-3x"])
def test_what_is_no_number_stays_text(text):
    assert parse_yaml(f"x: {text}")["x"] == text


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1"),
        ("training:\n  epochs: 1\n  model: {kind: mf}\n  epochs: 2\n", "line 4, column 3"),
        ("x: {a: 1, a: 1}", "line 1, column 11"),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_its_place(text, place):
    with pytest.raises(yaml.YAMLError) as caught:
        parse_yaml(text)
    assert "stands twice, first on line" in str(caught.value)
    assert place in str(caught.value)


def test_the_same_key_in_two_mappings_is_fine():
    assert parse_yaml("a: {kind: x}\nb: {kind: y}") == {"a": {"kind": "x"}, "b": {"kind": "y"}}


def test_merge_keys_and_what_they_overrule():
    text = "base: &base {epochs: 1, dim: 8}\none: {<<: *base, epochs: 2}\n"
    assert parse_yaml(text)["one"] == {"epochs": 2, "dim": 8}


def test_no_python_object_is_made():
    with pytest.raises(yaml.YAMLError):
        parse_yaml("!!python/object/apply:os.getcwd []")


# PyYAML writes line breaks beyond ASCII as they are, and reads them otherwise than libyaml.
_TEXTS = st.text(st.characters(exclude_characters="\x85\u2028\u2029", exclude_categories=["Cs"]), max_size=8)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXTS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(_TEXTS, below, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(_VALUES, st.booleans())
def test_libyaml_reads_what_pyyaml_reads(value, flow):
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    assert yaml.load(text, _FastLoader) == yaml.load(text, _Loader)  # noqa: S506


@pytest.mark.parametrize("name", included())
def test_libyaml_reads_the_included_recipes_alike(name):
    text = included()[name].read_text(encoding="utf-8")
    assert yaml.load(text, _FastLoader) == yaml.load(text, _Loader)  # noqa: S506


def test_an_error_shows_the_line(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("a: 1\nb: [1, 2\nc: 3\n")
    with file.open() as opened, pytest.raises(yaml.YAMLError) as caught:
        parse_yaml(opened)
    assert f'in "{file}", line 2, column 4' in str(caught.value)
    with pytest.raises(yaml.YAMLError, match=r"b: \[1, 2\n +\^"):
        parse_yaml(file.read_text())


LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 5_000, "more than 50 levels"),
        ("{a: " * 5_000, "more than 50 levels"),
        (LAUGHS, "more than 100,000 values"),
        ("name: &a [1, *a]", r"\*a stands within what it stands for"),
        ("x" * (1 << 20) + "x", "more than 1,048,576 characters"),
        ("seed: " + "9" * 5_000, "4300 digits"),
        ("day: 2026-02-31", "day"),
    ],
)
def test_nothing_becomes_huge(text: str, words: str) -> None:
    with pytest.raises(yaml.YAMLError, match=words):
        parse_yaml(text)


def test_aliases_are_counted_by_what_stands_behind_them() -> None:
    text = "a: &a {x: [1, 2], y: 3}\nb: *a\nc: {<<: *a, z: *a}"
    assert parse_yaml(text)["c"] == {"x": [1, 2], "y": 3, "z": {"x": [1, 2], "y": 3}}
