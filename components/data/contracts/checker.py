"""Great Expectations, run over tables in memory."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, final

import pandas as pd

from components.data.contracts.expectations import Expectation

_NUM_LISTED: Final = 20  # values that Great Expectations gives as samples


@final
class Checker:
    """Checks frames with suites, in a context that draws no bars, calls nobody and writes nothing."""

    def __init__(self, name: str) -> None:
        from components.data.contracts.gx import DataContextConfig, InMemoryStoreBackendDefaults, gx

        config = DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(),
            analytics_enabled=False,
            progress_bars={"globally": False},
        )
        self._context: Any = gx.get_context(project_config=config, mode="ephemeral")
        self._source = self._context.data_sources.add_pandas(name)

    def check_parts(
        self, name: str, frames: Iterable[pd.DataFrame], expectations: Sequence[Expectation]
    ) -> list[Any]:
        """What each expectation found in a table that is given in parts, at least one. It must be about
        rows by themselves or their number; or no row agrees with one of another part."""
        found: list[Any] = []
        batch = self._batch(name)
        for frame in frames:
            results = _results(batch, name, frame, expectations)
            found = [_joined(*both) for both in zip(found, results, strict=True)] if found else results
        return found

    def check(self, name: str, frame: pd.DataFrame, expectations: Sequence[Expectation]) -> list[Any]:
        """What each expectation found, in an order of Great Expectations. A name can be used once."""
        return _results(self._batch(name), name, frame, expectations)

    def _batch(self, name: str) -> Any:
        return self._source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")


def _results(batch: Any, name: str, frame: pd.DataFrame, expectations: Sequence[Expectation]) -> list[Any]:
    """Great Expectations keeps the frame until it gets the next one of this batch definition."""
    from components.data.contracts.gx import gx

    suite = gx.ExpectationSuite(name, expectations=list(expectations))
    # A validation definition would also store the result, which fails for quantiles: numpy's truth
    # values have no JSON.
    result = batch.get_batch({"dataframe": frame}).validate(suite, result_format="SUMMARY")
    return list(result.results)


def exception_of(found: Any) -> str:
    """Why an expectation could not be checked; nothing where it could."""
    raised = found.exception_info
    entries = [raised] if "raised_exception" in raised else list(raised.values())
    return "; ".join(
        dict.fromkeys(str(entry["exception_message"]) for entry in entries if entry["raised_exception"])
    )


def _joined(one: Any, other: Any) -> Any:
    """What an expectation found in some rows and in others, as if it had looked at all of them."""
    if exception_of(one):
        return one
    if exception_of(other):
        return other
    if "unexpected_count" in one.result:
        one.result = _joined_counts(one.result, other.result)
        one.success = one.success and other.success
    else:  # the number of rows
        count = one.result["observed_value"] + other.result["observed_value"]
        bounds = one.expectation_config.kwargs
        low, high = bounds.get("min_value"), bounds.get("max_value")
        one.result = {"observed_value": count}
        one.success = (0 if low is None else low) <= count <= (math.inf if high is None else high)
    return one


def _joined_counts(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    joined = {
        name: one[name] + other[name]
        for name in ("element_count", "unexpected_count", "missing_count")
        if name in one
    }
    there = joined["element_count"] - joined.get("missing_count", 0)
    joined["unexpected_percent"] = 100 * joined["unexpected_count"] / there if there else None
    samples = [*one["partial_unexpected_list"], *other["partial_unexpected_list"]]
    return {**joined, "partial_unexpected_list": samples[:_NUM_LISTED]}
