"""Compiles the kernels of the data stages for this machine: `python -m components.data.precompile`."""

import numpy as np

from components.core.recipe.prepare import Core
from components.data.kcore import peel


def main() -> None:
    ids = np.array([0, 0, 1, 2], np.int32)
    peel(ids, ids[::-1].copy(), Core(users=2, items=2))


if __name__ == "__main__":
    main()
