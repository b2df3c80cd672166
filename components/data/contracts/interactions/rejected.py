"""What the interactions artifact of any task tells of rows that could not be used."""

import pyarrow as pa

from components.core.columns import FILE, LINE, REASON
from components.data.contracts.examination import Examination
from components.data.contracts.expectations import between, not_null
from components.data.interactions import REJECTED


def examine_rejected(exam: Examination) -> pa.Table:
    """Check the table of rejected rows, and return it."""
    rejected = exam.table("rejected.parquet", REJECTED)
    exam.expect(
        "rejected.parquet",
        rejected.select([FILE, LINE, REASON]).to_pandas(),
        [not_null(FILE), not_null(LINE), not_null(REASON), between(LINE, 1, None)],
    )
    return rejected
