"""Kernels for the CPU, compiled by Numba where it can be imported.

Every kernel has a plain form beside it, which is taken where Numba is missing and for tensors on a GPU;
both give the same results. No kernel's result depends on the number of threads.
"""

import atexit
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])
_LINE: Final = 16  # floats in a cache line
_CACHE: Final = "NUMBA_CACHE_DIR"
_BROUGHT: Final = "RECLOOP_KERNELS"  # where an image has compiled them before


def available() -> bool:
    """Whether kernels can be compiled here; `RECLOOP_COMPILED=0` says no."""
    return _AVAILABLE


def use_threads(count: int) -> None:
    """Kernels run on at most so many threads from now on."""
    if _AVAILABLE:
        import numba

        numba.set_num_threads(max(1, min(count, numba.config.NUMBA_NUM_THREADS)))


def njit(*, parallel: bool = False, fastmath: bool = False) -> Callable[[_Function], _Function]:
    """Compile a kernel on its first call, and keep it for the next process where the disk can be written.

    Numba compiles anew when the kernel's own file has changed, not for what it takes from other files:
    functions, constants, `prefetch`. Whoever changes those removes the kept kernels:
    `find components -name '*.nb[ic]' -delete`.
    """

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


def _find_cache() -> bool:
    """Whether compiled kernels can be kept: beside their source, where the environment says, or for this
    process alone, beginning with what an image brings along."""
    if os.access(os.environ.get(_CACHE, Path(__file__).parent), os.W_OK):
        return True
    if _CACHE in os.environ or not os.access(tempfile.gettempdir(), os.W_OK):
        return False
    own = tempfile.mkdtemp(prefix="recloop-kernels-")  # nobody else can write there
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    brought = os.environ.get(_BROUGHT)
    if brought and Path(brought).is_dir():
        shutil.copytree(brought, own, dirs_exist_ok=True)
        Path(own).chmod(0o700)  # copied, too
    os.environ[_CACHE] = own
    return True


_AVAILABLE: Final = _usable()
_KEEP: Final = _AVAILABLE and _find_cache()
if _AVAILABLE:
    from llvmlite import ir
    from numba import prange, types
    from numba.core import cgutils
    from numba.extending import intrinsic

    _READ, _KEEP_CLOSE, _DATA = 0, 3, 1  # llvm.prefetch's arguments

    @intrinsic  # type: ignore[untyped-decorator]
    def prefetch(_typing: Any, table: Any, *place: Any) -> Any:
        """Ask for the cache line of `table[place]`, which is soon to be read."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = signature.args[0]
            array = context.make_array(kind)(context, builder, arguments[0])
            indices = [
                context.cast(builder, index, from_, types.intp)
                for index, from_ in zip(
                    cgutils.unpack_tuple(builder, arguments[1]), signature.args[1], strict=True
                )
            ]
            item = cgutils.get_item_pointer(context, builder, kind, array, indices, wraparound=False)
            byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
            function = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.VoidType(), [byte, word, word, word]), "llvm.prefetch.p0"
            )
            how = [ir.Constant(word, value) for value in (_READ, _KEEP_CLOSE, _DATA)]
            builder.call(function, [builder.bitcast(item, byte), *how])
            return context.get_dummy_value()

        return types.void(table, types.StarArgTuple(place)), generate
else:
    prange = range

    def prefetch(table: Any, *place: Any) -> None:
        """Nothing to ask for."""


@njit()
def prefetch_row(table: Any, row: int) -> None:
    """Ask for a row of float32, which is soon to be read."""
    for d in range(0, table.shape[1], _LINE):
        prefetch(table, row, d)


__all__ = ["available", "njit", "prange", "prefetch", "prefetch_row", "use_threads"]
