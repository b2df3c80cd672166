"""A prepared dataset of labelled examples as tensors: fields, whose codes become rows of a model's table."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from components.core import columns
from components.core.errors import InvalidInputError
from components.core.recipe.example_preparation import Pooling
from components.core.recipe.examples import FieldKind
from components.data.parquet import TableFile, read_table
from components.metrics.classification import measure
from components.rec.csr import Csr

if TYPE_CHECKING:
    from components.rec.classifiers.base import ClassifierModel


@final
@dataclass(frozen=True)
class FieldTable:
    """A field: one line of fields.parquet.

    Attributes:
        pooling: what the rows of several values become; None where an example has one.
        size: of its table; codes are 0 … size − 1. A history has no table, size 0.
        of: of a history the field whose table it looks into.
        length: of a history, at most.
    """

    name: str
    kind: FieldKind
    pooling: Pooling | None
    size: int
    of: str | None = None
    length: int | None = None


@final
@dataclass(frozen=True)
class Layout:
    """Where fields lie in a model's table: one after another, each in the order of its codes."""

    fields: tuple[FieldTable, ...]

    @classmethod
    def read(cls, directory: Path) -> "Layout":
        """From a dataset or a model artifact."""
        names = [columns.FIELD, columns.KIND, columns.POOLING, columns.SIZE, columns.OF, columns.LENGTH]
        lines = read_table(directory / "fields.parquet").select(names).to_pylist()
        return cls(tuple(FieldTable(*line.values()) for line in lines))

    @cached_property
    def offset_F(self) -> tuple[int, ...]:
        """Each field's first row; a history's is that of the field whose values it has."""
        first = dict(
            zip(self.names, accumulate((field.size for field in self.fields), initial=0), strict=False)
        )
        return tuple(first[field.of or field.name] for field in self.fields)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the fields."""
        return tuple(field.name for field in self.fields)

    @property
    def num_rows(self) -> int:
        return sum(field.size for field in self.fields)

    def offsets(self, *, multi_valued: bool) -> list[int]:
        """The first rows of the fields that hold several values, or of the others."""
        both = zip(self.fields, self.offset_F, strict=True)
        return [offset for field, offset in both if (field.pooling is not None) == multi_valued]


@final
@dataclass(frozen=True)
class Bag:
    """A multi-valued field of B examples, each of which has at least one value.

    Attributes:
        row_V: (V,) int64, rows of the table, one example's after another's.
        start_B: (B,) int64, where each example's begin.
    """

    row_V: Tensor
    start_B: Tensor


@final
@dataclass(frozen=True)
class ExampleBatch:
    """B examples by the rows that their values have in a model's table.

    Attributes:
        row_BS: (B, S) int64, of the S single-valued fields in their order.
        bags: the multi-valued fields in their order.
        label_B: (B,) int64, places of the classes.
    """

    row_BS: Tensor
    bags: tuple[Bag, ...]
    label_B: Tensor

    def __len__(self) -> int:
        return len(self.label_B)

    @cached_property
    def row_O(self) -> Tensor:
        """(O,) all rows, as often as they occur: those of `row_BS`, then each bag's."""
        return torch.cat([self.row_BS.flatten(), *(bag.row_V for bag in self.bags)])

    def parts(self, value_O: Tensor) -> tuple[Tensor, ...]:
        """What belongs to `row_O`, (O, …): (B, S, …), then (V, …) of each bag."""
        lengths = [self.row_BS.numel(), *(len(bag.row_V) for bag in self.bags)]
        single, *several = torch.split(value_O, lengths)
        return single.view(*self.row_BS.shape, *value_O.shape[1:]), *several

    def rows(self) -> Tensor:
        """(N,) the distinct rows that it touches, ascending."""
        return self._distinct[0]

    def within(self, row_N: Tensor) -> "ExampleBatch":
        """The same with places in `row_N` for rows: ascending, distinct rows, among them all of its own."""
        own_M, place_O = self._distinct
        place_BS, *several = self.parts(torch.searchsorted(row_N, own_M)[place_O])
        bags = tuple(Bag(place_V, bag.start_B) for place_V, bag in zip(several, self.bags, strict=True))
        return replace(self, row_BS=place_BS, bags=bags)

    @cached_property
    def _distinct(self) -> tuple[Tensor, Tensor]:
        """The distinct rows, and where among them each of `row_O` stands."""
        return self.row_O.unique(return_inverse=True)  # type: ignore[no-any-return, no-untyped-call]


@final
@dataclass(frozen=True)
class Examples:
    """N examples of a part, in the dataset's order.

    Attributes:
        code_NS: (N, S) int32, of the single-valued fields.
        several: the codes of each multi-valued field, a row of them for each example.
        label_N: (N,) int64, places of the classes.
    """

    layout: Layout
    code_NS: Tensor
    several: tuple[Csr, ...]
    label_N: Tensor

    @classmethod
    def read(cls, path: Path, layout: Layout, device: torch.device) -> "Examples":
        """A part of a dataset artifact."""
        file = TableFile(path)
        single = [field.name for field in layout.fields if field.pooling is None]
        code_NS = torch.empty(file.num_rows, len(single), dtype=torch.int32)
        for place, name in enumerate(single):
            code_NS[:, place] = torch.from_numpy(file.values(name))
        several = [field.name for field in layout.fields if field.pooling is not None]
        lists = tuple(Csr.from_lists(file.read([name])[name], device) for name in several)
        label_N = torch.from_numpy(file.values(columns.LABEL)).long()
        return cls(layout, code_NS.to(device), lists, label_N.to(device))

    def __len__(self) -> int:
        return len(self.label_N)

    def select(self, index_B: Tensor) -> ExampleBatch:
        """The given examples, in the given order."""
        single_S, several = self._offsets
        lists = [(codes.select(index_B), offset) for codes, offset in zip(self.several, several, strict=True)]
        bags = tuple(Bag(codes.values + offset, codes.offsets[:-1]) for codes, offset in lists)
        return ExampleBatch(self.code_NS[index_B].long() + single_S, bags, self.label_N[index_B])

    @cached_property
    def _offsets(self) -> tuple[Tensor, list[int]]:
        """The first rows of the fields: of the single-valued ones (S,), and of the others."""
        single, several = (self.layout.offsets(multi_valued=several) for several in (False, True))
        return torch.tensor(single, dtype=torch.int64, device=self.code_NS.device), several


@final
@dataclass(frozen=True)
class FieldData:
    """Train and validation examples; the test part is never loaded here.

    Attributes:
        classes: the label's values.
    """

    layout: Layout
    classes: tuple[str, ...]
    train: Examples
    valid: Examples

    @classmethod
    def load(cls, dataset: Path, device: torch.device) -> "FieldData":
        """Read train, valid and the fields from a dataset artifact."""
        layout = Layout.read(dataset)
        classes = json.loads((dataset / "preparation.json").read_text(encoding="utf-8"))["classes"]
        train = Examples.read(dataset / "train.parquet", layout, device)
        valid = Examples.read(dataset / "valid.parquet", layout, device)
        return cls(layout, tuple(classes), train, valid)

    def __len__(self) -> int:
        return len(self.train)

    @property
    def device(self) -> torch.device:
        return self.train.label_N.device

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def num_logits(self) -> int:
        """L: of two classes one, else one for each."""
        return 1 if self.num_classes == 2 else self.num_classes

    @property
    def has_validation(self) -> bool:
        """Whether there are examples to validate on."""
        return len(self.valid) > 0

    def require_validation(self) -> None:
        """Metrics need an example of every class.

        Raises:
            InvalidInputError: valid has none of a class.
        """
        count_C = torch.bincount(self.valid.label_N, minlength=self.num_classes)
        missing = [name for name, count in zip(self.classes, count_C.tolist(), strict=True) if not count]
        if missing:
            raise InvalidInputError(
                f"valid.label: got no example of class {', '.join(missing)}, need one of each or more; "
                "prepare.split decides how large valid is"
            )

    def batches(self, batch_size: int, generator: torch.Generator, first: int = 0) -> Iterator[ExampleBatch]:
        """Every train example once, in random order; the last batch may be smaller. A single example that is
        left over joins the batch before it, since nothing can be normalised over one.

        `generator` is a CPU generator, so that the order does not depend on the device. A resumed epoch
        begins with its batch number `first`.
        """
        order = torch.randperm(len(self), generator=generator).to(self.device)
        starts = list(range(0, len(self), batch_size))
        if len(starts) > 1 and len(self) - starts[-1] == 1:
            del starts[-1]
        for start, end in pairwise([*starts[first:], len(self)]):
            yield self.train.select(order[start:end])

    def validate(self, model: "ClassifierModel", metric: str) -> dict[str, float]:
        """All metrics on valid, whichever is watched; see `measure`."""
        return measure(model.predict(self.valid).cpu().numpy(), self.valid.label_N.cpu().numpy())
