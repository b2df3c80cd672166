"""FiBiNET (Huang et al. 2019)."""

from typing import final

import torch
from torch import Tensor, nn

from components.core.recipe.classification import FibiNet
from components.rec.classifiers.base import ClassifierModel, Network, Shape
from components.rec.mlp import Mlp, draw, fully_connected


@final
class FibiNetNetwork(Network):
    """z = ⟨w, x⟩ + Wₒ MLP([p ; q]) + bₒ (eq. 11), p and q being the bilinear interactions eᵢ Wᵢ ⊙ eⱼ, i < j,
    of the embeddings and of the same weighed by fields: vᵢ = aᵢ eᵢ, a = ReLU(W₂ ReLU(W₁ z)), zᵢ the mean of
    eᵢ (eq. 3 to 5, without biases). Each field has a matrix of its own ("field-each", eq. 7).

    A single field has no interactions: then the MLP gets e and v.
    """

    linear = True
    pair_2P: Tensor

    def __init__(self, config: FibiNet, shape: Shape, *, generator: torch.Generator) -> None:
        super().__init__()
        self._shape = shape
        fields, dim = shape.num_fields, shape.dim
        squeezed = max(1, fields // config.reduction)
        self.squeeze = fully_connected(fields, squeezed, generator=generator, bias=False)
        self.excite = fully_connected(squeezed, fields, generator=generator, bias=False)
        self.bilinear = nn.Parameter(torch.empty(max(fields - 1, 0), dim, dim))
        draw(self.bilinear, dim, generator)
        self.register_buffer("pair_2P", torch.triu_indices(fields, fields, offset=1), persistent=False)
        pairs = fields * (fields - 1) // 2
        self.mlp = Mlp(config.mlp, 2 * dim * max(pairs, 1), generator=generator)
        self.output = fully_connected(self.mlp.outputs, shape.num_logits, generator=generator)

    def forward(self, rows_BFW: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        embedding_BFD, linear_BL = self._shape.split(rows_BFW)
        weight_BF = self.excite(self.squeeze(embedding_BFD.mean(dim=2)).relu()).relu()
        weighed_BFD = embedding_BFD * weight_BF[:, :, None]
        joined = torch.cat([self._interact(embedding_BFD), self._interact(weighed_BFD)], dim=1)
        output_BL: Tensor = self.output(self.mlp(joined, dropout))
        return linear_BL + output_BL

    def _interact(self, embedding_BFD: Tensor) -> Tensor:
        """(B, P D)."""
        if len(self.bilinear) == 0:
            return embedding_BFD.flatten(1)
        first_P, second_P = self.pair_2P
        turned_BFD = torch.einsum("bfd,fde->bfe", embedding_BFD[:, :-1], self.bilinear)
        pairs_BPD = turned_BFD.index_select(1, first_P) * embedding_BFD.index_select(1, second_P)
        return pairs_BPD.flatten(1)


@final
class FibiNetModel(ClassifierModel):
    """A table under a `FibiNetNetwork`."""

    network_type = FibiNetNetwork
