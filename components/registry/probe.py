"""A look at a registered version before it goes into use: does it answer where nothing of ours is loaded?"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from components.core.errors import GateFailedError, InfrastructureError
from components.core.gates import Gate

ANSWER_WITHIN_S: Final = 600.0
_ASKING: Final = Path(__file__).with_name("asking.py")
_K: Final = 10


def probe(tracking_uri: str, model: str, version: str, timeout_s: float = ANSWER_WITHIN_S) -> None:
    """Load a version in a fresh process and ask it: about what it knows, and about what it does not.

    Raises:
        GateFailedError: it cannot be loaded, answers wrongly, or not in time.
        InfrastructureError: the process ended without a word, or did not reach MLflow.
    """
    command = [sys.executable, "-I", str(_ASKING), tracking_uri, model, version, str(_K)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        problems = [f"no answer within {timeout_s:g} s"]
    else:
        told = _told(ended.stdout)
        if told is None:
            said = " ".join(ended.stderr.split())[-500:]
            raise InfrastructureError(
                f"{model}, version {version}: the process that asked it ended with exit code "
                f"{ended.returncode}: {said or 'no message'}"
            )
        if "fault" in told:
            raise InfrastructureError(f"MLflow at {tracking_uri}: {told['fault']}")
        problems = told["problems"]
    if problems:
        text = "; ".join(problems)
        gate = Gate(name="answers", subject=f"{model} version {version}", passed=False, told=text)
        raise GateFailedError(
            f"{model}, version {version}: was loaded in a fresh process and asked, and is not fit for use: "
            f"{text}; the champion stays",
            [gate],
        )


def _told(output: str) -> dict[str, Any] | None:
    lines = output.splitlines()
    try:
        told: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        return None
    return told
