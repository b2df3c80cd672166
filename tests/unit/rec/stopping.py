"""A search that is stopped on the way, and goes on."""

import signal
from collections.abc import Callable
from typing import Any

import pytest

from components.rec.searchers.base import SearchResult


def stopped_and_gone_on(
    learner: Any, steps: int, run: Callable[[str], SearchResult], monkeypatch: pytest.MonkeyPatch
) -> tuple[SearchResult, SearchResult]:
    """What a search finds that runs to its end, and one that is interrupted after so many of a learner's
    steps.

    Args:
        run: searches in a directory of the given name, or goes on there.
    """
    whole = run("whole")
    count, step = [0], learner.step

    def stopping(one: Any, batch: Any) -> None:
        step(one, batch)
        count[0] += 1
        if count[0] == steps:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(learner, "step", stopping)
    with pytest.raises(KeyboardInterrupt):
        run("stopped")
    monkeypatch.setattr(learner, "step", step)
    return whole, run("stopped")
