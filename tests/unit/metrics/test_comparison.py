"""The rule of promotion, on numbers that can be worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.metrics.comparison import Floor, check_floors, compare, decide

VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_compare_counts_users_by_the_sign_of_their_difference():
    found = compare(np.array([0.5, 0.2, 0.0, 1.0]), np.array([0.25, 0.2, 0.5, 0.5]))
    assert (found.challenger, found.champion) == (0.425, 0.3625)
    assert (found.better, found.equal, found.worse) == (2, 1, 1)
    assert found.difference == pytest.approx(0.0625)


@pytest.mark.parametrize(
    ("challenger", "margin", "promote"),
    [(0.75, 0.0, True), (0.5, 0.0, False), (0.25, 0.0, False), (0.75, 0.25, False), (0.75, 0.24, True)],
)
def test_a_challenger_must_exceed_the_champion_by_more_than_the_margin(challenger, margin, promote):
    decision = decide("ndcg@20", margin, {}, np.array([challenger]), np.array([0.5]))
    assert decision.promote is promote
    assert f"{challenger:.4f} against the champion's 0.5000" in decision.reason


def test_a_negative_margin_lets_a_slightly_worse_model_in():
    assert decide("ndcg@20", -0.1, {}, np.array([0.45]), np.array([0.5])).promote


def test_the_first_model_needs_its_floors_alone():
    floors = check_floors({"recall@20": 0.25, "ndcg@20": 0.125}, {"recall@20": 0.25})
    assert floors == {"recall@20": Floor(value=0.25, floor=0.25)}  # reaching it is enough
    decision = decide("ndcg@20", 0.0, floors, np.array([0.125]), None)
    assert decision.promote
    assert "passes 1 floor" in decision.reason


def test_a_broken_floor_outweighs_a_beaten_champion():
    floors = check_floors({"recall@20": 0.2, "ndcg@20": 0.9}, {"recall@20": 0.25, "ndcg@20": 0.5})
    decision = decide("ndcg@20", 0.0, floors, np.array([0.9]), np.array([0.1]))
    assert not decision.promote
    assert decision.reason == "below 1 floor: recall@20 0.2000 < 0.25"


@given(VALUES, st.data())
def test_of_two_models_at_most_one_replaces_the_other(values, data):
    one = np.array(values)
    other = np.array(data.draw(st.lists(st.floats(0, 1), min_size=len(values), max_size=len(values))))
    forth, back = decide("ndcg@20", 0.0, {}, one, other), decide("ndcg@20", 0.0, {}, other, one)
    assert not (forth.promote and back.promote)
    assert forth.promote or back.promote or compare(one, other).difference == 0
    assert compare(one, other).better == compare(other, one).worse
