"""What several networks compute of an example's embeddings."""

from torch import Tensor


def product_sum(embedding_BFD: Tensor) -> Tensor:
    """(B, D) Σ over i < j of eᵢ ⊙ eⱼ, by ½ ((Σ eᵢ)² − Σ eᵢ²) (Rendle 2010, lemma 3.1)."""
    return (embedding_BFD.sum(dim=1).square() - embedding_BFD.square().sum(dim=1)) / 2
