"""The command of every stage, the same for a terminal, an operator and a container.

    python -m components.<stage> --params JSON|URI --in-<name> URI … --out-<name> URI [--record URI]

`{key}` in the output's URI becomes the head of the cache key. The last line on standard output is one
JSON object that says where the artifact is; everything else goes to standard error. `--record` names a
place for the same, and for the reason of a failure: what an orchestrator reads, wherever the command ran.
"""

import argparse
import logging
import signal
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from components.core.errors import InvalidInputError, RecloopError
from components.core.observing import Observation, Watched
from components.core.runs import StageRecord, write_record
from components.core.stage import StageSpec, execute
from components.core.store import open_store
from components.core.strategy import Config
from components.core.threads import wait_briefly

logger = logging.getLogger(__name__)
_GOES_ON = "a next start goes on from the last checkpoint, if there is one"


def main(spec: StageSpec, arguments: Sequence[str] | None = None) -> int:
    """The command of a stage; returns its exit code (see `components.core.errors`)."""
    logging.basicConfig(
        level=logging.WARNING,  # of libraries
        stream=sys.stderr,
        format=f"%(asctime)s {spec.name}: %(message)s",
        datefmt="%H:%M:%S",
    )
    logging.getLogger("components").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, _stop)
    wait_briefly()
    options = vars(_parser(spec).parse_args(arguments))
    place = options.pop("record")
    raw = options.pop("params")
    output = options.pop("output")
    inputs = {name: uri for name, uri in options.items() if uri}
    started = datetime.now(UTC)
    observation = Observation(Watched(spec=spec, inputs=inputs, place=place, started=started))

    def end(record: StageRecord) -> None:
        _remember(place, record)
        observation.end(record)

    def failed(code: int, reason: str, error: RecloopError | None = None) -> int:
        logger.error("%s", reason)
        end(StageRecord.failed(spec.name, reason, started, error))
        return code

    try:
        result = execute(spec, _parse_params(spec, raw), inputs, output)
    except RecloopError as error:
        return failed(error.exit_code, f"{type(error).__name__.removesuffix('Error')}: {error}", error)
    except KeyboardInterrupt:
        return failed(128 + signal.SIGINT, f"interrupted; {_GOES_ON}")
    except SystemExit as stop:
        return failed(int(stop.code or 0), f"told to stop; {_GOES_ON}")
    except Exception:
        return failed(1, f"this is a bug in the stage:\n{traceback.format_exc()}")
    logger.info("%s %s", "already done:" if result.skipped else "wrote", result.uri)
    end(StageRecord.of(result, started))
    print(result.to_json())
    return 0


def _remember(place: str | None, record: StageRecord) -> None:
    if place:
        try:
            write_record(place, record)
        except RecloopError as error:  # the artifact is what counts; it needs no record
            logger.warning("the record cannot be written: %s", error)


def _stop(signum: int, _: object) -> None:
    raise SystemExit(128 + signum)  # unwinds: scratch is removed, the lock let go


def _parser(spec: StageSpec) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m components.{spec.name}", allow_abbrev=False)
    parser.add_argument("--params", required=True, help="JSON, or the URI of a JSON file")
    for entry in spec.inputs:
        kind = f"a {entry.artifact} artifact" if entry.artifact else "file, directory, glob or s3:// prefix"
        parser.add_argument(
            f"--in-{entry.name}",
            dest=entry.name,
            required=entry.required,
            metavar="URI",
            help=kind + ("" if entry.required else " (optional)"),
        )
    parser.add_argument(
        f"--out-{spec.output}",
        dest="output",
        required=True,
        metavar="URI",
        help="where the artifact goes; {key} becomes the cache key",
    )
    parser.add_argument("--record", metavar="URI", help="where to leave what the stage did, as JSON")
    return parser


def _parse_params(spec: StageSpec, text: str) -> Config:
    if not text.lstrip().startswith("{"):
        try:
            text = open_store(text).read_bytes(text).decode()
        except FileNotFoundError as error:
            raise InvalidInputError(f"--params {text}: no such file, and not JSON") from error
    try:
        return spec.parse(text)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: got {e['input']!r}: {e['msg']}" for e in error.errors()]
        raise InvalidInputError("--params:\n" + "\n".join(lines)) from error
