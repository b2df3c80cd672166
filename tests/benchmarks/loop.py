"""The loop over time: yoochoose's first periods as deliveries to a real Airflow that this starts, a bad one
planted among them, and the last promotion rolled back.

    python tests/benchmarks/loop.py DATA --work /tmp/loop

DATA is the directory with `period_00.txt.gz` and so on. What came of it is read where everybody reads it: the
runs' records, the verdicts and the ledger in the workspace.
"""

import argparse
import contextlib
import gzip
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from components.core.errors import RecloopError
from components.core.gates import gates_of
from components.core.manifest import read_manifest
from components.core.recipe.reading import read_recipe
from components.core.recipe_files import find
from components.core.runs import RunRecord, StageRecord, read_runs
from components.core.store import join, name_of, open_store
from components.core.verdict import VERDICT_FILE, Other, Verdict
from dags.announcements import dispatcher_of
from dags.rest import Rest

RECIPE = "yoochoose"
DELIVERIES = ("00", "01", "02", "03", "94", "04", "05")
PLANTED, ORIGINAL = "94", "04"  # half the rows of the period that comes next are missing


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="an empty directory for everything")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    options = parser.parse_args()
    work = options.work.absolute()
    deliveries = _lay_out(options.data, work / "deliveries")
    os.environ["RECLOOP_WORKSPACE"] = str(work / "workspace")
    settings = [f"data={deliveries}", *options.overrides]
    sets = [word for text in settings for word in ("--set", text)]
    with _airflow(work) as (home, url):
        each = f"period={','.join(DELIVERIES)}"
        command = [sys.executable, "-m", "dags.deliver", RECIPE, *sets, "--each", each, "--wait"]
        subprocess.run([*command, "--url", url, "--airflow-home", str(home)], check=False)  # one is stopped
    recipe = read_recipe(find(RECIPE), settings)
    tell_runs(sorted(read_runs(recipe), key=lambda run: run.stages[0].started))
    _recloop("rollback", recipe.model_name, "--why", "rehearsal: the newest model is taken back")
    _recloop("history", recipe.model_name)


def _lay_out(data: Path, target: Path) -> Path:
    """The real periods as links, and the planted one."""
    target.mkdir(parents=True)
    for period in DELIVERIES:
        name = f"period_{period}.txt.gz"
        if period != PLANTED:
            (target / name).symlink_to((data / name).absolute())
            continue
        with gzip.open(data / f"period_{ORIGINAL}.txt.gz", "rt") as file:
            rows = file.readlines()
        with gzip.open(target / name, "wt") as file:
            file.writelines(rows[: len(rows) // 2])
    return target


@contextlib.contextmanager
def _airflow(work: Path) -> Iterator[tuple[Path, str]]:
    """`python -m dags.up` with its own home; its home and address."""
    port, mlflow = _free_port(), _free_port()
    home = work / "airflow"
    named = {"RECLOOP_RECIPES": str(find(RECIPE))}
    command = [sys.executable, "-m", "dags.up", "--airflow-home", str(home)]
    command += ["--airflow-port", str(port), "--mlflow-port", str(mlflow)]
    with (work / "up.log").open("w") as log:
        up = subprocess.Popen(command, env={**os.environ, **named}, stdout=log, stderr=log)
    try:
        url = f"http://localhost:{port}"
        _await_dags(url, home, up)
        yield home, url
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(60)


def _await_dags(url: str, home: Path, up: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and up.poll() is None:
        with contextlib.suppress(RecloopError):
            Rest(url, home).call("GET", f"/api/v2/dags/{dispatcher_of(RECIPE)}")
            return
        time.sleep(2)
    raise SystemExit("Airflow did not start; see up.log")


def tell_runs(runs: Sequence[RunRecord]) -> None:
    """A row for each delivery: what the gates said, how the models compared, what came of it."""
    header = (
        "delivery",
        "rows",
        "gates that spoke",
        "challenger",
        "other",
        "difference",
        "came to",
        "seconds",
    )
    print("\n| " + " | ".join(header) + " |")
    print("|---" * len(header) + "|")
    for run in runs:
        stages = {record.stage: record for record in run.stages}
        print("| " + " | ".join(_row(run, stages)) + " |")


def _row(run: RunRecord, stages: dict[str, StageRecord]) -> list[str]:
    ingest = stages["ingest"]
    gates = [gate for record in run.stages for gate in gates_of({"gates": record.gates})]
    spoke = [
        f"{gate.name} {gate.value:.4g} ({gate.subject}) {gate.outcome}"
        for gate in gates
        if gate.outcome != "passed" and gate.value is not None
    ]
    seconds = f"{sum(record.seconds for record in run.stages):.0f}"
    rows = f"{ingest.metrics['interactions']:,.0f}" if ingest.metrics else "–"
    if "evaluate" not in stages or not stages["evaluate"].uri:
        return [
            _period(run),
            rows,
            "; ".join(spoke),
            "",
            "",
            "",
            f"stopped at {run.stages[-1].stage}",
            seconds,
        ]
    place = join(stages["evaluate"].uri, VERDICT_FILE)
    verdict = Verdict.parse(open_store(place).read_bytes(place))
    against: Other = "champion" if verdict.rule == "champion" else "item_knn"
    found = verdict.comparisons[against][verdict.metric]
    return [
        _period(run),
        rows,
        "; ".join(spoke),
        f"{verdict.challenger:.4f}",
        f"{found.other:.4f} ({verdict.champion_version or against})",
        f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]",
        "promoted" if verdict.promote else "kept",
        seconds,
    ]


def _period(run: RunRecord) -> str:
    ingest = run.stages[0]
    if not ingest.uri:
        return run.run_id
    return name_of(read_manifest(ingest.uri).inputs["source"].uri).removesuffix(".txt.gz")


def _recloop(*arguments: str) -> None:
    print(f"\n$ recloop {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-c", "from components.cli import main; main()", *arguments], check=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
