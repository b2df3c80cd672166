"""Kernels for the CPU, compiled by Numba where it can be imported.

Every kernel has a plain form beside it, which is taken where Numba is missing and for tensors on a GPU;
both give the same results. No kernel's result depends on the number of threads.
"""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])
_CACHE: Final = "NUMBA_CACHE_DIR"


def available() -> bool:
    """Whether kernels can be compiled here; `RECLOOP_COMPILED=0` says no."""
    return _AVAILABLE


def use_threads(count: int) -> None:
    """Kernels run on at most so many threads from now on."""
    if _AVAILABLE:
        import numba

        numba.set_num_threads(max(1, min(count, numba.config.NUMBA_NUM_THREADS)))


def njit(*, parallel: bool = False, fastmath: bool = False) -> Callable[[_Function], _Function]:
    """Compile a kernel on its first call, and keep it for the next process where the disk can be written."""

    def compiled(function: _Function) -> _Function:
        if not _AVAILABLE:
            return function
        import numba

        kernel: _Function = numba.njit(
            cache=_KEEP, nogil=True, parallel=parallel, fastmath=fastmath, error_model="numpy"
        )(function)
        return kernel

    return compiled


def _usable() -> bool:
    return os.environ.get("RECLOOP_COMPILED") != "0" and importlib.util.find_spec("numba") is not None


def _cacheable() -> bool:
    """Whether the place where Numba keeps compiled kernels can be written: beside the source, or as told."""
    return os.access(os.environ.get(_CACHE, Path(__file__).parent), os.W_OK)


_AVAILABLE: Final = _usable()
_KEEP: Final = _cacheable()
if _AVAILABLE:
    from numba import prange
else:
    prange = range

__all__ = ["available", "njit", "prange", "use_threads"]
