"""Gumbel-softmax (AutoLoss eq. 10), also straight-through (AutoSample eq. 10 and 11)."""

import torch
from torch import Tensor


def gumbel_softmax(log_alpha: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """p = softmax((log α + g) / τ) over the last dimension, with fresh Gumbel noise g.

    Its argmax is a draw from α (eq. 10), whatever τ; its gradient is what the straight-through
    estimator uses in place of that of the argmax (eq. 11). Instead of log α any logits do, since
    softmax takes no notice of what they have in common. g = −log e for exponential e.
    """
    exponential = torch.empty_like(log_alpha, requires_grad=False).exponential_(generator=generator)
    return torch.softmax((log_alpha - exponential.log()) / temperature, dim=-1)


def drawn(probability_T: Tensor) -> Tensor:
    """(T,) one-hot at the argmax (eq. 10)."""
    places = torch.arange(len(probability_T), device=probability_T.device)
    return (places == probability_T.argmax()).to(probability_T.dtype)


def logit_gradient(probability_T: Tensor, loss_T: Tensor, temperature: float) -> Tensor:
    """The gradient of Σ pₜ Lₜ with respect to the logits, α = softmax(logits).

    p is a softmax of (log α + g) / τ, so ∂/∂(log α)ₜ = pₜ (Lₜ − Σ p L) / τ. These sum to 0 over t, and
    so the step from log α to the logits changes nothing.
    """
    return probability_T * (loss_T - probability_T @ loss_T) / temperature
