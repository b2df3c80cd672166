"""A stage that counts lines, and can be told to go wrong. `python -m toystage` is its command."""

import errno
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from components.core.command import main
from components.core.errors import GateFailedError
from components.core.gates import Gate
from components.core.manifest import InputEntry
from components.core.stage import Context, InputSpec, StageSpec, Validation
from components.core.strategy import Config, Unkeyed

calls: list[str] = []
LINES = Gate(name="lines", subject="count.txt", value=0, low=1, passed=True, told="0 lines, need 1")


class ToyParams(Config):
    factor: int = 1
    label: Annotated[str, Unkeyed()] = ""
    behave: Annotated[Literal["well", "gate", "contract", "warn", "enospc", "crash", "sleep"], Unkeyed()] = (
        "well"
    )
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


def contract(output: Path, params: ToyParams, inputs: Mapping[str, Path], docs: Path) -> Validation:
    if params.behave == "contract":
        _page(docs, "what is wrong")
        raise GateFailedError("count.txt: 0, need more", [LINES.model_copy(update={"passed": False})])
    if params.behave == "warn":
        _page(docs, "what is odd")
        gate = LINES.model_copy(update={"passed": False, "severity": "warn"})
        summary: dict[str, Any] = {"count": "met", "gates": [gate.document()]}
    else:
        summary = {"count": "met"}
    return Validation(tables={"table/count.txt": (1, "fingerprint")}, summary=summary)


def _page(docs: Path, text: str) -> None:
    (docs / "data_docs").mkdir()
    (docs / "data_docs" / "index.html").write_text(text)


def previous(params: ToyParams, named: Mapping[str, InputEntry]) -> str | None:
    assert named.keys() == {"source"}
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
