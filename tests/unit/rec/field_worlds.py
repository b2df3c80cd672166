"""Worlds of labelled examples in any layout."""

from collections.abc import Sequence

import torch
from torch import Tensor

from components.core.recipe.example_preparation import Pooling
from components.rec.classifiers.base import looked_up
from components.rec.csr import Csr
from components.rec.fields import ExampleBatch, Examples, FieldData, FieldTable, Layout

SINGLE: Sequence[Pooling | None] = (None,)
MIXED: Sequence[Pooling | None] = (None, "mean", None, "sum", None)  # of a world's fields


def make_layout(
    poolings: Sequence[Pooling | None] = MIXED, first_size: int = 12, histories: Sequence[str] = ()
) -> Layout:
    """A field for each pooling, of `first_size`, `first_size` + 1, … codes; and histories of some of them."""
    fields = [
        FieldTable(f"f{place}", "multi_valued" if pooling else "categorical", pooling, first_size + place)
        for place, pooling in enumerate(poolings)
    ]
    return Layout((*fields, *(FieldTable(f"history_{of}", "history", "mean", 0, of, 6) for of in histories)))


def make_examples(layout: Layout, num_examples: int, num_classes: int, seed: int) -> Examples:
    """Examples with random codes. Every value has a worth; classes are equal slices of the fields' mean
    worth: what there is to learn is the same for each seed."""
    generator = torch.Generator().manual_seed(seed)
    singles, several, worth_N = [], [], torch.zeros(num_examples)
    worth_R = torch.randn(layout.num_rows, generator=torch.Generator().manual_seed(0))
    sizes = {field.name: field.size for field in layout.fields}
    behaved = torch.randint(1, 7, (num_examples,), generator=torch.Generator().manual_seed(seed))
    for field, offset in zip(layout.fields, layout.offset_F, strict=True):
        high = 4 if field.pooling else 2
        counts = torch.randint(1, high, (num_examples,), generator=generator)
        if field.of is not None:
            counts = behaved
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
        codes = torch.randint(0, sizes[field.of or field.name], (int(offsets[-1]),), generator=generator)
        lists = Csr(offsets, codes)
        worth_N += torch.zeros(num_examples).index_add(0, lists.rows, worth_R[offset + codes]) / counts
        if field.pooling is None:
            singles.append(codes.int())
        else:
            several.append(lists)
    edges = (
        worth_R.std()
        * len(layout.fields) ** 0.5
        * torch.special.ndtri(torch.arange(1, num_classes) / num_classes)
    )
    code_NS = torch.stack(singles, dim=1) if singles else torch.zeros(num_examples, 0, dtype=torch.int32)
    return Examples(layout, code_NS, tuple(several), torch.bucketize(worth_N, edges))


def make_field_data(
    layout: Layout, num_classes: int = 2, num_train: int = 600, num_valid: int = 200
) -> FieldData:
    """Train and validation examples of the same world."""
    train = make_examples(layout, num_train, num_classes, seed=1)
    valid = make_examples(layout, num_valid, num_classes, seed=2)
    return FieldData(layout, tuple(map(str, range(num_classes))), train, valid)


def make_batch(layout: Layout, size: int, seed: int = 1) -> ExampleBatch:
    """Random examples of two classes."""
    return make_examples(layout, size, 2, seed).select(torch.arange(size))


def pooled(table: Tensor, batch: ExampleBatch, layout: Layout) -> Tensor:
    """(B, F, W), a row for each field and each history."""
    return looked_up(table, batch, layout, apart=False).rows_BFW


def slowly_read(table_RW: Tensor, batch: ExampleBatch, layout: Layout) -> list[Tensor]:
    """(T, K) of each example, its behaviours alone."""
    kinds = [field.of is not None for field in layout.fields if field.pooling is not None]
    bags = [bag for bag, is_history in zip(batch.bags, kinds, strict=True) if is_history]
    found = []
    for b in range(len(batch)):
        begin = bags[0].start_B[b]
        end = bags[0].start_B[b + 1] if b + 1 < len(batch) else len(bags[0].row_V)
        found.append(torch.cat([table_RW[bag.row_V[begin:end]] for bag in bags], dim=1))
    return found


def slowly_pooled(table_RW: Tensor, batch: ExampleBatch, layout: Layout) -> Tensor:
    """(B, F, W), one example and one field after the other."""
    found = []
    for b in range(len(batch)):
        single, several = iter(batch.row_BS[b]), iter(batch.bags)
        for field in layout.fields:
            if field.pooling is None:
                found.append(table_RW[next(single)])
                continue
            bag = next(several)
            end = bag.start_B[b + 1] if b + 1 < len(batch) else len(bag.row_V)
            total = sum(table_RW[row] for row in bag.row_V[bag.start_B[b] : end])
            found.append(total / (end - bag.start_B[b]) if field.pooling == "mean" else total)
    return torch.stack(found).view(len(batch), len(layout.fields), -1)
