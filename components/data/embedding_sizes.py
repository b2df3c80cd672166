"""How many embeddings there are of each size, and what they take (ESAPN Table 2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, final

_BYTES: Final = 4  # of a float32


@final
@dataclass(frozen=True, kw_only=True)
class EmbeddingSizes:
    """Of users, or of items.

    Attributes:
        ids: how many there are.
        counts: size → embeddings that have it, sizes ascending.
        bytes: size → what they take, as stored.
    """

    ids: int
    counts: Mapping[int, int]
    bytes: Mapping[int, int]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """As `document` gave it."""
        counts, taken = (
            dict(sorted((int(size), count) for size, count in document[key].items()))
            for key in ("counts", "bytes")
        )
        return cls(ids=document["ids"], counts=counts, bytes=taken)

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        counts, taken = (
            {str(size): count for size, count in found.items()} for found in (self.counts, self.bytes)
        )
        return {"ids": self.ids, "counts": counts, "bytes": taken}

    @property
    def numbers(self) -> int:
        """Of all embeddings together ("Total Dim" of Table 2)."""
        return sum(size * count for size, count in self.counts.items())

    @property
    def taken(self) -> int:
        """Bytes of all embeddings together."""
        return sum(self.bytes.values())

    @property
    def share(self) -> float:
        """Of the bytes that embeddings of the largest size would take for all."""
        return self.taken / (_BYTES * self.ids * max(self.counts))
