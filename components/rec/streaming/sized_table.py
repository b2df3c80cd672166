"""Embeddings of many sizes that take no more memory than they say (ESAPN §2.2, §2.3.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from components.rec.optimizers.base import BETA_1, BETA_2, EPSILON
from components.rec.weights import prefixed, without_prefix

_SPARE = 1.125  # of a block that has to grow: so much more than is needed


@final
@dataclass(frozen=True)
class Rows:
    """The embeddings of a batch, each once.

    Attributes:
        id_R: whose they are; those of one size stand together, the smallest size first.
        slot_R: where they stand in their blocks.
        size_R: the places of their sizes.
        values: for each size its rows, (R_k, d_k); leaves that take gradients.
        place_B: which row each of the batch has.
    """

    id_R: Tensor
    slot_R: Tensor
    size_R: Tensor
    values: Sequence[Tensor]
    place_B: Tensor

    @property
    def counts(self) -> list[int]:
        """How many there are of each size."""
        return [len(rows) for rows in self.values]

    def enlarged(self, chosen_R: Tensor) -> "Rows":
        """These rows as if the chosen ones had the next larger size (§2.3.3). There they would begin with
        e ← W e, which `Unify` makes of them anyway: they have to be told to be of that size, no more.

        Args:
            chosen_R: bool; none of the largest size.
        """
        return replace(self, size_R=self.size_R + chosen_R)


@final
class _Block:
    """The embeddings of one size, packed: the first `used` rows, with their Adam moments and clocks.

    Adam is row-wise: a row moves with the steps that touch it, and corrects its moments' bias by their
    number. So a row that is new, or new in this size, starts like any other.
    """

    def __init__(self, dim: int) -> None:
        self.value_CD = torch.empty(0, dim)
        self.mean_CD = torch.empty(0, dim)
        self.square_CD = torch.empty(0, dim)
        self.clock_C = torch.empty(0, dtype=torch.int32)
        self.owner_C = torch.empty(0, dtype=torch.int32)
        self.used = 0

    def columns(self) -> dict[str, Tensor]:
        return {
            "value": self.value_CD,
            "mean": self.mean_CD,
            "square": self.square_CD,
            "clock": self.clock_C,
            "owner": self.owner_C,
        }

    def _set(self, columns: Mapping[str, Tensor]) -> None:
        self.value_CD, self.mean_CD, self.square_CD = columns["value"], columns["mean"], columns["square"]
        self.clock_C, self.owner_C = columns["clock"], columns["owner"]

    def _fit(self, used: int) -> None:
        """Room for so many rows, and not for many more."""
        room = len(self.owner_C)
        if used <= room <= max(2 * used, 64):
            return
        self._resize(max(int(used * _SPARE), used))

    def _resize(self, room: int) -> None:
        kept, resized = min(self.used, room), {}
        for name, column in self.columns().items():
            resized[name] = column.new_zeros((room, *column.shape[1:]))
            resized[name][:kept] = column[:kept]
        self._set(resized)

    def append(self, owner_N: Tensor, value_ND: Tensor) -> Tensor:
        """Put in rows that have not been trained in this size; their slots."""
        start, self_used = self.used, self.used + len(owner_N)
        self._fit(self_used)
        place = slice(start, self_used)
        self.value_CD[place], self.owner_C[place] = value_ND, owner_N.to(torch.int32)
        self.mean_CD[place], self.square_CD[place], self.clock_C[place] = 0, 0, 0
        self.used = self_used
        return torch.arange(start, self_used)

    def remove(self, slot_N: Tensor) -> tuple[Tensor, Tensor]:
        """Take rows out; the last ones move into the gaps.

        Returns:
            the ids of those that moved, and their new slots.
        """
        left = self.used - len(slot_N)
        stays_N = torch.ones(len(slot_N), dtype=torch.bool)  # of the last rows
        stays_N[slot_N[slot_N >= left] - left] = False
        to_M, from_M = slot_N[slot_N < left], left + stays_N.nonzero().squeeze(1)
        for column in self.columns().values():
            column[to_M] = column.index_select(0, from_M)
        self.used = left
        moved_M = self.owner_C[to_M].to(torch.int64)
        self._fit(left)
        return moved_M, to_M

    def step(
        self, slot_N: Tensor, gradient_ND: Tensor, clock_N: Tensor, rate_N1: Tensor, floor_N1: Tensor
    ) -> None:
        """One step of Adam for some rows, each once."""
        mean_ND = torch.lerp(gradient_ND, self.mean_CD.index_select(0, slot_N), BETA_1)
        square_ND = torch.lerp(gradient_ND.square(), self.square_CD.index_select(0, slot_N), BETA_2)
        change_ND = rate_N1 * mean_ND / (square_ND.sqrt() + floor_N1)
        self.value_CD.index_add_(0, slot_N, change_ND, alpha=-1)
        self.mean_CD[slot_N], self.square_CD[slot_N], self.clock_C[slot_N] = mean_ND, square_ND, clock_N

    def state(self) -> dict[str, Tensor]:
        """What is used, and how much room there is: whoever goes on from here grows at the same moments."""
        columns = {name: column[: self.used] for name, column in self.columns().items()}
        return {**columns, "room": torch.tensor(len(self.owner_C))}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self.used = 0
        self._resize(int(state["room"]))
        self.used = len(state["owner"])
        for name, column in self.columns().items():
            column[: self.used] = state[name]


@final
class SizedTable:
    """One embedding for each of a growing number of ids, of the size that the id has now.

    Storage is a block for each size, without gaps: a row that leaves its block is replaced by the last one,
    and blocks that are half empty shrink. So the memory is that of the sizes, but for at most as much spare
    room as there are rows.

    Args:
        sizes: D, which ascend.
        std: standard deviation of an embedding's first values.
        generator: (CPU) draws them.
    """

    def __init__(self, sizes: Sequence[int], std: float, *, generator: torch.Generator) -> None:
        self.sizes = tuple(sizes)
        self._std, self._generator = std, generator
        self._blocks = [_Block(size) for size in self.sizes]
        self._size_N = torch.empty(0, dtype=torch.int8)
        self._slot_N = torch.empty(0, dtype=torch.int32)
        self._num_ids = 0

    def __len__(self) -> int:
        return self._num_ids

    def extend(self, num_ids: int, place_N: Tensor | None = None) -> None:
        """Know ids up to this number; new ones get random embeddings.

        Args:
            place_N: the places of the new ones' sizes; the smallest where none are given.
        """
        fresh = num_ids - self._num_ids
        if fresh <= 0:
            return
        if num_ids > len(self._size_N):
            room = int(num_ids * _SPARE) + 64
            for name in ("_size_N", "_slot_N"):
                old = getattr(self, name)
                new = old.new_zeros(room)
                new[: self._num_ids] = old[: self._num_ids]
                setattr(self, name, new)
        id_N = torch.arange(self._num_ids, num_ids)
        self._size_N[id_N] = 0 if place_N is None else place_N.to(torch.int8)
        for place in torch.unique(self._size_N[id_N]).tolist():
            new_M = id_N[self._size_N[id_N] == place]
            value_MD = torch.randn((len(new_M), self.sizes[place]), generator=self._generator) * self._std
            self._slot_N[new_M] = self._blocks[place].append(new_M, value_MD).to(torch.int32)
        self._num_ids = num_ids

    def size_of(self, id_B: Tensor) -> Tensor:
        """(B,) int64: the place in `sizes` of each id's size."""
        return self._size_N[id_B].to(torch.int64)

    def rows(self, id_B: Tensor) -> Rows:
        """The embeddings of some ids, as leaves for one step."""
        key_R, place_B = torch.unique(self.size_of(id_B) * self._num_ids + id_B, return_inverse=True)
        id_R, size_R = key_R % self._num_ids, key_R // self._num_ids
        slot_R = self._slot_N[id_R].to(torch.int64)
        counts = torch.bincount(size_R, minlength=len(self.sizes)).tolist()
        values = [
            block.value_CD.index_select(0, slots).requires_grad_()
            for block, slots in zip(self._blocks, torch.split(slot_R, counts), strict=True)
        ]
        return Rows(id_R, slot_R, size_R, values, place_B)

    @torch.no_grad()
    def step(self, rows: Rows, learning_rate: float) -> None:
        """One step of Adam along the gradients of some rows."""
        slots = torch.split(rows.slot_R, rows.counts)
        clock_R = 1 + torch.cat([block.clock_C[of] for block, of in zip(self._blocks, slots, strict=True)])
        exponent_R1 = clock_R[:, None].to(torch.float64)
        root_R1 = (1 - BETA_2**exponent_R1).sqrt()
        rate_R1 = (learning_rate * root_R1 / (1 - BETA_1**exponent_R1)).float()
        floor_R1 = (EPSILON * root_R1).float()
        parts = (torch.split(of_R, rows.counts) for of_R in (clock_R, rate_R1, floor_R1))
        for block, leaf, slot_N, clock_N, rate_N1, floor_N1 in zip(
            self._blocks, rows.values, slots, *parts, strict=True
        ):
            if leaf.grad is not None and len(leaf):
                block.step(slot_N, leaf.grad, clock_N, rate_N1, floor_N1)

    @torch.no_grad()
    def enlarge(self, id_N: Tensor, maps: Sequence[torch.nn.Linear]) -> None:
        """Give distinct ids the next larger size: e ← W e by their sizes' map (§2.3.3). Moments and
        clocks begin anew: those of the smaller embedding are of other directions.

        Args:
            maps: from each size to the next.
        """
        size_N = self.size_of(id_N)
        assert not (size_N == len(self.sizes) - 1).any(), "the largest size has no next one"
        for place in range(len(self.sizes) - 2, -1, -1):  # from above, so that nobody grows twice
            ids = id_N[size_N == place]
            if not len(ids):
                continue
            slots, block = self._slot_N[ids].to(torch.int64), self._blocks[place]
            value_ND = maps[place](block.value_CD[slots])
            moved_M, to_M = block.remove(slots)
            self._slot_N[moved_M] = to_M.to(torch.int32)
            self._slot_N[ids] = self._blocks[place + 1].append(ids, value_ND).to(torch.int32)
            self._size_N[ids] = place + 1

    def flat(self) -> tuple[Tensor, Tensor]:
        """How many numbers each id's embedding has (N,), and all of them one after another."""
        length_N = torch.tensor(self.sizes)[self.size_of(torch.arange(self._num_ids))]
        first_N, flat = length_N.cumsum(0) - length_N, torch.empty(int(length_N.sum()))
        for size, block in zip(self.sizes, self._blocks, strict=True):
            first_C = first_N[block.owner_C[: block.used].to(torch.int64)]
            flat[first_C[:, None] + torch.arange(size)] = block.value_CD[: block.used]
        return length_N, flat

    def counts(self) -> list[int]:
        """How many ids have each size (ESAPN Table 2)."""
        return [block.used for block in self._blocks]

    def bytes(self) -> list[int]:
        """What each size's embeddings take, spare room included, without optimizer state."""
        return [block.value_CD.untyped_storage().nbytes() for block in self._blocks]

    def state(self) -> dict[str, Tensor]:
        """All of it, and the generator's; whose embedding stands where follows from the blocks' owners."""
        state = {"num_ids": torch.tensor(self._num_ids), "generator": self._generator.get_state()}
        for size, block in zip(self.sizes, self._blocks, strict=True):
            state |= prefixed(str(size), block.state())
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave."""
        self._num_ids = int(state["num_ids"])
        self._generator.set_state(state["generator"].cpu())
        self._size_N = torch.zeros(self._num_ids, dtype=torch.int8)
        self._slot_N = torch.zeros(self._num_ids, dtype=torch.int32)
        for place, (size, block) in enumerate(zip(self.sizes, self._blocks, strict=True)):
            block.load_state(without_prefix(str(size), state))
            owner_C = block.owner_C[: block.used].to(torch.int64)
            self._size_N[owner_C] = place
            self._slot_N[owner_C] = torch.arange(len(owner_C), dtype=torch.int32)
