"""Running a contract's expectations over one artifact."""

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, final

import pandas as pd
import pyarrow as pa

from components.core.errors import GateFailedError
from components.core.gates import Gate
from components.core.stage import Validation
from components.data.contracts.expectations import (
    Expectation,
    between,
    exactly_columns,
    in_set,
)
from components.data.parquet import fingerprint, read_table

T = TypeVar("T")
Fact = tuple[float | None, float | None, float | None]  # found, and its least and greatest allowed value
_NUM_SAMPLES: Final = 5
_DOCS: Final = "docs"


@final
class Examination:
    """Looks at one artifact table by table and remembers what was expected and what was found.

    Everything that fails between two `require` calls is told at once, with Data Docs of all that was
    looked at so far in `docs/data_docs`.
    """

    def __init__(self, artifact: str, output: Path, docs: Path) -> None:
        self._artifact, self._output, self._docs = artifact, output, docs
        self._context: Any = _context()
        self._source = self._context.data_sources.add_pandas(artifact)
        self._tables: dict[str, tuple[int, str]] = {}
        self._columns: dict[str, dict[str, str]] = {}
        self._counts: dict[str, int] = {}
        self._gates: list[Gate] = []
        self._failures: list[str] = []

    def table(self, name: str, schema: pa.Schema | Callable[[pa.Schema], pa.Schema]) -> pa.Table:
        """Read a Parquet file that must have a schema, or the one that a function makes of what was found.

        Raises:
            GateFailedError: it has another.
        """
        table = self._read(name)
        expected = schema(table.schema) if callable(schema) else schema
        found = pd.DataFrame({field.name: [str(field.type)] for field in table.schema}, dtype=object)
        types = [in_set(field.name, [str(field.type)]) for field in expected if field.name in found]
        self.expect(f"{name} schema", found, [exactly_columns(expected.names), *types])
        self.require()
        self._tables[name] = (table.num_rows, fingerprint(table.schema))
        self._columns[name] = {field.name: str(field.type) for field in table.schema}
        return table

    def document(self, name: str, read: Callable[[Path], T]) -> T:
        """Read a JSON file; `read` raises ValueError or KeyError where it is not what it should be.

        Raises:
            GateFailedError: it did.
        """
        try:
            return read(self._output / name)
        except (OSError, ValueError, KeyError) as error:
            self._failures.append(f"{name}: cannot be read: {type(error).__name__}: {error}")
        self.facts(name, {"readable": (0, 1, 1)})
        self.require()
        raise AssertionError("an unreadable document passed")

    def expect(self, name: str, frame: pd.DataFrame, expectations: Sequence[Expectation]) -> None:
        """Check a table."""
        import great_expectations as gx

        batch = self._source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        suite = self._context.suites.add(gx.ExpectationSuite(name, expectations=list(expectations)))
        definition = gx.ValidationDefinition(name=name, data=batch, suite=suite)
        result = self._context.validation_definitions.add(definition).run(
            batch_parameters={"dataframe": frame}, result_format="SUMMARY"
        )
        self._counts[name] = len(expectations)
        self._failures += [_told(name, found) for found in result.results if not found.success]

    def facts(self, name: str, facts: Mapping[str, Fact]) -> None:
        """Check what holds across rows, columns or tables: numbers with bounds, as a table of one row.
        A missing number counts as -∞, which lies in no bounds."""
        found = pd.DataFrame({fact: [value] for fact, (value, _, _) in facts.items()}, dtype=float)
        checks = [
            between(fact, -sys.float_info.max if low is None else low, high)
            for fact, (_, low, high) in facts.items()
        ]
        self.expect(f"{name} facts", found.fillna(-math.inf), checks)

    def gate(self, gates: Iterable[Gate]) -> None:
        """Judge by gates: they are shown, and one that stopped fails the examination."""
        judged = list(gates)
        self._gates += judged
        self._failures += [
            f"{gate.subject}: {gate.name}: {gate.told or 'failed'}"
            for gate in judged
            if gate.outcome == "stopped"
        ]

    def tell(self, gates: Iterable[Gate]) -> None:
        """Record gates that have been judged elsewhere."""
        self._gates += gates

    def require(self) -> None:
        """Stop if anything has failed.

        Raises:
            GateFailedError: naming for each failure the table, the expectation, the column and samples.
        """
        if not self._failures:
            return
        store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(self._docs / "data_docs")}
        index = {"class_name": "DefaultSiteIndexBuilder"}
        site = {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}
        self._context.add_data_docs_site(_DOCS, site)
        self._context.build_data_docs(site_names=[_DOCS])
        lines = "\n".join(f"  {failure}" for failure in self._failures)
        raise GateFailedError(
            f"data contract: the {self._artifact} artifact is not what it must be\n{lines}", self._gates
        )

    def finish(self) -> Validation:
        """The result; raises like `require`."""
        self.require()
        summary = {
            "expectations": self._counts,
            "total": sum(self._counts.values()),
            "success": True,
            "gates": [gate.document() for gate in self._gates],
        }
        return Validation(tables=self._tables, summary=summary, columns=self._columns)

    def _read(self, name: str) -> pa.Table:
        try:
            return read_table(self._output / name)
        except (OSError, pa.ArrowInvalid) as error:
            self._failures.append(f"{name}: cannot be read: {error}")
        self.facts(name, {"readable": (0, 1, 1)})
        self.require()
        raise AssertionError("an unreadable table passed")


def _context() -> Any:
    """An in-memory context that draws no bars, calls nobody and makes no temporary docs."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        analytics_enabled=False,
        progress_bars={"globally": False},
    )
    return gx.get_context(project_config=config, mode="ephemeral")


def _told(name: str, found: Any) -> str:
    """One failed expectation in a line: table, column, expectation, and what was found instead."""
    config, result = found.expectation_config, found.result
    arguments = {key: value for key, value in config.kwargs.items() if key != "batch_id"}
    columns = arguments.pop("column", None) or arguments.pop("column_list", None) or "rows"
    where = columns if isinstance(columns, str) else ", ".join(columns)
    if found.exception_info.get("raised_exception"):
        what = f"could not be checked: {found.exception_info.get('exception_message')}"
    elif "unexpected_count" in result:
        samples = ", ".join(map(repr, result["partial_unexpected_list"][:_NUM_SAMPLES]))
        what = f"{result['unexpected_count']:,} of {result['element_count']:,} values, such as {samples}"
    else:
        what = f"found {result.get('observed_value')!r}"
    told = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    return f"{name}: {where}: {config.type}({told}): {what}"
