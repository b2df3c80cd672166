"""The compose file: what it may contain, and what every service must have."""

import json
import re
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from components.core.recipe.reading import read_recipe

FOLDER: Final = Path(__file__).parents[3] / "infra" / "compose"
FILE: Final = FOLDER / "compose.yaml"
COMPOSE: Final[dict[str, Any]] = yaml.safe_load(FILE.read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
JOBS: Final = {"s3-volume", "s3-buckets", "airflow-init"}  # they end
each_service = pytest.mark.parametrize(("name", "service"), SERVICES.items(), ids=list(SERVICES))


def values(node: object) -> Iterator[str]:
    """Every text of a document."""
    if isinstance(node, Mapping):
        for value in node.values():
            yield from values(value)
    elif isinstance(node, list):
        for value in node:
            yield from values(value)
    elif isinstance(node, str):
        yield node


def needs(service: Mapping[str, Any]) -> Mapping[str, str]:
    """Service → the condition under which this one starts."""
    return {name: entry["condition"] for name, entry in service.get("depends_on", {}).items()}


def test_the_compose_specification_knows_every_key() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, str(FILE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@each_service
def test_services_may_do_nothing_but_their_work(name: str, service: dict[str, Any]) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    limits = service["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}
    if name == "s3-volume":  # its work is root's, and it gets that one right and no network
        assert service["cap_add"] == ["CHOWN"]
        assert service["network_mode"] == "none"
    else:
        assert "cap_add" not in service
        assert int(service["user"].partition(":")[0]) > 0
        assert "front" not in service["networks"] or service["ports"]
    assert not set(service) & {"privileged", "pid", "ipc", "devices"}


@each_service
def test_images_are_pinned(name: str, service: dict[str, Any]) -> None:
    assert re.search(r":(v?\d+\.\d+(\.\d+)?|\$\{RECLOOP_VERSION:-\d+\.\d+\.\d+\})$", service["image"])


@each_service
def test_services_are_watched_and_jobs_end(name: str, service: dict[str, Any]) -> None:
    if name in JOBS:
        assert "healthcheck" not in service
        assert service["restart"] in {"no", "on-failure:5"}
    else:
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["restart"] == "unless-stopped"
    for other, condition in needs(service).items():
        ends = other in JOBS
        assert condition == ("service_completed_successfully" if ends else "service_healthy")


@each_service
def test_ports_are_of_this_machine_alone(name: str, service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert bool(service.get("ports")) == ("front" in service.get("networks", ()))


@each_service
def test_state_is_in_named_volumes_and_files_are_read_only(name: str, service: dict[str, Any]) -> None:
    for volume in service.get("volumes", ()):
        source, target = re.match(r"(\$\{[^}]+\}|[^:]+):([^:]+)", volume).groups()  # type: ignore[union-attr]
        if source in COMPOSE["volumes"]:
            continue
        if target == "/var/run/docker.sock":
            assert name == "scheduler"  # and in no other service
            continue
        assert volume.endswith(":ro")
        assert source == "${RECLOOP_RECIPES:-./recipes}" or (FOLDER / source).is_file()


def test_what_holds_data_is_not_reached_from_outside() -> None:
    assert {name for name, network in COMPOSE["networks"].items() if network.get("internal")} == {
        "backend",
        "stages",
    }
    assert SERVICES["postgres"]["networks"] == ["backend"]


def test_no_secret_stands_in_the_file_or_in_what_is_committed() -> None:
    named = {name for service in SERVICES.values() for name in service.get("secrets", ())}
    assert named == set(COMPOSE["secrets"])
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"secrets/{name}"}
    for text in values(COMPOSE):
        assert "://" not in text or "@" not in text  # a password in a URL
        assert not re.fullmatch(r"[A-Za-z0-9_\-+=]{32,}", text)
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|KEY|TOKEN", key):
                assert "/run/secrets/" in value or key.endswith("PASSWORDS_FILE")
    assert (FOLDER / ".gitignore").read_text().split() == ["/secrets/", "/.env"]


def test_the_example_recipe_runs_where_s3_and_mlflow_are(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = SERVICES["scheduler"]["environment"]
    monkeypatch.setenv("RECLOOP_WORKSPACE", environment["RECLOOP_WORKSPACE"])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", environment["MLFLOW_TRACKING_URI"])
    recipe = read_recipe(FOLDER / "recipes" / "demo.yaml")
    assert recipe.orchestration.runner == "docker"
    network = recipe.orchestration.docker.network
    [short] = [name for name, entry in COMPOSE["networks"].items() if entry.get("name") == network]
    assert all(short in SERVICES[name]["networks"] for name in ("s3", "mlflow", "scheduler"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What prepare.py drew."""
    place = tmp_path_factory.mktemp("compose")
    prepare(place)
    return place / "secrets"


def prepare(place: Path) -> None:
    command = [sys.executable, str(FOLDER / "prepare.py"), "--secrets-only", "--into", str(place)]
    subprocess.run(command, check=True, capture_output=True)


def test_every_secret_is_drawn_and_closed_to_others(drawn: Path) -> None:
    files = {path.name for path in drawn.iterdir()}
    needed = set(COMPOSE["secrets"]) | {
        Path(name).name for service in SERVICES.values() for name in service.get("env_file", ())
    }
    assert files == needed | {"complete"}
    assert stat.S_IMODE(drawn.stat().st_mode) == 0o700
    texts = {path.name: path.read_text() for path in drawn.iterdir()}
    user, password, host = re.fullmatch(  # type: ignore[union-attr]
        r"postgresql\+psycopg2://(\w+):([^:@/]+)@(\w+):5432/\w+", texts["airflow-database-url"]
    ).groups()
    assert (user, password, host) == ("airflow", texts["airflow-database-password"], "postgres")
    identities = {entry["name"]: entry for entry in json.loads(texts["s3-identities"])["identities"]}
    assert {action.partition(":")[2] for action in identities["stages"]["actions"]} == {"recloop"}
    assert {action.partition(":")[2] for action in identities["mlflow"]["actions"]} == {"mlflow"}
    assert identities["stages"]["credentials"][0]["secretKey"] in texts["stages.env"]
    assert identities["mlflow"]["credentials"][0]["secretKey"] in texts["s3-mlflow"]


def test_what_is_drawn_stays_and_another_draw_differs(drawn: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_text() for path in drawn.iterdir()}
    prepare(drawn.parent)
    assert {path.name: path.read_text() for path in drawn.iterdir()} == before
    prepare(tmp_path)
    again = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert [name for name in before if before[name] == again[name]] == ["complete"]


def test_without_an_engine_it_says_where_it_looked(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "prepare.py"), "--into", str(tmp_path)],
        env={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"{tmp_path}/none.sock" in done.stderr
    assert not (tmp_path / "secrets").exists()
