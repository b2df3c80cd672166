"""What a study found: of every cell that was run."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic

import pandas as pd
import pyarrow as pa

from components.core.errors import IntegrityError
from components.core.manifest import read_manifest
from components.data.parquet import read_table
from components.study.cells import AnyMethod, AnyRecipe, Cell
from components.study.running import Outcome


@dataclass
class StudyResults(Generic[AnyMethod, AnyRecipe]):
    """What a study found so far.

    Attributes:
        outcomes: of every cell that was run.
        recipes: that the cells ran with.
        jobs: cells that ran beside each other.
    """

    outcomes: dict[Cell[AnyMethod], Outcome] = field(default_factory=dict)
    recipes: dict[Cell[AnyMethod], AnyRecipe] = field(default_factory=dict)
    jobs: int = 1

    def of(self, data: str, model: str, method: AnyMethod) -> dict[int, Outcome]:
        """By seed, those that succeeded."""
        return {
            cell.seed: outcome
            for cell, outcome in self.outcomes.items()
            if (cell.data, cell.model, cell.method) == (data, model, method) and not outcome.error
        }

    def table(self, metrics: Sequence[str], workspace: Path) -> pd.DataFrame:
        """One row a cell: what it was, found and took, where its model lies below the workspace, and which
        code trained it when.

        Args:
            metrics: those of the evaluation.
        """
        rows = []
        for cell, outcome in sorted(self.outcomes.items(), key=lambda ran: ran[0].label):
            made = read_manifest(outcome.places["model"]) if "model" in outcome.places else None
            searching = outcome.metrics.get("search", {})
            if not searching.get("training_seconds"):
                searching = {}  # nothing was searched
            evaluated = outcome.metrics.get("evaluate", {})
            rows.append(
                {
                    "data": cell.data,
                    "model": cell.model,
                    "method": cell.method.label,
                    "seed": cell.seed,
                    **{f"search_{name}": value for name, value in searching.items()},
                    **{
                        f"retrain_{name}": value for name, value in outcome.metrics.get("retrain", {}).items()
                    },
                    **{name: evaluated[name] for name in metrics if name in evaluated},
                    "model_artifact": os.path.relpath(outcome.places["model"], workspace) if made else None,
                    "revision": made.git_sha if made else None,
                    "day": made.ended.date().isoformat() if made else None,
                    "error": outcome.error or None,
                }
            )
        return pd.DataFrame(rows)


def read(outcome: Outcome, artifact: str, file: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A table of an artifact that a cell left.

    Raises:
        IntegrityError: there is none, or it is damaged.
    """
    place = Path(outcome.places[artifact]) / file
    try:
        table = read_table(place)
        found: pd.DataFrame = (table if columns is None else table.select(columns)).to_pandas()
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise IntegrityError(
            f"{place}: is damaged ({error}); remove its folder, and it is made again"
        ) from error
    return found
