"""Airflow on this machine alone: SQLite (or the database that the environment names), the local executor, and
nothing open to the network."""

import os
from pathlib import Path
from typing import Final

from dags import GPU_POOL, HOME


def environment(airflow_home: Path, port: int = 8080) -> dict[str, str]:
    """The variables of a local Airflow. What the caller's environment says of Airflow's other settings,
    and of recloop, stays.

    Args:
        airflow_home: directory of its database, logs and passwords.
        port: of the API server and UI.
    """
    url = f"http://localhost:{port}"
    return {
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{airflow_home}/airflow.db",
        "RECLOOP_HOME": str(HOME),
        **os.environ,
        "AIRFLOW_HOME": str(airflow_home),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    }


# What stages say is enough on a terminal; Airflow's own story belongs into logs.
QUIET: Final = {
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "airflow.task.operators.dags=INFO, dags=INFO, "
    "airflow.providers.cncf.kubernetes.utils.pod_manager=INFO, "
    "airflow.assets.manager=ERROR, py.warnings=ERROR, task=CRITICAL",
    "AIRFLOW__LOGGING__LOG_FORMAT": "%(message)s",
    "PYTHONWARNINGS": "ignore",
}


def initialize(airflow_home: Path) -> None:
    """Make the settings' file with its keys, bring the database up to date, and make the pool.

    Call it with `environment` in force, and before anything else of Airflow is imported: Airflow reads
    its settings then.
    """
    airflow_home.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds keys and a password
    from airflow.configuration import write_default_airflow_configuration_if_needed
    from airflow.models.pool import Pool
    from airflow.utils.db import initdb

    write_default_airflow_configuration_if_needed()
    initdb()
    Pool.create_or_update_pool(GPU_POOL, 1, "one training on the device at a time", include_deferred=False)
