"""A stage that counts lines, and can be told to go wrong. `python -m toystage` is its command."""

import errno
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from components.core.command import main
from components.core.errors import GateFailedError
from components.core.stage import Context, InputSpec, StageSpec, Validation
from components.core.strategy import Config, Unkeyed

calls: list[str] = []


class ToyParams(Config):
    factor: int = 1
    label: Annotated[str, Unkeyed()] = ""
    behave: Annotated[Literal["well", "gate", "contract", "enospc", "crash", "sleep"], Unkeyed()] = "well"
    seed: int = 1


def run(params: ToyParams, inputs: Mapping[str, Path], output: Path, context: Context) -> Mapping[str, float]:
    calls.append("run")
    (output / "table").mkdir()
    lines = [line for path in sorted(inputs["source"].rglob("*.txt")) for line in path.read_text().split()]
    (output / "table" / "count.txt").write_text(str(len(lines) * params.factor))
    if params.behave == "gate":
        raise GateFailedError("too few lines")
    if params.behave == "enospc":
        raise OSError(errno.ENOSPC, "No space left on device")
    if params.behave == "crash":
        raise RuntimeError("a bug")
    if params.behave == "sleep":
        Path(os.environ["TOY_MARKER"]).write_text(str(os.getpid()))
        time.sleep(60)
    return {"lines": float(len(lines))}


def contract(output: Path, params: ToyParams, docs: Path) -> Validation:
    if params.behave == "contract":
        docs.mkdir()
        (docs / "index.html").write_text("what is wrong")
        raise GateFailedError("count.txt: 0, need more")
    return Validation(tables={"table/count.txt": (1, "fingerprint")}, summary={"count": "met"})


def previous(params: ToyParams) -> str | None:
    calls.append("asked")
    return os.environ.get("TOY_PREVIOUS")


COUNT = StageSpec(
    name="count",
    params=ToyParams,
    inputs=(
        InputSpec(name="source", artifact=None),
        InputSpec(
            name="previous", artifact="counts", required=False, keyed=False, default="toystage:previous"
        ),
    ),
    output="counts",
    run="toystage:run",
    contract="toystage:contract",
    image="data",
)
COPY = StageSpec(
    name="copy",
    params=ToyParams,
    inputs=(InputSpec(name="counts", artifact="counts"), InputSpec(name="source", artifact=None)),
    output="copies",
    run="toystage:run",
    contract="toystage:contract",
    image="data",
)

if __name__ == "__main__":
    sys.exit(main(COUNT))
