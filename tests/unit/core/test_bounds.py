"""Bounds on what is measured, and the gates that come of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.recipe.quality import Bound
from components.core.recipe.reading import read_recipe
from components.core.recipe_files import find

numbers = st.floats(-1e6, 1e6)


@given(st.none() | numbers, st.none() | numbers, numbers, st.sampled_from(["stop", "warn"]))
def test_a_value_passes_where_it_lies_between_the_bounds(low, high, value, severity):
    if low is not None and high is not None and low > high:
        low, high = high, low
    gate = Bound(min=low, max=high, severity=severity).judge("volume", "a table", value, "half of it")
    inside = (low is None or low <= value) and (high is None or value <= high)
    assert gate.outcome == ("passed" if inside else {"stop": "stopped", "warn": "warned"}[severity])
    assert (gate.low, gate.high, gate.value) == (low, high, value)
    assert gate.told.startswith("half of it")
    assert ("; need " in gate.told) != inside


@pytest.mark.parametrize(
    ("bound", "value", "told"),
    [
        ({"min": 0.5}, 0.25, "x; need at least 0.5"),
        ({"max": 2}, 3, "x; need at most 2"),
        ({"min": 0.5, "max": 2}, 3, "x; need 0.5 to 2"),
        ({"min": 0, "max": 0}, 3, "x; need 0"),
        ({"min": 0.5}, None, "x"),
    ],
)
def test_a_failed_gate_says_what_is_needed(bound, value, told):
    assert Bound(**bound).judge("n", "s", value, "x").told == told


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (
            ["quality.previous.gap_s.min=0"],
            "quality.previous.gap_s: has a bound, which needs source.columns.timestamp",
        ),
        (
            ["quality.delivery.age_s.max=9"],
            "quality.delivery.age_s: has a bound, which needs source.columns.timestamp",
        ),
        (
            ["quality.delivery.nulls.max=0"],
            "quality.delivery.nulls: has a bound, which needs source.columns.features",
        ),
        (["quality.previous.popularity.max=1.5"], "quality.previous.popularity: max: got 1.5, need 0 to 1"),
        (
            ["promotion.bounds={gini@20: {max: 95}}"],
            "promotion.bounds: gini@20: max: got 95, need a number from 0 to 1",
        ),
        (["prepare.split={kind: temporal}"], "'temporal', which needs timestamps; sessions have none"),
    ],
)
def test_a_bound_that_nothing_can_be_held_against_is_refused(overrides, told):
    with pytest.raises(ValueError, match=told.replace(".", r"\.")):
        read_recipe(find("yoochoose"), overrides)


def test_synthetic_worlds_have_time():
    recipe = read_recipe(find("demo"), ["quality.previous.gap_s.min=0"])
    assert recipe.quality.previous.gap_s == Bound(min=0)
