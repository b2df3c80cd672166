"""Imports at less cost."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Within the block the garbage collector rests. Large packages make hundreds of thousands of objects that
    stay as long as the process; going through them again and again is a third of their import."""
    rested = not gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not rested:
            gc.enable()
