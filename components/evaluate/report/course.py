"""How a model came about, as its page shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from components.evaluate.report.charts import Chart
from components.evaluate.report.document import Table


@final
@dataclass(frozen=True, kw_only=True)
class Course:
    """The search, where training started, and how it went; each task words it for itself."""

    search_summary: str
    search: Sequence[Chart]
    search_tables: Sequence[Table]
    start_summary: str
    start_tables: Sequence[Table]
    curves: Sequence[Chart]
