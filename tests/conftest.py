"""Fixtures that several rooms share."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def data_dir() -> Path:
    """The folder with the public data sets."""
    named = os.environ.get("RECLOOP_TEST_DATA")
    if not named:
        pytest.skip("RECLOOP_TEST_DATA does not name the folder with the public data sets")
    return Path(named)
