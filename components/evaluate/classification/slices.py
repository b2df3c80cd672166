"""Parts of the test examples for which a metric may hide what happens to them: those with one value."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.core.columns import CODE, COUNT, ENCODING, FIELD, KIND, VALUE
from components.core.recipe import EvaluateClassifierParams
from components.core.verdict import REST
from components.data.fields import MISSING, OUT_OF_VOCABULARY
from components.data.parquet import TableFile, read_table
from components.data.present import present
from components.evaluate.classification.exam import Exam

Mask = NDArray[np.bool_]


@final
@dataclass(frozen=True)
class Slice:
    """The test examples with one value of a field. Of a multi-valued field an example lies in several."""

    field: str
    value: str
    member_N: Mask


def read_slices(params: EvaluateClassifierParams, exam: Exam, inputs: Mapping[str, Path]) -> Iterator[Slice]:
    """The slices of an exam, field by field, of histories only where they are asked for: the values that are
    the most frequent in train and those of guardrails; then the examples without a value, with one out of
    vocabulary, and all others.

    The values of a hashed field stand nowhere but in the interactions: there the most frequent of the test
    are taken. Slices without examples are left out, but for those of guardrails.
    """
    rails: dict[str, list[str]] = {}
    for rail in params.promotion.guardrails:
        if rail.field is not None and rail.value is not None:
            rails.setdefault(rail.field, []).append(rail.value)
    asked = params.evaluation.slices
    for row in read_table(inputs["dataset"] / "fields.parquet").to_pylist():
        name = row[FIELD]
        if (asked is None and row[KIND] != "history") or name in (asked or ()) or name in rails:
            column = (_read_hashed if row[ENCODING] == "hashed" else _read_coded)(name, exam, inputs)
            values = column.codes(params.evaluation.slice_values, rails.get(name, ()))
            if row[KIND] == "numeric":  # buckets in their order
                values = dict(sorted(values.items(), key=lambda entry: entry[1]))
            yield from _slices(column, values, rails.get(name, ()))


@final
@dataclass(frozen=True, kw_only=True)
class _Column:
    """What V values stand in a field of N test examples.

    Attributes:
        example_V, code_V: the examples, and what stands there.
        values: value and code, the most frequent first.
        unknown_N, absent_N: the examples with a value out of vocabulary, and with none.
    """

    name: str
    example_V: NDArray[np.int64]
    code_V: NDArray[np.int64]
    values: pa.Table
    unknown_N: Mask
    absent_N: Mask

    def having(self, code: int) -> Mask:
        """The examples with a value."""
        member_N = np.zeros(len(self.absent_N), dtype=np.bool_)
        member_N[self.example_V[self.code_V == code]] = True
        return member_N

    def codes(self, count: int, wanted: Sequence[str]) -> dict[str, int]:
        """So many of the most frequent values, and others by name; -1 where there is no such value. A value
        that is called as a slice of ours is none of them."""
        values = self.values.filter(pc.invert(_among(self.values[VALUE], REST)))
        chosen = pa.concat_tables([values.slice(0, count), values.filter(_among(values[VALUE], wanted))])
        found = dict(zip(chosen[VALUE].to_pylist(), chosen[CODE].to_pylist(), strict=True))
        unknown = [value for value in wanted if value not in found and value not in REST]
        return found | dict.fromkeys(unknown, -1)


def _read_coded(name: str, exam: Exam, inputs: Mapping[str, Path]) -> _Column:
    """A field whose codes stand for values, or for buckets of numbers."""
    codes = TableFile(inputs["dataset"] / "test.parquet").read([name])[name].combine_chunks()
    example_V, values = present(codes)
    code_V = values.to_numpy().astype(np.int64)
    table = read_table(inputs["dataset"] / "values.parquet")
    values_of_field = table.filter(pc.equal(table[FIELD], name))
    unknown_N, absent_N = (
        np.isin(np.arange(len(exam)), example_V[code_V == code]) for code in (OUT_OF_VOCABULARY, MISSING)
    )
    return _Column(
        name=name,
        example_V=example_V,
        code_V=code_V,
        values=values_of_field.sort_by([(COUNT, "descending"), (CODE, "ascending")]),
        unknown_N=unknown_N,
        absent_N=absent_N,
    )


def _read_hashed(name: str, exam: Exam, inputs: Mapping[str, Path]) -> _Column:
    """A field in whose codes values collide."""
    file = TableFile(inputs["interactions"] / "interactions.parquet")
    column = file.read([name], exam.asked(file.num_rows))[name].combine_chunks()
    example_V, values = present(column)
    encoded = values.dictionary_encode()
    code_V = encoded.indices.to_numpy().astype(np.int64)
    count = np.bincount(code_V, minlength=len(encoded.dictionary))
    table = {VALUE: encoded.dictionary, CODE: np.arange(len(count)), COUNT: count}
    absent_N = np.ones(len(exam), dtype=np.bool_)
    absent_N[example_V] = False
    return _Column(
        name=name,
        example_V=example_V,
        code_V=code_V,
        values=pa.table(table).sort_by([(COUNT, "descending"), (VALUE, "ascending")]),
        unknown_N=np.zeros(len(exam), dtype=np.bool_),
        absent_N=absent_N,
    )


def _slices(column: _Column, values: Mapping[str, int], wanted: Sequence[str]) -> Iterator[Slice]:
    left_N = ~(column.unknown_N | column.absent_N)
    for value, code in values.items():
        member_N = column.having(code)
        left_N &= ~member_N
        if member_N.any() or value in wanted:
            yield Slice(column.name, value, member_N)
    for value, member_N in zip(REST, (left_N, column.unknown_N, column.absent_N), strict=True):
        if member_N.any() or value in wanted:
            yield Slice(column.name, value, member_N)


def _among(values: pa.ChunkedArray, names: Sequence[str]) -> pa.ChunkedArray:
    return pc.is_in(values, pa.array(names, pa.string()))
