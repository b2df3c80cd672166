"""Great Expectations, run over tables in memory."""

from collections.abc import Sequence
from typing import Any, final

import pandas as pd

from components.data.contracts.expectations import Expectation


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

    def check(self, name: str, frame: pd.DataFrame, expectations: Sequence[Expectation]) -> list[Any]:
        """What each expectation found, in their order. A name can be used once."""
        from components.data.contracts.gx import gx

        batch = self._source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
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
