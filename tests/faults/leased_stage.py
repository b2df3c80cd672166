"""A stage that saves a checkpoint and then hangs, unless it goes on from one.

python -m tests.faults.leased_stage RENEW_S DEAD_S <arguments of a stage's command>
"""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from components.core.command import main
from components.core.s3 import lease
from components.core.stage import Context, InputSpec, StageSpec, Validation
from components.core.store import open_store
from components.core.strategy import Config, Unkeyed


class Params(Config):
    behave: Annotated[Literal["well", "hang", "robbed", "robbed late"], Unkeyed()] = "well"
    marker: Annotated[str, Unkeyed()] = ""


def run(params: Params, inputs: Mapping[str, Path], output: Path, context: Context) -> Mapping[str, float]:
    resumed = context.checkpoint.load()
    steps = int((resumed / "steps").read_text()) if resumed else 0
    if not resumed:
        context.checkpoint.save(lambda place: _write(place / "steps", "7"))
        if params.behave == "hang":
            _write(Path(params.marker), "saved")
            time.sleep(120)
    _write(output / "result.txt", inputs["source"].joinpath("00000", "a.txt").read_text())
    if params.behave == "robbed":
        _rob(params.marker)
        context.checkpoint.save(lambda place: _write(place / "steps", "8"))
    if params.behave == "robbed late":
        _rob(params.marker)
    return {"resumed_after": float(steps)}


def contract(output: Path, params: Params, inputs: Mapping[str, Path], docs: Path) -> Validation:
    return Validation(tables={}, summary={})


def _rob(place: str) -> None:
    """What happens to a holder that was out of reach for too long."""
    open_store(place).write_bytes(place, b'{"pid": 1, "host": "elsewhere", "token": "another"}')


def _write(path: Path, text: str) -> Any:
    path.write_text(text)


SPEC = StageSpec(
    name="leased",
    params=Params,
    inputs=(InputSpec(name="source", artifact=None),),
    output="results",
    run="tests.faults.leased_stage:run",
    contract="tests.faults.leased_stage:contract",
    image="data",
)

if __name__ == "__main__":
    renew, dead = float(sys.argv[1]), float(sys.argv[2])
    lease.TIMES = lease.Times(renew=renew, dead=dead, poll=renew / 2)
    sys.exit(main(SPEC, sys.argv[3:]))
