"""Taking in what a source yields, whatever the task."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, final

import pyarrow as pa

from components.core.columns import CONTENT, FILE, LINE
from components.core.errors import GateFailedError, InvalidInputError
from components.core.progress import progress
from components.core.recipe import IngestExamplesParams, IngestParams, IngestStreamParams
from components.data.contracts.deliveries import rejected_gate
from components.data.parquet import write_table
from components.ingest.batch import Batch
from components.ingest.rejected import RejectedRows, count_reasons, first_of

_NUM_TOLD: Final = 5  # reasons in the gate's message, files in another
_NUM_REASONS: Final = 100  # in the profile: a reason may hold a row's value


@final
class Intake:
    """Counts a source's rows by file, and sets the unusable ones aside.

    Attributes:
        rejected: the rows that are set aside; more may be added until `settle`.
    """

    def __init__(
        self,
        params: IngestParams | IngestExamplesParams | IngestStreamParams,
        inputs: Mapping[str, Path],
    ) -> None:
        self._params, self._inputs = params, inputs
        self._rows_by_file: dict[str, int] = {}
        self.rejected = RejectedRows()

    def batches(self) -> Iterator[tuple[int, Batch]]:
        """What the source yields, each with the number of its file.

        Raises:
            InvalidInputError: the source cannot be read, or has no rows.
        """
        source, rows_by_file = self._params.source, self._rows_by_file
        with progress("ingest", unit="rows") as shown:
            for batch in type(source).load()(source, self._inputs, self._params.seed):
                rows_by_file[batch.file] = rows_by_file.get(batch.file, 0) + len(batch)
                number = len(rows_by_file) - 1
                self.rejected.add(number, batch.rows.rejected)
                yield number, batch
                shown.advance(len(batch), note=batch.file)
        if not sum(rows_by_file.values()):
            raise InvalidInputError(f"no rows in {self._told()}")

    def settle(self, output: Path, num_usable: int) -> dict[str, Any]:
        """Write `rejected.parquet`.

        Returns:
            What the profile tells of rows: `rows`, `rows_by_file`, `rejected_rows`, `rejected_by_reason`.

        Raises:
            GateFailedError: more rows than allowed cannot be used.
            InvalidInputError: no row can.
        """
        unusable = self.rejected.to_table(list(self._rows_by_file))
        write_table(unusable, output / "rejected.parquet")
        reasons = count_reasons(unusable)
        num_rows = sum(self._rows_by_file.values())
        _check_share(unusable, reasons, num_rows, self._params.max_rejected_fraction)
        if not num_usable:
            raise InvalidInputError(f"no usable rows in {self._told()}")
        return {
            "rows": num_rows,
            "rows_by_file": self._rows_by_file,
            "rejected_rows": unusable.num_rows,
            "rejected_by_reason": dict(islice(reasons.items(), _NUM_REASONS)),
        }

    def _told(self) -> str:
        files = [path for place in self._inputs.values() for path in sorted(place.rglob("*"))]
        names = [path.name for path in files if path.is_file()]
        return ", ".join(names[:_NUM_TOLD]) + (" …" if len(names) > _NUM_TOLD else "")


def _check_share(unusable: pa.Table, reasons: Mapping[str, int], num_rows: int, allowed: float) -> None:
    gate = rejected_gate(unusable.num_rows, num_rows, allowed)
    if gate.passed:
        return
    lines = [f"{gate.told}:"]
    for reason, count in islice(reasons.items(), _NUM_TOLD):
        first = first_of(unusable, reason)
        lines.append(f"  {count:,} × {reason}, as in {first[FILE]}:{first[LINE]}: {first[CONTENT]!r}")
    raise GateFailedError("\n".join(lines), [gate])
