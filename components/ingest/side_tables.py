"""Side tables: more about the values of one field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import polars as pl

from components.core.errors import InvalidInputError
from components.core.recipe.examples import TABLES, ExamplesSource, SideTable
from components.data.formats.raw import Rejected, Wanted
from components.data.normalize import Checks, normalize
from components.ingest.batch import Joined
from components.ingest.fields import field_value, one_value, wanted
from components.ingest.reading import read_raw

_KEY: Final = "the key"  # no field can have such a name
_IS_THERE: Final = "is there"
_NUM_TOLD: Final = 5  # rows in a message


@final
@dataclass(frozen=True)
class Lookup:
    """A side table in memory: what is known of each value of `field`."""

    field: str
    rows: pl.DataFrame

    def join(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, Joined]:
        """The examples with the table's fields, null where it does not know the value."""
        rows = self.rows.with_columns(pl.lit(value=True).alias(_IS_THERE))
        joined = frame.join(rows, left_on=self.field, right_on=_KEY, how="left", maintain_order="left")
        unmatched = joined.drop_in_place(_IS_THERE).null_count()
        return joined, Joined(len(rows), unmatched)


def read_tables(source: ExamplesSource, places: Mapping[str, Path]) -> dict[str, Lookup]:
    """Every side table by its name; they are the inputs `table_1` … in their order.

    Raises:
        InvalidInputError: a file cannot be read, or a row of it cannot be used; a table has no rows, or a key
            twice.
    """
    return {
        name: Lookup(table.field, _read(name, table, places[place], source))
        for place, (name, table) in zip(TABLES, source.tables.items(), strict=False)
    }


def _read(name: str, table: SideTable, place: Path, source: ExamplesSource) -> pl.DataFrame:
    def meaning(column: str, kind: pl.DataType) -> tuple[pl.Expr, Checks]:
        if column != _KEY:
            return field_value(column, kind, table.fields, source)
        key, checks = one_value(pl.col(_KEY), kind, source)
        return key, [(key.is_null(), "is empty"), *checks]

    columns = {_KEY: Wanted(table.key, "single"), **wanted(table.fields)}
    frames = []
    for _, file, raw in read_raw(table.format, {name: place}, columns):
        rows = normalize(raw, meaning, file)
        _require_usable(name, file, rows.rejected)
        frames.append(rows.frame)
    if not sum(map(len, frames)):
        raise InvalidInputError(f"source.tables.{name}: got no rows, need one for each {table.field}")
    found = pl.concat(frames)
    _require_distinct(name, found[_KEY])
    return found


def _require_usable(name: str, file: str, rejected: Sequence[Rejected]) -> None:
    """A row of a table stands for many examples: none may be left out unseen."""
    if not rejected:
        return
    told = f"source.tables.{name}: got rows that cannot be used ({len(rejected):,})"
    lines = [f"{told}; mend them, or name the values that stand for none in source.missing:"]
    lines += [f"  {row.reason}, as in {file}:{row.line}: {row.content!r}" for row in rejected[:_NUM_TOLD]]
    raise InvalidInputError("\n".join(lines))


def _require_distinct(name: str, keys: pl.Series) -> None:
    again = keys.filter(keys.is_duplicated()).unique(maintain_order=True)
    if len(again):
        told = ", ".join(map(repr, again[:_NUM_TOLD])) + (" …" if len(again) > _NUM_TOLD else "")
        raise InvalidInputError(f"source.tables.{name}.key: got {told} more than once, need each value once")
