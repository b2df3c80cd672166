"""Made-up users and items with taste."""

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class World:
    """Users and items: so many factors, and a bias, of each.

    Args:
        shares: what taste and the biases of users and items contribute to the variance of utilities.

    Attributes:
        trait_IF: the items' factors.
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        num_factors: int,
        shares: tuple[float, float, float],
        generator: np.random.Generator,
    ) -> None:
        self._shares = shares
        self._taste_UF = generator.standard_normal((num_users, num_factors))
        self.trait_IF = generator.standard_normal((num_items, num_factors))
        self._bias_U = generator.standard_normal(num_users)
        self._bias_I = generator.standard_normal(num_items)

    def utility(self, user_N: Ids, item_N: Ids) -> Floats:
        """What users think of items."""
        taste_N = np.einsum("nf,nf->n", self._taste_UF[user_N], self.trait_IF[item_N])
        parts = (taste_N, self._bias_U[user_N], self._bias_I[item_N])
        scaled = (standardised(part_N, share) for part_N, share in zip(parts, self._shares, strict=True))
        total_N: Floats = sum(scaled, start=np.zeros(len(user_N)))
        return total_N


def drawn(rank_N: Ids, size: int, exponent: float, generator: np.random.Generator) -> Ids:
    """So often one of N, each by a power of its rank, from 0."""
    weight_N = (rank_N + 1.0) ** -exponent
    return generator.choice(len(rank_N), size, p=weight_N / weight_N.sum())


def standardised(value_N: Floats, variance: float) -> Floats:
    """The same with mean 0 and a variance; what does not vary stays without."""
    deviation = value_N.std()
    scaled_N: Floats = (value_N - value_N.mean()) * (np.sqrt(variance) / deviation if deviation else 0.0)
    return scaled_N


def classes(utility_N: Floats, num_classes: int, positive_share: float = 0.5) -> Ids:
    """The slice of each utility, from the lowest; of several classes all are alike frequent.

    Args:
        positive_share: of the second of two classes.
    """
    if num_classes == 2:
        shares = [1 - positive_share]
    else:
        shares = [place / num_classes for place in range(1, num_classes)]
    return np.searchsorted(np.quantile(utility_N, shares), utility_N, side="right")
