"""How threads of numeric libraries wait."""

import os
from typing import Final

_SPIN_COUNT: Final = "20000"  # about 0.1 ms


def wait_briefly() -> None:
    """Have OpenMP's threads wait actively for a moment only, not until the scheduler takes their core away.

    A training step is a hundred short parallel regions. Where something else runs on the machine, GNU's
    default makes each of them wait for a slice of the scheduler: a step of 1.2 ms then took 3 to 50 ms.
    To be called before torch is imported. What the environment says stands.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
