"""Measures of change between deliveries of examples: known answers, invariants, and slow versions."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from components.core.recipe.examples import FieldKind
from components.data import example_changes
from components.data.example_changes import ExampleChanges, compare, emptiest_field, rarest_class
from components.data.examples import Examples, describe

KINDS: dict[str, FieldKind] = {"site": "categorical", "price": "numeric", "genres": "multi_valued"}
TYPES = {"label": pl.Int32, "site": pl.String, "price": pl.Float64, "genres": pl.List(pl.String)}
CLASSES = ("no", "yes")


def examples(place: Path, rows: list[tuple], classes: tuple[str, ...] = CLASSES, **more: Any) -> Examples:
    """A delivery of (label, site, price, genres)."""
    frame = pl.DataFrame(rows, schema=TYPES, orient="row").with_columns(**more)
    frame.write_parquet(place)
    return Examples.count(place, classes, KINDS)


def compared(now: Examples, before: Examples) -> ExampleChanges:
    return compare(now, before, np.random.default_rng(1))


def test_known_changes(tmp_path: Path) -> None:
    before = examples(
        tmp_path / "before",
        [
            (0, "a", 1.0, ["x"]),
            (0, "a", 2.0, ["x", "y"]),
            (0, "b", 3.0, None),
            (1, None, None, ["y"]),
        ],
        timestamp=pl.Series([10, 20, 40, 30]),
    )
    now = examples(
        tmp_path / "now",
        [(1, "a", 0.5, ["z", "x", "w"]), (0, "c", 3.0, ["x"])],
        timestamp=pl.Series([70, 45]),
    )
    found = compared(now, before)
    assert found.volume == 1 / 2
    assert found.gap_s == 5
    assert found.label == pytest.approx(jensenshannon([1, 1], [3, 1], base=2))
    site, price, genres = found.fields
    assert (site.name, price.name, genres.name) == ("site", "price", "genres")
    # a, b, c; nothing else; missing
    assert site.drift == pytest.approx(jensenshannon([1, 0, 1, 0], [2, 1, 0, 1], base=2))
    assert (site.new_values, price.new_values, genres.new_values) == (1 / 2, 1 / 2, 1 / 2)
    assert genres.drift == pytest.approx(jensenshannon([2, 0, 1, 1, 0], [2, 2, 0, 0, 1], base=2))
    assert (price.now_V.sum(), price.before_V.sum()) == (2, 4)
    assert found.newest is site  # the first of equals
    assert found.uncompared == ()


def test_numbers_are_compared_by_the_tenths_of_the_earlier(tmp_path: Path) -> None:
    before = examples(tmp_path / "a", [(n % 2, "s", float(n), ["x"]) for n in range(100)])
    now = examples(tmp_path / "b", [(n % 2, "s", n + 20.0, ["x"]) for n in range(100)])
    price = compared(now, before).fields[1]
    assert price.before_V.tolist() == [*[10] * 10, 0]
    assert price.now_V.tolist() == [0, 0, *[10] * 7, 30, 0]
    assert price.new_values == 1 / 5
    alike = examples(tmp_path / "c", [(n % 2, "s", 5.0, ["x"]) for n in range(100)])
    assert compared(now, alike).fields[1].now_V.tolist() == [0, 100, 0]


def test_rare_values_are_compared_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example_changes, "_NUM_VALUES", 2)
    before = examples(tmp_path / "a", [(0, site, 1.0, ["x"]) for site in "aaabbcd"])
    now = examples(tmp_path / "b", [(1, site, 1.0, ["x"]) for site in "abeeeee"])
    site = compared(now, before).fields[0]
    assert (site.now_V.tolist(), site.before_V.tolist()) == ([1, 1, 5, 0], [3, 2, 2, 0])
    assert site.new_values == 5 / 7


def test_other_fields_and_classes(tmp_path: Path) -> None:
    """Classes are the same by name, and fields by name and kind."""
    rows = [(0, "a", 1.0, ["x"]), (1, "a", 1.0, ["x"])]
    now = examples(tmp_path / "now", rows)
    before = examples(tmp_path / "before", rows, classes=("yes", "no"))
    before.kinds = {"site": "multi_valued", "price": "numeric"}
    found = compared(now, before)
    assert (found.label, [field.name for field in found.fields]) == (0, ["price"])
    assert found.uncompared == ("genres", "site")
    before.classes = {"never": 2}
    before.kinds = {}
    found = compared(now, before)
    assert (found.label, found.drifted, found.newest) == (1, None, None)


ROW = st.tuples(
    st.integers(0, 1),
    st.sampled_from(["a", "b", "c", "d", None]),
    st.sampled_from([1.0, 2.0, 3.5, -7.0, None]),
    st.none() | st.lists(st.sampled_from("vwxyz"), min_size=1, max_size=3),
)
# every field has a value somewhere, as in every artifact
ROWS = st.lists(ROW, min_size=1, max_size=25).map(lambda rows: [(0, "a", 1.0, ["v"]), *rows])


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=25, deadline=None)
@given(now=ROWS, before=ROWS)
def test_changes_are_those_of_a_slow_count(now: list, before: list, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("changes")
    found = compared(examples(folder / "now", now), examples(folder / "before", before))
    for place, field in enumerate(found.fields, start=1):
        assert field.now_V.sum() >= len(now) - sum(row[place] is None for row in now)
        assert field.now_V[-1] == sum(row[place] is None for row in now)
        if field.name == "price":
            there = [row[place] for row in before if row[place] is not None]
            new = [
                row for row in now if row[place] is not None and not min(there) <= row[place] <= max(there)
            ]
        else:
            here, there = ([values(row[place]) for row in rows] for rows in (now, before))
            known = {value for each in there for value in each}
            new = [each for each in here if set(each) - known]
            shares = [Counter(value for each in side for value in each or [None]) for side in (here, there)]
            keys = list(shares[0] | shares[1])
            slow = jensenshannon(*([side[key] for key in keys] for side in shares), base=2)
            assert field.drift == pytest.approx(np.nan_to_num(slow), abs=1e-6)
        assert field.new_values == pytest.approx(len(new) / len(now))
    again = compared(examples(folder / "again", now), examples(folder / "now", now))
    assert (again.volume, again.label) == (1, 0)
    assert {(field.drift, field.new_values) for field in again.fields} == {(0, 0)}


def values(cell: Any) -> list:
    if cell is None:
        return []
    return cell if isinstance(cell, list) else [cell]


def test_what_a_delivery_looks_like_by_itself(tmp_path: Path) -> None:
    rows = [(0, "a", 1.0, None), (0, None, None, None), (1, "a", 3.0, ["x", "x"]), (1, "a", 3.0, ["x", "x"])]
    found = examples(tmp_path / "a", [*rows, (0, "b", 1.0, ["y"])], classes=("no", "yes", "perhaps"))
    assert rarest_class(found) == ("perhaps", 0)
    assert emptiest_field(found) == ("genres", 2 / 5)
    assert describe(found) == {
        "examples": 5,
        "classes": {"no": 3, "yes": 2, "perhaps": 0},
        "fields": {
            "site": {"kind": "categorical", "nulls": 1, "distinct": 2},
            "price": {"kind": "numeric", "nulls": 1, "distinct": 2, "min": 1.0, "max": 3.0, "mean": 2.0},
            "genres": {"kind": "multi_valued", "nulls": 2, "distinct": 2},
        },
        "duplicates": 1,
        "parts": None,
        "time_range": None,
    }
