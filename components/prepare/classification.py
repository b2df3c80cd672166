"""From labelled examples to a dataset: split, encoders, codes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.core.columns import LABEL, PART, PARTS, TIMESTAMP
from components.core.errors import InvalidInputError
from components.core.hashing import derive_seed
from components.core.recipe import PrepareExamplesParams
from components.core.stage import Context
from components.data.contracts.dataset.classification import schemas
from components.data.contracts.own import check
from components.data.document import write_document
from components.data.encoders.field import FieldEncoder, fit_field
from components.data.encoders.tables import write_encoders
from components.data.example_splits import Examples
from components.data.fields import MISSING, OUT_OF_VOCABULARY
from components.data.hashes import hash_rows
from components.data.parquet import TableFile, TableWriter
from components.data.present import present
from components.data.splits import TEST, TRAIN, VALID, Parts

Counts = npt.NDArray[np.int64]
_TOLD = (OUT_OF_VOCABULARY, MISSING)  # the codes whose shares are told


def run(
    params: PrepareExamplesParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> Mapping[str, float]:
    """Write the parts, the vocabularies of the fields and `preparation.json`.

    Raises:
        InvalidInputError: the examples have other fields than the recipe, or lack what the split needs; a
            part would be empty or without a class; train would not know a field; or an expectation of the
            recipe cannot be asked.
    """
    file = TableFile(inputs["interactions"] / "interactions.parquet")
    _require_fields(file, params)
    check(params.expectations, schemas(file.schema))
    examples = _examples(file, params)
    part_N = _split(examples, params)
    _require_parts(part_N, params)
    count_PC = _count_classes(file, part_N, params)
    _require_classes(count_PC, params)
    encoders = _fit(file, part_N, params)
    count_FPT = _write_parts(file, part_N, encoders, output)
    write_encoders(encoders, output)
    sizes = dict(zip(PARTS, count_PC.sum(axis=1).tolist(), strict=True))
    document: dict[str, Any] = {
        "classes": list(params.classes),
        "missing": list(params.missing),
        "sizes": sizes,
        "split": {**params.split.model_dump(mode="json"), "sizes": sizes},
        "class_counts": {
            part: dict(zip(params.classes, count_C.tolist(), strict=True))
            for part, count_C in zip(PARTS, count_PC, strict=True)
        },
        "fields": {
            encoder.name: _document_of(encoder, count_PT, sizes)
            for encoder, count_PT in zip(encoders, count_FPT, strict=True)
        },
        "equal_across_parts": _count_equal(examples, part_N),
    }
    write_document(document, output / "preparation.json")
    return {
        **{part: float(size) for part, size in sizes.items()},
        "fields": float(len(encoders)),
        "codes": float(sum(encoder.size for encoder in encoders)),
        "unknown": max(field["unknown"]["test"] for field in document["fields"].values()),
        "equal_across_parts": float(document["equal_across_parts"]),
    }


def _require_fields(file: TableFile, params: PrepareExamplesParams) -> None:
    found = [name for name in file.schema.names if name not in {LABEL, TIMESTAMP, PART}]
    if found != list(params.kinds):
        raise InvalidInputError(
            f"source.fields: got {', '.join(params.kinds)}, but the examples have {', '.join(found)}"
        )


def _examples(file: TableFile, params: PrepareExamplesParams) -> Examples:
    """What a split looks at. Examples are equal whatever came before them."""
    names = file.schema.names
    fields = [name for name in params.kinds if name not in params.histories]
    hashes = [hash_rows(_columns(part, fields)) for part in file.parts(fields)]
    return Examples(
        hash_N=np.concatenate(hashes) if hashes else np.empty(0, np.uint64),
        timestamp_N=file.values(TIMESTAMP) if TIMESTAMP in names else None,
        part_N=_given(file) if PART in names else None,
    )


def _columns(part: pa.Table, fields: Sequence[str]) -> Iterator[pa.Array]:
    return (part[name].combine_chunks() for name in fields)


def _given(file: TableFile) -> Parts:
    """The parts that the source came in."""
    parts = [pc.index_in(part[PART], pa.array(PARTS)).to_numpy() for part in file.parts([PART])]
    return np.concatenate(parts).astype(np.int8)


def _split(examples: Examples, params: PrepareExamplesParams) -> Parts:
    seed = derive_seed(params.seed, "prepare", "split")
    split: Parts = type(params.split).load()(params.split, examples, seed)
    return split


def _require_parts(part_N: Parts, params: PrepareExamplesParams) -> None:
    """Refuse a dataset with an empty part, unless the split leaves validation out on purpose."""
    for place, part in enumerate(PARTS):
        if place not in part_N and not (place == VALID and _without_valid(params)):
            raise InvalidInputError(
                f"prepare: {part} is empty: the {params.split.kind} split gave it none of {len(part_N):,} "
                "examples; need more data or another split"
            )


def _without_valid(params: PrepareExamplesParams) -> bool:
    split = params.split
    return split.valid_fraction == 0 if split.kind == "given" else split.ratio[1] == 0


def _count_classes(file: TableFile, part_N: Parts, params: PrepareExamplesParams) -> Counts:
    """The examples of each class in each part, (P, C)."""
    num_classes = len(params.classes)
    place_N = part_N.astype(np.int64) * num_classes + file.values(LABEL)
    return np.bincount(place_N, minlength=len(PARTS) * num_classes).reshape(len(PARTS), num_classes)


def _require_classes(count_PC: Counts, params: PrepareExamplesParams) -> None:
    """Refuse a part without a class: train would not learn it, elsewhere no metric could be measured."""
    lines = []
    for part, count_C in zip(PARTS, count_PC, strict=True):
        missing = [name for name, count in zip(params.classes, count_C, strict=True) if not count]
        if missing and count_C.any():
            why = "nothing can be learned of it" if part == "train" else "metrics are not defined"
            named = ", ".join(f"class {name!r}" for name in missing)
            lines.append(f"{part}: has no example of {named}; {why} without one")
    if lines:
        raise InvalidInputError(
            "\n".join(lines) + "\nneed more data, another split or seed, or fewer `source.label.classes`"
        )


def _fit(file: TableFile, part_N: Parts, params: PrepareExamplesParams) -> list[FieldEncoder]:
    """One field after the other: what stands in memory is its distinct values. A history has the encoder of
    the field whose values it has."""
    in_train_N = part_N == TRAIN
    fitted = {
        name: fit_field(
            name,
            kind,
            params.encodings,
            (part[name].combine_chunks() for part in file.parts([name], chosen=in_train_N)),
        )
        for name, kind in params.kinds.items()
        if name not in params.histories
    }
    for name, of in params.histories.items():
        fitted[name] = replace(
            fitted[of],
            name=name,
            kind="history",
            pooling=params.encodings.pooling,
            of=of,
            length=params.history_length,
        )
    return [fitted[name] for name in params.kinds]


def _write_parts(file: TableFile, part_N: Parts, encoders: list[FieldEncoder], output: Path) -> Counts:
    """Returns how many examples of each part have each told code in each field, (F, P, T)."""
    times = [TIMESTAMP] if TIMESTAMP in file.schema.names else []
    schema = schemas(file.schema)["train"]
    count_FPT = np.zeros((len(encoders), len(PARTS), len(_TOLD)), np.int64)
    with ExitStack() as stack:
        writers = [stack.enter_context(TableWriter(output / f"{part}.parquet", schema)) for part in PARTS]
        start = 0
        for some in file.parts([LABEL, *(encoder.name for encoder in encoders), *times]):
            here_N = part_N[start : start + some.num_rows]
            rows = np.arange(start, start + some.num_rows)
            codes = [encoder.encode(some[encoder.name].combine_chunks()) for encoder in encoders]
            table = pa.table([rows, some[LABEL], *codes, *(some[name] for name in times)], schema=schema)
            for place, writer in enumerate(writers):
                mine = table.filter(pa.array(here_N == place))
                writer.write(mine)
                count_FPT[:, place] += [_count_told(mine[encoder.name]) for encoder in encoders]
            start += some.num_rows
    return count_FPT


def _count_told(codes: pa.ChunkedArray) -> list[int]:
    """How many examples have each told code, in a list anywhere."""
    row_V, values = present(codes.combine_chunks())
    code_V = values.to_numpy()
    return [len(np.unique(row_V[code_V == code])) for code in _TOLD]


def _document_of(encoder: FieldEncoder, count_PT: Counts, sizes: Mapping[str, int]) -> dict[str, Any]:
    """What the preparation tells of a field. The examples of which it is out of vocabulary are those with
    one such value, at least; train has some where values must be frequent."""
    unknown_P, missing_P = count_PT.T.tolist()
    return {
        "encoding": encoder.encoding,
        "size": encoder.size,
        "unknown": {
            part: count / sizes[part] if sizes[part] else None
            for part, count in zip(PARTS, unknown_P, strict=True)
        },
        "missing": sum(missing_P) / sum(sizes.values()),
    }


def _count_equal(examples: Examples, part_N: Parts) -> int:
    """How many test examples have the same fields as one of train."""
    return int(np.isin(examples.hash_N[part_N == TEST], examples.hash_N[part_N == TRAIN]).sum())
