"""Runs of the whole loop in children of one process that has imported everything: a second each, not ten."""

import contextlib
import os
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import mlflow.pyfunc  # noqa: F401  # imported here, so that no child has to
import torch
import yaml

from components.catalog import STAGES
from components.cli.app import app
from components.core.recipe.reading import build_recipe
from components.rec import saves
from tests.faults.kills.points import watch

RECIPE: Final = """\
name: night
seed: 5
source: {kind: synthetic, num_users: 100, num_items: 60, interactions_per_user: 15, num_clusters: 4}
prepare: {core: 3}
search: {kind: autosample, epochs: 2, samplers: [{kind: uniform}, {kind: popularity}]}
training: {model: {kind: mf, dim: 8}, learning_rate: 0.01, batch_size: 256, epochs: 2, device: cpu}
promotion: {floors: {ndcg@20: 0.01}, beat: []}
"""


def warm_up() -> None:
    """Import what the stages import; before the first night."""
    torch.set_num_threads(1)
    recipe = build_recipe(yaml.safe_load(RECIPE), place="night")
    for spec in STAGES:
        params = recipe.stage_params()[spec.name]
        spec.load_run(params)
        spec.load_contract(params)


def night(
    place: Path,
    happens: Callable[[str], None] | None = None,
    *,
    killed_after: tuple[float, int] | None = None,
    memory: int | None = None,
) -> int:
    """One run of the recipe in `place`, which becomes its workspace. What it says goes to `place`/log.

    Args:
        happens: is told every point that the run passes, in its process.
        killed_after: seconds, and the signal that comes then.
        memory: bytes of address space that the run may take more than it begins with.

    Returns:
        The exit code; minus the signal that ended it.
    """
    place.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if not child:
        _live(place, happens, memory)
    timer = None
    if killed_after is not None:
        seconds, number = killed_after
        timer = threading.Timer(seconds, _kill, (child, number))
        timer.start()
    _, status = os.waitpid(child, 0)
    if timer is not None:
        timer.cancel()
    return os.waitstatus_to_exitcode(status)


def _live(place: Path, happens: Callable[[str], None] | None, memory: int | None) -> None:
    code = 1
    try:
        log = os.open(place / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        recipe = place / "night.yaml"
        recipe.write_text(RECIPE)
        os.environ["RECLOOP_WORKSPACE"] = str(place / "workspace")
        os.chdir(place)
        saves._EVERY_S, saves._SHARE = 0.0, float("inf")  # whenever it may
        if happens is not None:
            watch(happens)
        if memory is not None:
            taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (taken + memory, resource.RLIM_INFINITY))
        app(["run", str(recipe)])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _kill(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)
