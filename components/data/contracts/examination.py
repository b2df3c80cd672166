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
from components.core.recipe.quality import Expectation as OwnExpectation
from components.core.stage import Validation
from components.data.contracts.checker import Checker
from components.data.contracts.data_docs import (
    Fact,
    Section,
    expectations_section,
    facts_section,
    write_data_docs,
)
from components.data.contracts.expectations import (
    Expectation,
    between,
    exactly_columns,
    in_set,
)
from components.data.contracts.findings import gate_of, told
from components.data.contracts.own import columns_of, load
from components.data.parquet import TableFile, fingerprint, write_table

__all__ = ["GATES", "Examination", "Fact"]

T = TypeVar("T")
GATES: Final = pa.schema(
    [
        ("name", pa.string()),
        ("subject", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("severity", pa.string()),
        ("passed", pa.bool_()),
        ("outcome", pa.string()),
        ("told", pa.string()),
    ]
)


@final
class Examination:
    """Looks at one artifact table by table and remembers what was expected and what was found.

    Everything that fails between two `require` calls is told at once, with Data Docs of all that was
    looked at so far in `docs/data_docs`.
    """

    def __init__(self, artifact: str, output: Path, docs: Path) -> None:
        self._artifact, self._output, self._docs = artifact, output, docs
        self._checker = Checker(artifact)
        self._tables: dict[str, tuple[int, str]] = {}
        self._columns: dict[str, dict[str, str]] = {}
        self._counts: dict[str, int] = {}
        self._gates: list[Gate] = []
        self._broken: list[Gate] = []
        self._sections: list[Callable[[], Section]] = []  # worded only where they are published
        self._failures: list[str] = []

    def table(self, name: str, schema: pa.Schema | Callable[[pa.Schema], pa.Schema]) -> pa.Table:
        """Read a Parquet file that must have a schema, or the one that a function makes of what was found.

        Raises:
            GateFailedError: it has another.
        """
        return self._opened(name, schema, lambda file: file.read())

    def file(self, name: str, schema: pa.Schema | Callable[[pa.Schema], pa.Schema]) -> TableFile:
        """The same for a table that may be too large to be read at once."""
        return self._opened(name, schema, lambda file: file)

    def _opened(
        self,
        name: str,
        schema: pa.Schema | Callable[[pa.Schema], pa.Schema],
        read: Callable[[TableFile], T],
    ) -> T:
        try:
            file = TableFile(self._output / name)
            contents = read(file)
        except (OSError, pa.ArrowInvalid) as error:
            self._failures.append(f"{name}: cannot be read: {error}")
            self.facts(name, {"readable": (0, 1, 1)})
            self.require()
            raise AssertionError("an unreadable table passed") from error
        expected = schema(file.schema) if callable(schema) else schema
        found = pd.DataFrame({field.name: [str(field.type)] for field in file.schema}, dtype=object)
        types = [in_set(field.name, [str(field.type)]) for field in expected if field.name in found]
        self.expect(f"{name} schema", found, [exactly_columns(expected.names), *types])
        self.require()
        self._tables[name] = (file.num_rows, fingerprint(file.schema))
        self._columns[name] = {field.name: str(field.type) for field in file.schema}
        return contents

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

    def expect(
        self, name: str, frames: pd.DataFrame | Iterable[pd.DataFrame], expectations: Sequence[Expectation]
    ) -> None:
        """Check a table, whole or in parts (see `Checker.check_parts`)."""
        self._counts[name] = len(expectations)
        if isinstance(frames, pd.DataFrame):
            results = self._checker.check(name, frames, expectations)
        else:
            results = self._checker.check_parts(name, frames, expectations)
        self._sections.append(lambda: expectations_section(name, results))
        self._failed(name, results)

    def facts(self, name: str, facts: Mapping[str, Fact]) -> None:
        """Check what holds across rows, columns or tables: numbers with bounds, as a table of one row.
        A missing number counts as -∞, which lies in no bounds."""
        found = pd.DataFrame({fact: [value] for fact, (value, _, _) in facts.items()}, dtype=float)
        checks = [
            between(fact, -sys.float_info.max if low is None else low, high)
            for fact, (_, low, high) in facts.items()
        ]
        self._counts[f"{name} facts"] = len(checks)
        results = self._checker.check(f"{name} facts", found.fillna(-math.inf), checks)
        self._sections.append(lambda: facts_section(name, facts))
        self._failed(f"{name} facts", results)

    def own(self, name: str, table: pa.Table | TableFile, expectations: Iterable[OwnExpectation]) -> None:
        """Judge by the recipe's own expectations over a table: each is a gate. What they ask may need all
        rows at once, so the columns that they name are read as a whole."""
        asked = [expectation for expectation in expectations if expectation.table == name]
        if asked:
            if isinstance(table, TableFile):
                table = table.read(columns_of(asked, table.schema.names))
            self._counts[f"{name}, by the recipe"] = len(asked)
            results = self._checker.check(f"{name}, by the recipe", table.to_pandas(), list(map(load, asked)))
            self.gate(gate_of(name, found) for found in results)

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
        self._gates += self._broken  # the contract's expectations are told as gates where they are not met
        self._publish()
        lines = "\n".join(f"  {failure}" for failure in self._failures)
        raise GateFailedError(
            f"data contract: the {self._artifact} artifact is not what it must be\n{lines}", self._gates
        )

    def finish(self, *, docs: bool = False) -> Validation:
        """The result; raises like `require`.

        Args:
            docs: write Data Docs also where nothing failed.
        """
        self.require()
        if docs:
            self._publish()
        summary = {
            "expectations": self._counts,
            "total": sum(self._counts.values()),
            "success": True,
            "gates": [gate.document() for gate in self._gates],
        }
        return Validation(tables=self._tables, summary=summary, columns=self._columns)

    def _publish(self) -> None:
        """Write Data Docs, and the gates as a table, of all that was looked at so far."""
        sections = [section() for section in self._sections]
        num_rows = {name: rows for name, (rows, _) in self._tables.items()}
        write_data_docs(
            self._docs / "data_docs", self._artifact, self._gates, sections, num_rows, self._failures
        )
        rows = [gate.document() for gate in self._gates]
        write_table(pa.Table.from_pylist(rows, schema=GATES), self._docs / "gates.parquet")

    def _failed(self, name: str, results: Sequence[Any]) -> None:
        broken = [found for found in results if not found.success]
        self._failures += [told(name, found) for found in broken]
        self._broken += [gate_of(name, found) for found in broken]
