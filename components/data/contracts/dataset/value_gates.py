"""Gates of a dataset's values: against the champion's, and of the test examples."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from components.core.columns import ENCODING, FIELD, VALUE
from components.core.gates import Gate
from components.core.recipe.example_quality import Values
from components.data.changes import kept
from components.data.encoders.tables import by_field
from components.data.parquet import read_table

_LASTING: Final = frozenset({"values", "log2"})  # encodings whose values mean the same in every dataset
_Field = tuple[str, str]  # its name and its encoding


def kept_gate(bounds: Values, dataset: Path, champion: Path) -> Gate:
    """How many of the champion's values a dataset still has, in the field that has kept the fewest."""
    now, before = _lasting_values(dataset), _lasting_values(champion)
    shares = {field: kept(now[field], before[field]) for field in before if field in now}
    subject = "against the champion's dataset"
    if not shares:
        return bounds.kept_values.judge("kept_values", subject, None, "no field to compare")
    worst = min(shares, key=lambda field: shares[field])
    told = f"{shares[worst]:.1%} of the {len(before[worst]):,} values of {worst[0]!r} are still there"
    return bounds.kept_values.judge("kept_values", subject, shares[worst], told)


def unknown_gate(bounds: Values, unknown: Mapping[str, float]) -> Gate:
    """How many test examples have a value out of vocabulary, in the field where most have.

    Args:
        unknown: field → its share.
    """
    worst = max(unknown, key=lambda field: unknown[field])
    told = f"{unknown[worst]:.1%} of the test examples have a value of {worst!r} out of vocabulary"
    return bounds.unknown.judge("unknown", "the dataset", unknown[worst], told)


def _lasting_values(dataset: Path) -> Mapping[_Field, pl.Series]:
    """The values of each field that can be compared."""
    fields = read_table(dataset / "fields.parquet")
    encodings = dict(zip(fields[FIELD].to_pylist(), fields[ENCODING].to_pylist(), strict=True))
    return {
        (name, encodings[name]): pl.Series(rows[VALUE])
        for name, rows in by_field(read_table(dataset / "values.parquet"))
        if encodings[name] in _LASTING
    }
