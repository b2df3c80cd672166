"""How many threads compute."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from components.compiled import use_threads


def share_threads() -> None:
    """Kernels run on as many threads as torch does. Numba's first use of OpenMP sets the number of torch's,
    too, to that of all cores: whatever the environment said is said again."""
    count = torch.get_num_threads()
    use_threads(count)
    torch.set_num_threads(count)


@contextmanager
def one_thread() -> Iterator[None]:
    """Within the block torch computes on a single thread: steps so small that waking others takes longer,
    and whose bits then depend on no number of cores."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(count)
