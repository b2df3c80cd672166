"""The short form of `python -m tests.faults.kills`: nights that are killed, each followed by one that is left
alone."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_whatever_is_killed_the_end_is_that_of_an_undisturbed_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.faults.kills", "--every", "40", "--random", "3"]
    answer = subprocess.run(
        [*command, "--place", str(tmp_path)], capture_output=True, text=True, check=False, timeout=900
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert re.search(r"13 of 13 trials, \d+ runs died, 0 bad ends", answer.stdout), answer.stdout
