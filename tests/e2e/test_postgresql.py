"""Airflow and MLflow on a real PostgreSQL, as a deployment has them."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import mlflow
import psycopg2
import pytest

from components.catalog import STAGES
from tests.services import free_port, serving

from .conftest import WAIT_S

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

_PASSWORD: Final = "of-the-tests"  # noqa: S105
_DEBIAN: Final = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class Postgres:
    """A server of the tests' own on this machine."""

    port: int

    def url(self, database: str) -> str:
        """As SQLAlchemy has it."""
        return f"postgresql+psycopg2://tests:{_PASSWORD}@127.0.0.1:{self.port}/{database}"

    def query(self, database: str, sql: str, *values: str) -> list[tuple[Any, ...]]:
        """The rows of one query."""
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user="tests", password=_PASSWORD, dbname=database
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return list(cursor.fetchall())
        finally:
            connection.close()


def programs() -> Path:
    """The directory of initdb and pg_ctl: on the path, or the newest of Debian's packages."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent  # of the version that has them all
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not versions:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return versions[-1].parent


def as_its_user(folder: Path) -> Callable[[Sequence[str]], None]:
    """Runs commands as PostgreSQL accepts them: not as root, but then as the package's user."""
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        user = {"user": "postgres", "group": "postgres", "extra_groups": []}

    def run(command: Sequence[str]) -> None:
        # a server that inherits a pipe would keep it open, and the reader waiting
        subprocess.run(
            command,
            check=True,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "PGPASSWORD": _PASSWORD},
            timeout=60,
            **user,
        )

    return run


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A cluster with the databases `airflow` and `mlflow`."""
    where = programs()
    # not pytest's directory: that is closed to other users
    with tempfile.TemporaryDirectory(prefix="recloop-postgres-") as name:
        folder = Path(name)
        (folder / "password").write_text(_PASSWORD)
        (folder / "password").chmod(0o644)
        run = as_its_user(folder)
        data, port = str(folder / "data"), free_port()
        access = ["--username=tests", f"--pwfile={folder / 'password'}", "--auth=scram-sha-256"]
        run([str(where / "initdb"), "-D", data, "--encoding=UTF8", "--locale=C.UTF-8", *access])
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        control = [str(where / "pg_ctl"), "-D", data, "-w", "-s", "-l", str(folder / "log")]
        run([*control, "-o", options, "start"])
        try:
            for database in ("airflow", "mlflow"):
                reach = ["-h", "127.0.0.1", "-p", str(port), "-U", "tests"]
                run([str(where / "createdb"), *reach, database])
            yield Postgres(port)
        finally:
            run([*control, "-m", "immediate", "stop"])


@pytest.fixture(scope="module")
def tracking_uri(postgres: Postgres, place: Path) -> Iterator[str]:
    """Of an MLflow server on the database `mlflow`."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", postgres.url("mlflow"), "--workers", "1"]
    command += ["--artifacts-destination", str(place / "artifacts")]
    uri = f"http://127.0.0.1:{port}"
    with serving(command, f"{uri}/health", place / "mlflow.log"):
        yield uri


@pytest.fixture(scope="module")
def settings(environment: dict[str, str], postgres: Postgres, tracking_uri: str) -> dict[str, str]:
    """The environment of a child process: Airflow's database and the MLflow server."""
    databases = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url("airflow")}
    return environment | databases | {"MLFLOW_TRACKING_URI": tracking_uri}


def test_a_run_ends_in_a_champion_that_both_databases_know(
    place: Path, settings: dict[str, str], postgres: Postgres, tracking_uri: str
) -> None:
    recipe, home = str(place / "recipes" / "tiny.yaml"), str(place / "airflow")

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            env=settings | {"AIRFLOW_HOME": home},
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-m", "airflow", "db", "migrate")
    assert "champion: tiny version 1" in run("-m", "dags.run", recipe, "--airflow-home", home)

    assert not (place / "airflow" / "airflow.db").exists()
    assert postgres.query("airflow", "SELECT dag_id, state FROM dag_run") == [("tiny", "success")]
    tasks = postgres.query("airflow", "SELECT task_id, state, try_number FROM task_instance")
    assert sorted(tasks) == sorted((spec.name, "success", 1) for spec in STAGES)
    assert postgres.query("airflow", "SELECT slots FROM slot_pool WHERE pool = 'gpu'") == [(1,)]
    announced = "SELECT a.name FROM asset_event e JOIN asset a ON a.id = e.asset_id"
    assert ("recloop/tiny/champion",) in postgres.query("airflow", announced)

    aliases = "SELECT name, alias, version FROM registered_model_aliases ORDER BY alias"
    assert postgres.query("mlflow", aliases) == [("tiny", "challenger", 1), ("tiny", "champion", 1)]
    champion = mlflow.MlflowClient(tracking_uri=tracking_uri).get_model_version_by_alias("tiny", "champion")
    logged = "SELECT value FROM metrics WHERE run_uuid = %s AND key = 'ndcg_at_20'"
    [(ndcg,)] = postgres.query("mlflow", logged, champion.run_id)
    assert ndcg > 0.01  # the recipe's floor

    asked = ["recommend", "tiny", "--user", "nobody", "--k", "5", "--json"]
    answer = json.loads(run("-c", "from components.cli import main; main()", *asked))
    assert [row["rank"] for row in answer] == [1, 2, 3, 4, 5]
