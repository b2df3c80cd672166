"""Time and peak memory of every stage at 1, 10 and 100 million generated interactions, and how they grow.

python -m tests.benchmarks.speed.scale [--millions 1 10 100] [--ids integer|string] [--until STAGE]

Each stage is a process of its own, as an orchestrator starts it, contract and publication included. MF,
two samplers searched, few epochs. This module itself imports nothing large: a process that is started begins
with the peak memory of who started it.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from components.catalog import STAGES
from components.core.recipe.reading import read_recipe
from components.core.runs import plan
from tests.benchmarks.speed.side_by_side import table

_RECIPE = """\
name: scale
source:
  kind: files
  path: {work}/source.parquet
  format: {{kind: parquet}}
  ids: {ids}
workspace: {work}/workspace
registry: {{tracking_uri: "sqlite:///{work}/mlflow.db"}}
prepare: {{core: 5}}
search:
  kind: autosample
  epochs: {epochs}
  samplers: [{{kind: uniform}}, {{kind: popularity}}]
training:
  model: {{kind: mf, dim: 64}}
  epochs: {epochs}
  batch_size: {batch_size}
  validate_every: {epochs}
  device: cpu
"""
_CONSTANT_BYTES = 1e9  # what ingest and prepare may take besides the interactions


@final
@dataclass(frozen=True)
class Cost:
    """Wall seconds and the most memory that was resident."""

    seconds: float
    peak_bytes: int


def costs(
    millions: int, work: Path, *, ids: str, epochs: int, batch_size: int, until: str
) -> dict[str, Cost]:
    """Of each stage up to `until`, on `millions` million interactions."""
    generate = [sys.executable, "-m", "tests.benchmarks.speed.generated"]
    _run([*generate, f"{millions}m", str(work / "source.parquet"), "--ids", ids])
    file = work / "scale.yaml"
    file.write_text(_RECIPE.format(work=work, ids=ids, epochs=epochs, batch_size=batch_size))
    recipe = read_recipe(file)
    artifacts: dict[str, str] = {}
    result = {}
    for spec in STAGES:
        asked = replace(plan(recipe, spec, artifacts), output=str(work / spec.output))
        artifacts[spec.output] = asked.output
        result[spec.name] = _run(asked.command(sys.executable))
        cost = result[spec.name]
        told = f"{cost.seconds:.1f} s, {cost.peak_bytes / 1e9:.2f} GB"
        print(f"{millions} million, {spec.name}: {told}", file=sys.stderr)
        if spec.name == until:
            break
    return result


def _run(command: Sequence[str]) -> Cost:
    with tempfile.TemporaryFile("w+") as said:
        start = time.monotonic()
        child = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            raise SystemExit(f"{command[:3]}: {said.read()}")
    return Cost(seconds, usage.ru_maxrss * 1024)


def tell(measured: Mapping[int, Mapping[str, Cost]]) -> str:
    """Markdown: seconds, gigabytes, and the exponents p of n^p between the two largest sizes."""
    sizes = sorted(measured)
    header = (
        "stage",
        *(f"{size} M: s" for size in sizes),
        "exponent",
        *(f"{size} M: GB" for size in sizes),
        "exponent",
        "bytes each beyond 1 GB",
    )
    rows = []
    for stage in measured[sizes[0]]:
        seconds = [measured[size][stage].seconds for size in sizes]
        peaks = [measured[size][stage].peak_bytes for size in sizes]
        beyond = max(0.0, peaks[-1] - _CONSTANT_BYTES) / (sizes[-1] * 1e6)
        rows.append(
            (
                stage,
                *(f"{value:.1f}" for value in seconds),
                _exponent(sizes, seconds),
                *(f"{value / 1e9:.2f}" for value in peaks),
                _exponent(sizes, peaks),
                f"{beyond:.0f}",
            )
        )
    return f"n log n has the exponent {_n_log_n(sizes)}\n\n" + table(header, rows)


def _exponent(sizes: Sequence[int], values: Sequence[float]) -> str:
    if len(sizes) < 2:
        return "–"
    return f"{math.log(values[-1] / values[-2]) / math.log(sizes[-1] / sizes[-2]):.2f}"


def _n_log_n(sizes: Sequence[int]) -> str:
    return _exponent(sizes, [size * 1e6 * math.log(size * 1e6) for size in sizes])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--millions", nargs="+", type=int, choices=[1, 10, 100], default=[1, 10, 100])
    parser.add_argument("--ids", choices=["integer", "string"], default="integer")
    parser.add_argument("--epochs", type=int, default=2, help="of search and of retrain")
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--until", choices=[spec.name for spec in STAGES], default=STAGES[-1].name)
    parser.add_argument("--work", type=Path, help="where 15 GB fit; a temporary directory unless given")
    arguments = parser.parse_args()
    subprocess.run([sys.executable, "-m", "tests.benchmarks.speed.machine"], check=True)
    measured = {}
    for millions in arguments.millions:
        with tempfile.TemporaryDirectory(dir=arguments.work) as work:
            measured[millions] = costs(
                millions,
                Path(work),
                ids=arguments.ids,
                epochs=arguments.epochs,
                batch_size=arguments.batch_size,
                until=arguments.until,
            )
    print(f"\n{arguments.ids} ids, {arguments.epochs} epochs of batches of {arguments.batch_size:,}\n")
    print(tell(measured))


if __name__ == "__main__":
    main()
