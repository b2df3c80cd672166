"""Examples taken in, and what came of it."""

import itertools
from pathlib import Path
from typing import Any

from components.catalog import INGEST
from components.core.recipe import IngestExamplesParams
from components.core.recipe.examples import ExamplesSource
from components.core.stage import StageResult, execute
from components.data.document import read_document
from components.data.parquet import read_table

ORDER = ("label", "site", "price", "genres", "user", "item", "age", "tags", "brand")
NUMBERS = itertools.count()
FIELDS: dict[str, Any] = {
    "categorical": {"site": "site"},
    "numeric": {"price": "price"},
    "multi_valued": {"genres": {"column": "genres"}},
}


def ingest(root: Path, *, max_rejected_fraction: float = 0.5, **source: Any) -> StageResult:
    examples = ExamplesSource(**{"fields": FIELDS, **source})
    params = IngestExamplesParams(source=examples, max_rejected_fraction=max_rejected_fraction, seed=1)
    return execute(INGEST, params, examples.locations(), str(root / f"interactions-{next(NUMBERS)}"))


def rows_of(result: StageResult) -> list[tuple]:
    """In the tests' order of columns; the artifact has fields by name."""
    table = read_table(Path(result.uri) / "interactions.parquet")
    first = [name for name in ORDER if name in table.column_names]
    names = [*first, *(name for name in table.column_names if name not in first)]
    return [tuple(row.values()) for row in table.select(names).to_pylist()]


def rejected_of(result: StageResult) -> list[tuple]:
    table = read_table(Path(result.uri) / "rejected.parquet")
    return [(row["file"], row["line"], row["reason"]) for row in table.to_pylist()]


def profile_of(result: StageResult) -> dict[str, Any]:
    return read_document(Path(result.uri) / "profile.json")


def written(path: Path, content: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return str(path)
