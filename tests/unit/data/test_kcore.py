"""k-core against repeated group-bys."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.compiled import available
from components.core.recipe.prepare import Core
from components.data import kcore
from components.data.kcore import Round, largest_core, peel

PAIRS = st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=60)
CORES = st.builds(Core, users=st.integers(1, 6), items=st.integers(1, 6))


def arrays(pairs: set[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    user, item = np.array(sorted(pairs), dtype=np.int32).T
    return user, item


def slow_core(pairs: set[tuple[int, int]], core: Core) -> set[tuple[int, int]]:
    frame = pd.DataFrame(sorted(pairs), columns=["user", "item"])
    while True:
        users = frame.groupby("user")["item"].transform("count")
        frame_of_users = frame[users >= core.users]
        items = frame_of_users.groupby("item")["user"].transform("count")
        smaller = frame_of_users[items >= core.items]
        if len(smaller) == len(frame):
            return set(smaller.itertuples(index=False, name=None))
        frame = smaller


@settings(deadline=None)  # the first call compiles
@given(pairs=PAIRS, core=CORES)
def test_the_core_is_that_of_repeated_group_bys(pairs: set[tuple[int, int]], core: Core) -> None:
    user, item = arrays(pairs)
    peeled = peel(user, item, core)
    assert set(zip(user[peeled.stays_N].tolist(), item[peeled.stays_N].tolist(), strict=True)) == slow_core(
        pairs, core
    )
    assert sum(step.interactions for step in peeled.rounds) == len(pairs) - peeled.stays_N.sum()
    assert sum(step.users for step in peeled.rounds) == len(set(user)) - len(set(user[peeled.stays_N]))
    assert sum(step.items for step in peeled.rounds) == len(set(item)) - len(set(item[peeled.stays_N]))


@pytest.mark.skipif(not available(), reason="nothing is compiled here")
@settings(deadline=None)  # the first call compiles
@given(pairs=PAIRS, core=CORES)
def test_compiled_or_not_the_rounds_are_the_same(pairs: set[tuple[int, int]], core: Core) -> None:
    user, item = arrays(pairs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kcore, "available", lambda: False)
        plain = peel(user, item, core)
    compiled = peel(user, item, core)
    assert compiled.rounds == plain.rounds
    assert (compiled.stays_N == plain.stays_N).all()


@settings(deadline=None)  # the first call compiles
@given(pairs=PAIRS, core=CORES)
def test_the_largest_core_leaves_something_and_the_next_nothing(
    pairs: set[tuple[int, int]], core: Core
) -> None:
    user, item = arrays(pairs)
    largest = largest_core(user, item, core)
    assert slow_core(pairs, largest)
    if largest != core:
        k = max(largest.users, largest.items) + 1
        assert not slow_core(pairs, Core(users=min(core.users, k), items=min(core.items, k)))


def test_a_chain_falls_in_rounds() -> None:
    """Item 2 takes user 1 along, and that one takes item 1."""
    user, item = arrays({(0, 0), (0, 1), (1, 1), (1, 2), (2, 0), (2, 3), (0, 3)})
    peeled = peel(user, item, Core(users=2, items=2))
    assert peeled.rounds == (Round(0, 1, 1), Round(1, 0, 1), Round(0, 1, 1))
    assert list(zip(user[peeled.stays_N], item[peeled.stays_N], strict=True)) == [
        (0, 0),
        (0, 3),
        (2, 0),
        (2, 3),
    ]


@pytest.mark.parametrize(("core", "largest"), [((9, 9), (3, 3)), ((9, 2), (4, 2)), ((2, 9), (2, 5))])
def test_thresholds_are_lowered_together(core: tuple[int, int], largest: tuple[int, int]) -> None:
    """A full block of 3 users and 3 items, a user of 4 items, an item of 5 users."""
    block = {(user, item) for user in range(3) for item in range(3)}
    wide = {(user, item) for user in (10, 11) for item in range(10, 14)}
    tall = {(user, item) for user in range(20, 25) for item in (20, 21)}
    user, item = arrays(block | wide | tall)
    found = largest_core(user, item, Core(users=core[0], items=core[1]))
    assert (found.users, found.items) == largest
