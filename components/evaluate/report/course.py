"""How a model came about, as its page shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from components.evaluate.report.architecture import Architecture
from components.evaluate.report.charts import Chart
from components.evaluate.report.document import Table


@final
@dataclass(frozen=True, kw_only=True)
class Course:
    """The search, where training started, and how it went; each task words it for itself.

    Attributes:
        architecture: of a model that has one of its own.
    """

    search_summary: str
    search: Sequence[Chart]
    search_tables: Sequence[Table]
    architecture: Architecture | None
    start_summary: str
    start_tables: Sequence[Table]
    curves: Sequence[Chart]
