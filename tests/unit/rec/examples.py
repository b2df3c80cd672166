"""A small world of labelled examples."""

import torch

from components.rec.csr import Csr
from components.rec.fields import Examples, FieldData, FieldTable, Layout

LAYOUT = Layout(
    (
        FieldTable("user", "categorical", None, 14),
        FieldTable("genres", "multi_valued", "mean", 6),
        FieldTable("item", "categorical", None, 10),
    )
)


def make_examples(num_examples: int, num_classes: int, generator: torch.Generator) -> Examples:
    """Labels that follow from the item and, for a third of the examples, from chance."""
    user, item = (torch.randint(0, size, (num_examples,), generator=generator) for size in (14, 10))
    counts = torch.randint(1, 4, (num_examples,), generator=generator)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
    genres = torch.randint(0, 6, (int(offsets[-1]),), generator=generator)
    chance = torch.randint(0, num_classes, (num_examples,), generator=generator)
    label = torch.where(torch.rand(num_examples, generator=generator) < 1 / 3, chance, item % num_classes)
    codes = torch.stack([user, item], dim=1).to(torch.int32)
    return Examples(LAYOUT, codes, (Csr(offsets, genres),), label)


def make_field_data(num_classes: int = 2, num_train: int = 160, num_valid: int = 60) -> FieldData:
    """`FieldData` with train and validation examples of that world."""
    generator = torch.Generator().manual_seed(5)
    train, valid = (make_examples(count, num_classes, generator) for count in (num_train, num_valid))
    return FieldData(LAYOUT, tuple(map(str, range(num_classes))), train, valid)
