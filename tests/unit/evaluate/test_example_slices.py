"""Which examples lie in which slice, and what the champion has learned of them."""

from typing import Any

import numpy as np
import pytest

from components.core.recipe.example_preparation import Encodings
from components.core.verdict import ExampleVerdict
from components.evaluate.classification.exam import read_exam
from components.evaluate.classification.learned import learned_share
from components.evaluate.classification.slices import read_slices
from tests.unit.conftest import Loop
from tests.unit.evaluate.example_world import HASHED, NUM, VALID, World


@pytest.fixture
def world(loop: Loop) -> World:
    return World(loop).publish()


def verdict_of(world: World, **changes: Any) -> ExampleVerdict:
    return ExampleVerdict.read(world.evaluate(**changes) / "verdict.json")


def slow_slices(values: list[Any], known: list[str], named: list[str]) -> dict[str, list[int]]:
    """Value → its examples; of lists, those that hold it."""
    found: dict[str, list[int]] = {}
    for n, value in enumerate(values):
        several = value if isinstance(value, list) else [] if value is None else [value]
        slices = [one for one in several if one in named]
        slices += ["out of vocabulary"] if any(one not in known for one in several) else []
        slices += ["missing"] if not several else []
        for one in slices or ["other"]:
            found.setdefault(one, []).append(n)
    return found


@pytest.mark.parametrize("encodings", [Encodings(), HASHED])
def test_slices_hold_the_examples_of_a_slow_loop(loop, encodings):
    world = World(loop, encodings=encodings).publish()
    params = world.params(evaluation={"slice_values": 2, "slices": ["item", "genres"]})
    found: dict[str, dict[str, list[int]]] = {}
    for one in read_slices(params, read_exam(world.inputs["dataset"]), world.inputs):
        found.setdefault(one.field, {})[one.value] = np.flatnonzero(one.member_N).tolist()
    known = [*{*world.columns["item"][:380]} - {None}]
    if encodings is HASHED:
        known.append("new")
    assert found["item"] == slow_slices(world.test("item"), known, ["a", "b"])
    assert ("out of vocabulary" in found["item"]) == (encodings is not HASHED)
    named = [value for value in found["genres"] if len(value) == 1]
    assert len(named) == 2
    assert found["genres"] == slow_slices(world.test("genres"), ["x", "y", "z"], named)


def test_guardrails_bring_their_slices_along_even_without_examples(world):
    world.inputs["champion"] = world.inputs["model"]
    rails = [{"metric": "auc", "field": "item", "value": value} for value in ("d", "nobody", "missing", "c")]
    verdict = verdict_of(world, guardrails=rails, evaluation={"slice_values": 1, "slices": ["genres"]})
    values = [found.value for found in verdict.slices if (found.field, found.metric) == ("item", "auc")]
    assert values == ["a", "c", "d", "nobody", "other", "out of vocabulary", "missing"]
    gates = {gate.subject: gate for gate in verdict.gates}
    nobody = gates["guardrail item: nobody"]
    assert (nobody.outcome, "there are no such examples" in nobody.told) == ("warned", True)
    assert {found.field for found in verdict.slices} == {"item", "genres"}
    sizes = [found.examples for found in verdict.slices if (found.field, found.metric) == ("item", "auc")]
    assert sum(sizes) == NUM - VALID


def test_buckets_of_numbers_are_told_in_their_order(world):
    verdict = verdict_of(world, evaluation={"slice_values": 20, "slices": ["price"]})
    values = [found.value for found in verdict.slices if found.metric == "auc"]
    assert values[0].startswith("(-inf")
    assert values[-2].endswith("inf)")
    assert values[-1] == "missing"
    lows = [float(value[1:].split(",")[0]) for value in values[:-1]]
    assert lows == sorted(lows)


def test_what_the_champion_learned_is_told_by_place_or_by_content(world):
    exam = read_exam(world.inputs["dataset"])
    assert learned_share(exam, world.inputs) is None
    inputs = {**world.inputs, "champion_dataset": world.inputs["dataset"]}
    assert learned_share(exam, inputs) == np.mean([False] * len(exam))
    # Another delivery in which a part of our test stands before the test.
    old = World(Loop(world.loop.root / "old"))
    old.columns = {name: [*values[100:], *values[:100]] for name, values in world.columns.items()}
    old.label = np.roll(world.label, -100)
    inputs["champion_dataset"] = old.publish().inputs["dataset"]
    assert learned_share(exam, inputs) is None
    inputs["champion_interactions"] = old.inputs["interactions"]
    rows = [(*(str(values[n]) for values in world.columns.values()), world.label[n]) for n in range(NUM)]
    learned = set(rows[100 : 100 + VALID])
    share = np.mean([row in learned for row in rows[VALID:]])
    assert 100 / 180 <= share < 1
    assert learned_share(exam, inputs) == share
    inputs["champion_interactions"] = World(Loop(world.loop.root / "other")).publish().inputs["dataset"]
    assert learned_share(exam, inputs) is None  # not what the dataset was made from
