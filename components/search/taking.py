"""A policy that another search decided, taken as it is (AutoLoss §3.5)."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from components.core.errors import InvalidInputError
from components.core.policy import CONTROLLER_FILE, SIZE_FILES, TRAJECTORY_FILE, Policy
from components.core.recipe import Training
from components.data.parquet import write_table
from components.rec.loop import Fit


def take(training: Training, inputs: Mapping[str, Path], output: Path) -> dict[str, float]:
    """Write the policy at the input `policy` anew, with what it decided, its controller and its sizes.

    The weights W′ are left behind: they are of another model or of other data.

    Raises:
        InvalidInputError: no policy is given, or it decides nothing about such a training section.
    """
    if "policy" not in inputs:
        raise InvalidInputError("search: of kind 'policy' needs the input 'policy', an artifact")
    theirs = Policy.read(inputs["policy"])
    if not theirs.patch:
        raise InvalidInputError(f"search.uri: the policy there, of kind {theirs.kind!r}, has decided nothing")
    theirs.apply(training)
    decision = {"taken_from": theirs.decision.get("taken_from", theirs.kind), **theirs.decision}
    policy = Policy(kind="policy", patch=theirs.patch, decision=decision, best_epoch=0, epochs=0)
    policy.write(output)
    write_table(Fit().table(), output / TRAJECTORY_FILE)
    for name in (CONTROLLER_FILE, *SIZE_FILES):
        if (inputs["policy"] / name).exists():
            shutil.copyfile(inputs["policy"] / name, output / name)
    return {"epochs": 0.0, "best_epoch": 0.0, "training_seconds": 0.0}
