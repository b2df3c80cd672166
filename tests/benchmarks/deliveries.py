"""Which gates speak on real deliveries, and which catch planted faults.

    python tests/benchmarks/deliveries.py DIR [--period 00] [--period 01] … [--faults 01] [--faults 02] …

DIR holds yoochoose's periods, `period_00.txt.gz` and so on. They are taken in, in order, by the ingest stage
with the gates of the recipe `yoochoose`. Then for each period named by --faults every fault is planted into
a copy, and that is delivered after the period before it, in a workspace of its own.
"""

import argparse
import gzip
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from components.catalog import INGEST
from components.core.errors import GateFailedError
from components.core.gates import Gate, gates_of
from components.core.manifest import read_manifest
from components.core.recipe import Recipe
from components.core.recipe.reading import read_recipe
from components.core.recipe_files import find
from components.core.stage import execute

PERIODS = tuple(f"{number:02d}" for number in range(17))
SEED = 1
Clicks = pl.DataFrame  # session and item, int64
MEASURES = (
    "concentration", "duplicates", "volume", "new_items", "lost_items", "popularity", "activity", "repeated",
)  # fmt: skip


def read_clicks(path: Path) -> Clicks:
    """A period's rows as they stand."""
    return pl.read_csv(path, separator=" ", has_header=False, new_columns=["session", "item"])


def write_clicks(clicks: Clicks, path: Path) -> None:
    """As a file that the recipe reads; polars unpacks gzip, and writes none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wb", compresslevel=1) as file:
        clicks.write_csv(file, separator=" ", include_header=False)


# -- faults: what arrives instead of a delivery, which follows the one before it -----------------------------


def _half_of_the_rows(clicks: Clicks, before: Clicks) -> Clicks:
    return clicks.sample(fraction=0.5, seed=SEED)


def _half_of_the_sessions(clicks: Clicks, before: Clicks) -> Clicks:
    return clicks.filter(pl.col("session") % 2 == 0)


def _the_one_before_again(clicks: Clicks, before: Clicks) -> Clicks:
    return before


def _every_row_twice(clicks: Clicks, before: Clicks) -> Clicks:
    return pl.concat([clicks, clicks])


def _all_ids_new(clicks: Clicks, before: Clicks) -> Clicks:
    return clicks.with_columns(pl.col("item") + 1_000_000)


def _ids_permuted(clicks: Clicks, before: Clicks) -> Clicks:
    ids = clicks["item"].unique().sort()
    return clicks.with_columns(pl.col("item").replace_strict(ids, ids.shuffle(seed=SEED)))


def _one_item_in_a_fifth_of_the_sessions(clicks: Clicks, before: Clicks) -> Clicks:
    sessions = clicks["session"].unique().sort().sample(fraction=0.2, seed=SEED)
    flood = pl.DataFrame({"session": sessions, "item": clicks["item"].min()}, schema=clicks.schema)
    return pl.concat([clicks, flood])


FAULTS: Mapping[str, Callable[[Clicks, Clicks], Clicks]] = {
    "half the rows missing": _half_of_the_rows,
    "half the sessions missing": _half_of_the_sessions,
    "the period before, again": _the_one_before_again,
    "every row twice": _every_row_twice,
    "all item ids new": _all_ids_new,
    "item ids permuted": _ids_permuted,
    "one item in a fifth of the sessions": _one_item_in_a_fifth_of_the_sessions,
}


# -- deliveries ----------------------------------------------------------------------------------------------


def recipe_for(data: Path, period: str, workspace: Path) -> Recipe:
    """The recipe as it is delivered, reading a period below `data`."""
    return read_recipe(find("yoochoose"), [f"data={data}", f"period={period}", f"workspace={workspace}"])


def deliver(recipe: Recipe) -> tuple[str | None, list[Gate]]:
    """Take a delivery in: its artifact's URI, or None where a gate stopped it; and all its gates."""
    params = recipe.stage_params()["ingest"]
    place = f"{recipe.workspace_uri}/{recipe.name}/interactions"
    try:
        result = execute(INGEST, params, recipe.source.locations(), f"{place}/{{key}}")
    except GateFailedError as error:
        return None, list(error.gates)
    return result.uri, gates_of(read_manifest(result.uri).validation)


def plant(fault: str, clicks: Clicks, before: Clicks, accepted: str, period: str, folder: Path) -> list[Gate]:
    """The gates of a delivery with a fault, where only `accepted` was taken in before."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        root = Path(place)
        write_clicks(FAULTS[fault](clicks, before), root / "data" / f"period_{period}.txt.gz")
        recipe = recipe_for(root / "data", period, root)
        shutil.copytree(accepted, root / recipe.name / "interactions" / Path(accepted).name)
        return deliver(recipe)[1]


def spoken(gates: Sequence[Gate]) -> str:
    """The gates that did not pass, with what they found."""
    return ", ".join(
        f"{gate.name} {gate.value:.3f}{'' if gate.outcome == 'stopped' else ' (warns)'}"
        for gate in gates
        if not gate.passed and gate.value is not None
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--period", action="append", choices=PERIODS, dest="periods")
    parser.add_argument("--faults", action="append", choices=PERIODS[1:], default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        accepted = show_sequence(options.data, options.periods or PERIODS, Path(folder))
        if options.faults:
            show_faults(options.data, options.faults, accepted, Path(folder))
    return 0


def show_sequence(data: Path, periods: Sequence[str], folder: Path) -> dict[str, str]:
    """Take the periods in, in order; returns the artifacts of those that were accepted."""
    table = Table("period", "users", "items", "interactions", *MEASURES, "by chance", "spoke")
    accepted: dict[str, str] = {}
    for period in periods:
        uri, gates = deliver(recipe_for(data, period, folder / "real"))
        if uri:
            accepted[period] = uri
        counts = read_manifest(uri).metrics if uri else {}
        found = {gate.name: gate for gate in gates}
        table.add_row(
            period,
            *(f"{counts[name]:,.0f}" if uri else "" for name in ("users", "items", "interactions")),
            *(f"{found[name].value:.3f}" if name in found else "" for name in MEASURES),
            found["popularity"].told.rpartition("by ")[2] if "popularity" in found else "",
            spoken(gates) or "none",
        )
    Console(width=200).print(table)
    return accepted


def show_faults(data: Path, periods: Sequence[str], accepted: Mapping[str, str], folder: Path) -> None:
    """Plant every fault into each of the periods."""
    table = Table("fault", "caught", *periods)
    clicks = {period: read_clicks(data / f"period_{period}.txt.gz") for period in PERIODS}
    before = dict(zip(PERIODS[1:], PERIODS, strict=False))
    for fault in FAULTS:
        told, caught = [], 0
        for period in periods:
            last = before[period]
            gates = plant(fault, clicks[period], clicks[last], accepted[last], period, folder)
            caught += any(gate.outcome == "stopped" for gate in gates)
            told.append(spoken(gates) or "none")
        table.add_row(fault, f"{caught} of {len(periods)}", *told)
    Console(width=200).print(table)


if __name__ == "__main__":
    sys.exit(main())
