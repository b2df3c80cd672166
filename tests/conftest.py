"""Fixtures that several rooms share."""

import os
import signal
import tempfile
from pathlib import Path

import pytest

pytest_plugins = ["tests.services"]

# Airflow reads its settings when it is first imported, which test modules do.
_AIRFLOW_HOME = tempfile.TemporaryDirectory(prefix="recloop-airflow-")
os.environ["AIRFLOW_HOME"] = _AIRFLOW_HOME.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(__file__).parents[1] / "dags")

# A shell that runs the tests in the background has them ignore Ctrl-C, and so what they start; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def data_dir() -> Path:
    """The folder with the public data sets."""
    named = os.environ.get("RECLOOP_TEST_DATA")
    if not named:
        pytest.skip("RECLOOP_TEST_DATA does not name the folder with the public data sets")
    return Path(named)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With RECLOOP_NO_SKIPS a skipped test is a failure: there everything is at hand, so nothing may be
    left out unseen."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("RECLOOP_NO_SKIPS") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("\nskipped tests (below) are failures here: RECLOOP_NO_SKIPS is set", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
