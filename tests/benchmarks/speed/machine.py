"""What this machine can do, measured here: the limits that the other numbers are held against.

python -m tests.benchmarks.speed.machine
"""

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import final

import torch

from components.rec.allocator import keep_large_buffers

_COPY_BYTES = 1 << 28
_ROWS, _ROW_FLOATS = 1 << 20, 64
_MATRIX = 2048
_REPEATS = 7
_PACKAGES = ("torch", "numpy", "numba", "polars", "pyarrow")


@final
@dataclass(frozen=True)
class Machine:
    """Facts and rates of one device.

    Attributes:
        copy: bytes read and written per second by a large copy.
        gather: bytes of random 256-byte rows read per second.
        sgemm: floating-point operations per second of a float32 matrix product.
    """

    name: str
    threads: int
    copy: float
    gather: float
    sgemm: float

    def __str__(self) -> str:
        packages = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
        return (
            f"{self.name}, {self.threads} threads; copy {self.copy / 1e9:.1f} GB/s (read + written), gather "
            f"of random 256-byte rows {self.gather / 1e9:.1f} GB/s, sgemm {self.sgemm / 1e9:.0f} GFLOP/s; "
            f"Python {platform.python_version()}, {packages}; load {os.getloadavg()[0]:.1f} at the start"
        )


def measure(device: str = "cpu") -> Machine:
    """Takes about two seconds."""
    if device == "cpu":
        keep_large_buffers()
    source = torch.ones(_COPY_BYTES // 4, device=device)
    target = torch.empty_like(source)
    table = torch.ones(_ROWS, _ROW_FLOATS, device=device)
    rows = torch.randint(_ROWS, (_ROWS,), device=device)
    gathered = torch.empty_like(table)
    left = torch.ones(_MATRIX, _MATRIX, device=device)
    product = torch.empty_like(left)
    return Machine(
        name=_name(device),
        threads=torch.get_num_threads(),
        copy=2 * _COPY_BYTES / _seconds(lambda: target.copy_(source), device),
        gather=gathered.nbytes / _seconds(lambda: torch.index_select(table, 0, rows, out=gathered), device),
        sgemm=2 * _MATRIX**3 / _seconds(lambda: torch.mm(left, left, out=product), device),
    )


def _seconds(work: Callable[[], object], device: str) -> float:
    """Median of some runs."""
    durations = []
    for _ in range(_REPEATS + 2):
        _wait(device)
        start = time.perf_counter()
        work()
        _wait(device)
        durations.append(time.perf_counter() - start)
    return statistics.median(durations[2:])


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _name(device: str) -> str:
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor()}, {os.cpu_count()} cores"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


if __name__ == "__main__":
    print(measure())
