"""Adam over embedding rows, exact and without touching a table as a whole.

In dense Adam a row whose gradient is zero still moves: its moments decay and its weights follow them. A step
over 160,000 rows for a batch of 3,000 spends nearly all its time there. Here a row's steps without a gradient
are put off until somebody looks at it, and are then made at once.

With m and v as they stood after step t, s = √v, and n steps without a gradient since, the weights have
moved by

    −η m Σⱼ bⱼ / (aⱼ s + ε),   bⱼ = β₁ʲ / (1 − β₁ᵗ⁺ʲ),   aⱼ = β₂^(j/2) / √(1 − β₂ᵗ⁺ʲ),   j = 1 … n.

aⱼ hardly changes while bⱼ fades. So the sum is expanded around ā, the mean of aⱼ weighted by bⱼ, up to its
third central moment μ₃; with q = s / (ā s + ε):

    Σⱼ bⱼ / (aⱼ s + ε) ≈ S₀ / (ā s + ε) · (1 + q² μ₂ − q³ μ₃).

The moments depend on (t, n) alone and come from the sums S_k = Σⱼ bⱼ aⱼᵏ, each a difference of two entries
of a table: the work for a row does not depend on how long it waited. For t ≥ 300 the expansion's relative
error is below 1e-6, for every n, v and ε. Before, the first steps are made one by one, (300 − t) / 6 of
them; by then bⱼ has faded so far that the same bound holds for the sum.

Looking at a row moves its weights alone. m and √v stay as of its last gradient; what has faded of them since
then is a factor each. After 256 steps without a gradient no weight moves any more.
"""

import math
from collections.abc import Mapping
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from components.compiled import njit, prange, prefetch_row
from components.rec.optimizers.base import BETA_1, BETA_2, EPSILON, Optimizer

_EARLY: Final = 300  # before this step aⱼ changes too fast for the expansion alone
_PER_STEP_BY_ITSELF: Final = 6
_FADED_AFTER: Final = 256  # steps without a gradient: what is left of m, 2e-12 of it, moves no weight
_AHEAD: Final = 4  # rows between a row's being asked for and its being read
_HORIZON: Final = 40_000  # 1 − β₂ᵗ is 1 in float64 from here on
_ORDERS: Final = 4  # S₀ … S₃

Floats = npt.NDArray[np.float32]


@final
class DeferredAdam(Optimizer):
    """For tables on a CPU whose gradients are sparse."""

    def __init__(self, tables: Mapping[str, nn.Parameter], learning_rate: float) -> None:
        self._learning_rate = learning_rate
        self._step = 0
        self._tables = {name: _Table(parameter) for name, parameter in tables.items()}

    def zero_grad(self) -> None:
        for table in self._tables.values():
            table.parameter.grad = None

    def catch_up(self, name: str, rows: Tensor) -> None:
        """Bring rows of a table up to date; they may be given in any shape, and more than once."""
        self._tables[name].catch_up(rows.numpy().reshape(-1), self._step, self._learning_rate)

    def settle(self) -> None:
        for table in self._tables.values():
            rows = np.arange(len(table.parameter))
            table.catch_up(rows, self._step, self._learning_rate)

    def step(self) -> None:
        """The rows with a gradient must have been caught up with before it was taken."""
        self._step += 1
        for table in self._tables.values():
            if table.parameter.grad is not None:
                rows, values = _by_row(table.parameter.grad)
                table.move(rows, values, self._step, self._learning_rate)

    def state(self) -> dict[str, Tensor]:
        parts = {
            f"{name}.{part}": tensor
            for name, table in self._tables.items()
            for part, tensor in table.state().items()
        }
        return {"step": torch.tensor(self._step), **parts}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self._step = int(state["step"])
        for name, table in self._tables.items():
            for part, tensor in table.state().items():
                tensor.copy_(state[f"{name}.{part}"])


@final
class _Table:
    """A parameter (rows, D), m and √v, and for each row the step of its last gradient, as which those
    two stand, and the step up to which its weights stand."""

    def __init__(self, parameter: nn.Parameter) -> None:
        self.parameter = parameter
        self._first, self._root = torch.zeros_like(parameter), torch.zeros_like(parameter)
        self._since = torch.zeros(len(parameter), dtype=torch.int64)
        self._upto = torch.zeros(len(parameter), dtype=torch.int64)

    def state(self) -> dict[str, Tensor]:
        return {"first": self._first, "root": self._root, "since": self._since, "upto": self._upto}

    def catch_up(self, rows: npt.NDArray[np.int64], step: int, learning_rate: float) -> None:
        weight, first, root, since, upto = self._arrays()
        _catch_up(rows, weight, first, root, since, upto, step, learning_rate, SUMS, FADES)

    def move(self, rows: npt.NDArray[np.int64], gradient: Floats, step: int, learning_rate: float) -> None:
        assert not len(rows) or self._upto.numpy()[rows].min() == step - 1
        correction_1, correction_2 = 1 - BETA_1**step, math.sqrt(1 - BETA_2**step)
        weight, first, root, since, upto = self._arrays()
        rate = learning_rate / correction_1
        _move(rows, gradient, weight, first, root, since, upto, step, rate, correction_2, FADES)

    def _arrays(self) -> tuple[Any, ...]:
        parts = (self.parameter.detach(), self._first.detach(), self._root.detach())
        return tuple(part.numpy() for part in (*parts, self._since, self._upto))


def _by_row(gradient: Tensor) -> tuple[npt.NDArray[np.int64], Floats]:
    """Each row once. A gradient comes so unless several were added up, but autograd forgets to say it."""
    rows = gradient._indices()[0]
    if not bool((rows[1:] > rows[:-1]).all()):
        gradient = gradient.coalesce()
    return gradient._indices()[0].numpy(), gradient._values().numpy()


def _sums() -> npt.NDArray[np.float64]:
    """(4, horizon + 1): at [k, t − 1], Σ over i ≥ 0 of rᵢ bias terms, so that S_k(t, n) is
    r · sums[k, t] − rⁿ⁺¹ · sums[k, t + n], with r = β₁ β₂^(k/2)."""
    step = np.arange(1, _HORIZON + 2, dtype=np.float64)
    sums = np.empty((_ORDERS, len(step)))
    for k in range(_ORDERS):
        term = 1 / (1 - BETA_1**step) * (1 - BETA_2**step) ** (-k / 2)
        ratio = BETA_1 * BETA_2 ** (k / 2)
        total = term[-1] / (1 - ratio)
        for place in range(_HORIZON, -1, -1):
            total = total if place == _HORIZON else term[place] + ratio * total
            sums[k, place] = total
    return sums


SUMS: Final = _sums()
FADES: Final = np.stack([BETA_1 ** np.arange(4096.0), BETA_2 ** (np.arange(4096.0) / 2)])  # β₁ⁿ, β₂^(n/2)


@njit()
def _fades(count: int, fades: Any) -> tuple[float, float]:
    """β₁ⁿ and β₂^(n/2)."""
    if count < fades.shape[1]:
        return fades[0, count], fades[1, count]
    return 0.0, BETA_2 ** (count / 2)


@njit()
def _expansion(step: int, count: int, sums: Any, fades: Any) -> tuple[float, float, float, float]:
    """S₀, ā, μ₂ and μ₃ of `count` steps after `step`."""
    last = sums.shape[1] - 1
    begin, end = min(step, last), min(step + count, last)
    ratio_2 = math.sqrt(BETA_2)
    faded, fade = _fades(count + 1, fades)
    ratio = BETA_1
    s0 = ratio * sums[0, begin] - faded * sums[0, end]
    ratio, faded = ratio * ratio_2, faded * fade
    e1 = (ratio * sums[1, begin] - faded * sums[1, end]) / s0
    ratio, faded = ratio * ratio_2, faded * fade
    e2 = (ratio * sums[2, begin] - faded * sums[2, end]) / s0
    ratio, faded = ratio * ratio_2, faded * fade
    e3 = (ratio * sums[3, begin] - faded * sums[3, end]) / s0
    return s0, e1, e2 - e1 * e1, e3 - 3 * e1 * e2 + 2 * e1 * e1 * e1


@njit(parallel=True)
def _catch_up(
    rows: Any, weight: Any, first: Any, root: Any, since: Any, upto: Any, step: int, learning_rate: float,
    sums: Any, fades: Any,
) -> None:  # fmt: skip
    """Make the steps between `upto` and `step`, all without a gradient; m and √v are left as they are."""
    num_stale = 0
    stale, begins = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    for row in rows:
        begin, last = upto[row], since[row]
        stale[num_stale], begins[num_stale] = row, begin
        # before its first gradient a row does not move; no branch that a processor could guess wrong
        num_stale += (begin < step) & (last > 0) & (begin - last < _FADED_AFTER)
        upto[row] = step
    for place in prange(num_stale):
        soon = stale[min(place + _AHEAD, num_stale - 1)]
        prefetch_row(weight, soon)
        prefetch_row(first, soon)
        prefetch_row(root, soon)
        row, begin = stale[place], begins[place]
        count, waited = step - begin, begin - since[row]
        if begin < _EARLY:
            one_by_one = min(count, (_EARLY - begin) // _PER_STEP_BY_ITSELF)
            for _ in range(one_by_one):
                begin, count = begin + 1, count - 1
                scale = learning_rate * BETA_1 / (1 - BETA_1**begin)
                mean = math.sqrt(BETA_2 / (1 - BETA_2**begin))
                _follow(weight, first, root, row, _fades(waited, fades), (scale, mean, 0.0, 0.0))
                waited += 1
        if count > 0:
            total, mean, moment_2, moment_3 = _expansion(begin, count, sums, fades)
            moments = (learning_rate * total, mean, moment_2, moment_3)
            _follow(weight, first, root, row, _fades(waited, fades), moments)


@njit()
def _follow(weight: Any, first: Any, root: Any, row: int, faded: Any, moments: Any) -> None:
    """Move a row by its moments, of which so much has faded."""
    b, a = np.float32(faded[0] * moments[0]), np.float32(moments[1])
    mu_2, mu_3, fade = np.float32(moments[2]), np.float32(moments[3]), np.float32(faded[1])
    for d in range(weight.shape[1]):
        s = fade * root[row, d]
        inverse = np.float32(1) / (a * s + np.float32(EPSILON))
        q = s * inverse
        weight[row, d] -= b * first[row, d] * inverse * (np.float32(1) + q * q * (mu_2 - q * mu_3))


@njit(parallel=True)
def _move(
    rows: Any, gradient: Any, weight: Any, first: Any, root: Any, since: Any, upto: Any, step: int,
    rate: float, correction: float, fades: Any,
) -> None:  # fmt: skip
    """One step of Adam for rows whose weights stand at the step before."""
    eta, unbiased = np.float32(rate), np.float32(1 / correction)
    epsilon = np.float32(EPSILON)
    new_1, new_2 = np.float32(1 - BETA_1), np.float32(1 - BETA_2)
    for place in prange(len(rows)):
        soon = rows[min(place + _AHEAD, len(rows) - 1)]
        prefetch_row(weight, soon)
        prefetch_row(first, soon)
        prefetch_row(root, soon)
        row = rows[place]
        fade, root_fade = _fades(step - since[row], fades)
        keep_1, keep_2 = np.float32(fade), np.float32(root_fade * root_fade)
        for d in range(weight.shape[1]):
            g = gradient[place, d]
            m = keep_1 * first[row, d] + new_1 * g
            s = np.sqrt(keep_2 * root[row, d] * root[row, d] + new_2 * g * g)
            first[row, d], root[row, d] = m, s
            weight[row, d] -= eta * m / (s * unbiased + epsilon)
        since[row] = upto[row] = step
