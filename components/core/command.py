"""The command of every stage, the same for a terminal, an operator and a container.

    python -m components.<stage> --params JSON|URI --in-<name> URI … --out-<name> URI

`{key}` in the output's URI becomes the head of the cache key. The last line on standard output is one
JSON object that says where the artifact is; everything else goes to standard error.
"""

import argparse
import logging
import signal
import sys
import traceback
from collections.abc import Sequence

from pydantic import ValidationError

from components.core.errors import InvalidInputError, RecloopError
from components.core.stage import StageSpec, execute
from components.core.store import open_store
from components.core.strategy import Config

logger = logging.getLogger(__name__)


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
    parser = _parser(spec)
    options = vars(parser.parse_args(arguments))
    try:
        params = _parse_params(spec, options.pop("params"))
        output = options.pop("output")
        result = execute(spec, params, {name: uri for name, uri in options.items() if uri}, output)
    except RecloopError as error:
        logger.error("%s: %s", type(error).__name__.removesuffix("Error"), error)
        return error.exit_code
    except KeyboardInterrupt:
        logger.error("interrupted; a next start goes on from the last checkpoint, where there is one")
        return 128 + signal.SIGINT
    except Exception:
        logger.error("this is a bug in the stage:\n%s", traceback.format_exc())
        return 1
    logger.info("%s %s", "already done:" if result.skipped else "wrote", result.uri)
    print(result.to_json())
    return 0


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
    return parser


def _parse_params(spec: StageSpec, text: str) -> Config:
    if not text.lstrip().startswith("{"):
        try:
            text = open_store(text).read_bytes(text).decode()
        except FileNotFoundError as error:
            raise InvalidInputError(f"--params {text}: no such file, and not JSON") from error
    try:
        return spec.params.model_validate_json(text)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: got {e['input']!r}: {e['msg']}" for e in error.errors()]
        raise InvalidInputError("--params:\n" + "\n".join(lines)) from error
