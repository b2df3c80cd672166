"""Time and peak memory of ingest and prepare, each as a process of its own with all that it checks.

python -m tests.benchmarks.speed.stages_data [--millions 1 10] [--kinds integer string integer+times]

Generated interactions (`generated.millions`) in a Parquet file in scattered order; times are whole seconds.
A growth of 1 means that ten times the interactions take ten times as long.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[3]
KINDS = ("integer", "string", "integer+times", "string+times")
BASE_MB = 1000
BYTES_EACH = {"integer": 24, "string": 80}  # what peak memory may grow by with each interaction
FIRST_S, SPAN_S = 1_600_000_000, 100_000_000


@dataclass(frozen=True)
class Cost:
    """Of one process: seconds on the clock and of the processor, and megabytes at the peak."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run_stage(stage: str, *arguments: str) -> Cost:
    """A stage's own command."""
    start = time.perf_counter()
    command = [sys.executable, "-m", f"components.{stage}", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    told = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(told.decode()[-2000:])
    wall_s = time.perf_counter() - start
    return Cost(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6)


def run_both(source: Path, kind: str, folder: Path) -> dict[str, Cost]:
    """Ingest, and prepare what it wrote."""
    reading = {
        "kind": "files",
        "path": str(source),
        "format": {"kind": "parquet"},
        "ids": kind.partition("+")[0],
        "columns": {"timestamp": "timestamp"} if kind.endswith("times") else {},
    }
    interactions, dataset = str(folder / "interactions"), str(folder / "dataset")
    ingest = json.dumps({"source": reading, "seed": 1})
    prepare = json.dumps({"core": 10, "seed": 1})
    costs = {
        "ingest": run_stage(
            "ingest", "--params", ingest, "--in-source", str(source), "--out-interactions", interactions
        ),
        "prepare": run_stage(
            "prepare", "--params", prepare, "--in-interactions", interactions, "--out-dataset", dataset
        ),
    }
    for artifact in (interactions, dataset):
        shutil.rmtree(artifact)
        shutil.rmtree(f"{artifact}.checks", ignore_errors=True)
    return costs


def write_source(count: int, kind: str, path: Path) -> None:
    """So many million interactions."""
    from tests.benchmarks.speed.generated import millions

    ids, _, times = kind.partition("+")
    plain = path.with_suffix(".plain")
    millions(count).write_parquet(plain if times else path, ids="integer" if ids == "integer" else "string")
    if times:
        generator = np.random.default_rng(0)
        with pq.ParquetFile(plain) as rows:
            schema = rows.schema_arrow.append(pa.field("timestamp", pa.int64()))
            with pq.ParquetWriter(path, schema) as writer:
                for batch in rows.iter_batches(1 << 20):
                    time_N = pa.array(FIRST_S + generator.integers(0, SPAN_S, batch.num_rows))
                    writer.write_table(pa.table([*batch.columns, time_N], schema=schema))
        plain.unlink()


def facts() -> str:
    """Of the machine."""
    from tests.benchmarks.speed.machine import measure

    return str(measure())


def elsewhere(work: Callable[..., T], *arguments: object) -> T:
    """In another process: a stage's peak is counted from that of the process which starts it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS[:3])
    parser.add_argument("--folder", type=Path, help="where there is room: 10 GB for 100 million")
    options = parser.parse_args()
    print(elsewhere(facts), flush=True)
    lines = []
    for kind in options.kinds:
        before: dict[str, tuple[int, Cost]] = {}
        for count in options.millions:
            with tempfile.TemporaryDirectory(dir=options.folder) as place:
                source = Path(place) / "source.parquet"
                elsewhere(write_source, count, kind, source)
                found = run_both(source, kind, Path(place))
            bound_mb = BASE_MB + count * BYTES_EACH[kind.partition("+")[0]]
            for stage, cost in found.items():
                growth = "–"
                if stage in before:
                    smaller, was = before[stage]
                    growth = f"{math.log(cost.cpu_s / was.cpu_s) / math.log(count / smaller):.2f}"
                before[stage] = count, cost
                lines.append(
                    (
                        f"{stage}, {kind} ids",
                        f"{count} M",
                        f"{cost.wall_s:.1f} s",
                        f"{cost.cpu_s:.1f} s",
                        growth,
                        f"{cost.peak_mb:,.0f} MB",
                        f"{bound_mb:,} MB",
                    )
                )
                print(lines[-1], flush=True)
    from tests.benchmarks.speed.side_by_side import table

    print(table(("stage", "rows", "time", "CPU time", "growth", "peak memory", "allowed"), lines))


if __name__ == "__main__":
    main()
