"""What several networks compute of an example's embeddings."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from components.core.errors import InvalidInputError


def product_sum(embedding_BFD: Tensor) -> Tensor:
    """(B, D) Σ over i < j of eᵢ ⊙ eⱼ, by ½ ((Σ eᵢ)² − Σ eᵢ²) (Rendle 2010, lemma 3.1)."""
    return (embedding_BFD.sum(dim=1).square() - embedding_BFD.square().sum(dim=1)) / 2


@final
class HadamardProducts(nn.Module):
    """eᵢ ⊙ eⱼ ⊙ … of given fields (AMER §2.2), of any orders.

    Args:
        interactions: the names of each one's fields.
        fields: all fields' names, in their order.

    Raises:
        InvalidInputError: there is no such field.
    """

    def __init__(self, interactions: Sequence[Sequence[str]], fields: Sequence[str]) -> None:
        super().__init__()
        unknown = sorted({name for names in interactions for name in names} - set(fields))
        if unknown:
            raise InvalidInputError(
                f"training.model.interactions: got the fields {', '.join(map(repr, unknown))}, need some of "
                f"{', '.join(map(repr, fields))}"
            )
        longest = max(map(len, interactions), default=0)
        # a place behind the last field holds ones: it fills up those of lower order
        rows = [
            [*map(fields.index, names), *[len(fields)] * (longest - len(names))] for names in interactions
        ]
        places = torch.tensor(rows, dtype=torch.int64).reshape(len(interactions), longest)
        self.register_buffer("place_MR", places, persistent=False)

    def forward(self, embedding_BFD: Tensor) -> Tensor:
        """(B, M, D)."""
        place_MR: Tensor = self.place_MR  # type: ignore[assignment]
        ones = torch.ones_like(embedding_BFD[:, :1])
        filled_BFD = torch.cat([embedding_BFD, ones], dim=1)
        product_BMD = torch.ones_like(filled_BFD[:, :1]).expand(-1, len(place_MR), -1)
        for place_M in place_MR.unbind(dim=1):
            product_BMD = product_BMD * filled_BFD.index_select(1, place_M)
        return product_BMD
