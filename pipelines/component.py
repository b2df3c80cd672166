"""`python -m pipelines.component STAGE`: a stage's command as a task of a Kubeflow pipeline.

    python -m pipelines.component <stage> --task {{$}} --runs URI [--page NAME PATH] -- <the stage's command>

What stands behind `--` is the command line of `python -m components.<stage>`, which runs here as everywhere.
Around it: the record of the run, and its translation into KFP's executor output. The exit code is the
stage's.
"""

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.catalog import STAGES
from components.core.command import main as stage_command
from components.core.errors import InfrastructureError, RecloopError
from components.core.manifest import Manifest, read_manifest
from components.core.runs import StageRecord, read_record, record_in
from components.core.stage import StageSpec
from components.core.store import join, open_store
from pipelines import RUN_ID
from pipelines.interface import PAGES, SHA256, URI
from pipelines.protocol import Task

logger = logging.getLogger(f"components.{__name__}")  # the command shows what `components` logs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a stage and tell KFP about it."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    cut = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(prog="python -m pipelines.component", allow_abbrev=False)
    parser.add_argument("stage", choices=[spec.name for spec in STAGES])
    parser.add_argument("--task", required=True, type=Task.parse, help="KFP's executor input, as JSON")
    parser.add_argument("--runs", required=True, metavar="URI", help="where the records of runs lie")
    parser.add_argument(
        "--page", action="append", nargs=2, default=[], metavar=("NAME", "PATH"), dest="pages"
    )
    options = parser.parse_args(given[:cut])
    spec = next(spec for spec in STAGES if spec.name == options.stage)
    with tempfile.TemporaryDirectory(prefix="recloop-") as scratch:
        try:
            record = _record(spec, options.runs, scratch)
            return run_stage(spec, given[cut + 1 :], options.task, record, dict(options.pages))
        except RecloopError as error:
            print(f"{spec.name}: {error}", file=sys.stderr)
            return error.exit_code


def run_stage(spec: StageSpec, command: Sequence[str], task: Task, record: str, pages: dict[str, str]) -> int:
    """Run a stage's command line and translate what it did.

    Args:
        record: where its record goes.
        pages: output → local path that a file of the artifact is copied to.

    Returns:
        The command's exit code.
    """
    open_store(record).delete(record)  # an earlier try's
    code = stage_command(spec, [*command, "--record", record])
    if code != 0:
        return code
    done = read_record(record)
    if done is None:
        raise InfrastructureError(f"ended well, but left no record at {record}")
    shown = metadata(done, read_manifest(done.uri))
    for name, path in pages.items():
        _, file = PAGES[spec.output][name]
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        place = join(done.uri, file)
        Path(path).write_bytes(open_store(place).read_bytes(place))
    pages_shown = {name: {URI: join(done.uri, PAGES[spec.output][name][1])} for name in pages}
    task.finish({URI: done.uri, SHA256: done.sha256}, {spec.output: shown, **pages_shown})
    return code


def metadata(record: StageRecord, manifest: Manifest) -> dict[str, Any]:
    """What KFP's UI shows of an artifact: its place and hashes, where it came from, every metric."""
    shown = {
        **(record.metrics or {}),
        URI: record.uri,
        SHA256: record.sha256,
        "status": record.status,
        "key": manifest.key,
        "code_version": manifest.code_version,
        "git_sha": manifest.git_sha,
        "image_digest": manifest.image_digest,
        "seed": manifest.seed,
        "device": manifest.device,
        **{f"input_{name}": entry.sha256 for name, entry in manifest.inputs.items()},
    }
    return {name: value for name, value in shown.items() if value is not None}


def _record(spec: StageSpec, runs: str, scratch: str) -> str:
    run_id = os.environ.get(RUN_ID)
    if not run_id:  # a task outside of any run
        return join(scratch, "record.json")
    return record_in(runs, run_id, STAGES.index(spec), spec.name)


if __name__ == "__main__":
    sys.exit(main())
