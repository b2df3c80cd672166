"""From raw rows to labelled examples: normalise, join with side tables, set aside what cannot be used."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa

from components.core.columns import PART
from components.core.errors import InvalidInputError
from components.core.recipe import IngestExamplesParams, IngestStreamParams
from components.core.recipe.examples import EarlierExamples, ExamplesSource, history_of
from components.core.stage import Context
from components.data.contracts.interactions.classification import schema
from components.data.contracts.own import check
from components.data.document import write_document
from components.data.examples import Examples, describe
from components.data.parquet import TableWriter
from components.ingest.batch import Batch, Joined
from components.ingest.histories import add_histories
from components.ingest.intake import Intake


def run(
    params: IngestExamplesParams | IngestStreamParams,
    inputs: Mapping[str, Path],
    output: Path,
    context: Context,
) -> Mapping[str, float]:
    """Write `interactions.parquet`, `rejected.parquet` and `profile.json`.

    Raises:
        InvalidInputError: a source cannot be read, or has no rows; the examples are all of one class, or a
            field is missing in all of them; an expectation of the recipe cannot be asked.
        GateFailedError: more rows than allowed cannot be used; `rejected.parquet` says which and why.
    """
    source = params.source
    columns = schema(params)
    check(params.quality.expectations, {"interactions": columns})
    history = source.history if isinstance(source, ExamplesSource) else None
    read = columns
    if isinstance(history, EarlierExamples):  # which are known when all rows are
        made = set(map(history_of, history.fields))
        read = pa.schema([field for field in columns if field.name not in made])
    with TemporaryDirectory(dir=output.parent) as scratch:
        table = Path(scratch) / "interactions.parquet"
        intake, tables, num_examples = Intake(params, inputs), dict[str, Joined](), 0
        with TableWriter(table, read) as writer:
            for _, batch in intake.batches():
                writer.write(_table(batch, read))
                num_examples += len(batch.rows.frame)
                for name, joined in batch.joined.items():
                    earlier = tables[name].unmatched if name in tables else 0
                    tables[name] = Joined(joined.rows, earlier + joined.unmatched)
        rows = intake.settle(output, num_examples)
        if isinstance(history, EarlierExamples):
            table = add_histories(history, source.label.classes, table, columns)
        examples = Examples.count(table, params.source.label.classes, params.source.kinds())
        _require_something_to_learn(examples)
        told = {name: {"rows": joined.rows, "unmatched": joined.unmatched} for name, joined in tables.items()}
        profile = {**describe(examples), **rows, "tables": told}
        table.rename(output / "interactions.parquet")
    write_document(profile, output / "profile.json")
    return {name: float(profile[name]) for name in ("rows", "rejected_rows", "examples", "duplicates")}


def _table(batch: Batch, columns: pa.Schema) -> pa.Table:
    frame = batch.rows.frame
    if batch.part is not None:
        frame = frame.with_columns(pl.lit(batch.part).alias(PART))
    return frame.select(columns.names).to_arrow(compat_level=pl.CompatLevel.oldest())


def _require_something_to_learn(examples: Examples) -> None:
    there = [name for name, count in examples.classes.items() if count]
    if len(there) < 2:
        others = ", ".join(name for name in examples.classes if name not in there)
        raise InvalidInputError(
            f"source.label: all {len(examples):,} examples are of class {there[0]}, and none is of {others}; "
            "need at least two classes"
        )
    empty = [name for name, count in examples.nulls.items() if count == len(examples)]
    if empty:
        raise InvalidInputError(
            f"source.fields: {', '.join(empty)}: got no value in any of {len(examples):,} examples, need "
            "some, or leave the field out"
        )
