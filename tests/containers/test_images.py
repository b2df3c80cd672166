"""The images as they are built: what they hold, what they do not, and that they run with no rights."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from cyclonedx.validation.json import JsonStrictValidator

from components.catalog import INGEST, STAGES
from components.core.hashing import code_version
from components.core.manifest import read_manifest
from components.core.recipe.reading import read_recipe
from components.core.runs import plan, read_record
from components.core.stage import StageSpec
from containers import sbom

pytestmark = pytest.mark.containers

ROOT = Path(__file__).parents[2]
CONFINED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop=ALL", "--security-opt", "no-new-privileges")  # noqa: S108
every_image = pytest.mark.parametrize("image", ["data", "training", "airflow", "mlflow"])
stage_images = pytest.mark.parametrize("image", ["data", "training"])
stages = pytest.mark.parametrize("spec", STAGES, ids=lambda spec: spec.name)


def run(image: str, *command: str, options: tuple[str, ...] = CONFINED) -> str:
    """Standard output of a command in a fresh container."""
    answer = subprocess.run(
        ["docker", "run", "--rm", *options, image, *command], capture_output=True, text=True, timeout=300
    )
    assert answer.returncode == 0, answer.stdout[-2000:] + answer.stderr[-4000:]
    return answer.stdout


def python(image: str, program: str) -> str:
    return run(image, "python", "-c", program).strip()


def inspect(image: str) -> dict:
    return json.loads(subprocess.check_output(["docker", "image", "inspect", image]))[0]


def layers(image: str) -> list[str]:
    return inspect(image)["RootFS"]["Layers"]


@every_image
def test_configuration(images: Mapping[str, str], image: str) -> None:
    config = inspect(images[image])["Config"]
    assert not config.get("Entrypoint")
    assert config["User"] == "10001:10001"
    assert config.get("StopSignal") in {"SIGTERM", "15"}
    labels = {
        name.removeprefix("org.opencontainers.image."): value
        for name, value in config["Labels"].items()
        if name.startswith("org.opencontainers.image.")
    }
    assert labels["title"] == f"recloop-{image}"
    assert labels["version"] == _version()
    assert _is_ours(labels["revision"])


@every_image
def test_runs_as_a_user_without_rights(images: Mapping[str, str], image: str) -> None:
    assert run(images[image], "id", "-u").strip() == "10001"
    assert run(images[image], "id", "-g").strip() == "10001"
    found = run(images[image], "find", "/", "-xdev", "-perm", "/6000", "-type", "f")
    assert not found.split(), "setuid or setgid files"
    writable = run(images[image], "find", "/opt/venv", "/app", "-writable", options=())
    assert not writable.split(), "the user can change code"


@every_image
def test_holds_no_tools_and_no_leftovers(images: Mapping[str, str], image: str) -> None:
    tools = "for tool in gcc cc g++ make git curl; do command -v $tool; done; true"
    assert not run(images[image], "sh", "-c", tools).split()
    leftovers = (
        "ls -d /root/.cache /tmp/* /opt/added /opt/venv/lib/python*/site-packages/pip 2>/dev/null; true"
    )
    assert not run(images[image], "sh", "-c", leftovers).split()
    tests = run(images[image], "find", "/opt/venv", "-type", "d", "-name", "tests")
    assert not tests.split()


@every_image
def test_modules_are_compiled(images: Mapping[str, str], image: str) -> None:
    program = (
        "import glob, importlib.util as u, os\n"
        "files = glob.glob('/opt/venv/lib/**/*.py', recursive=True)\n"
        "files += glob.glob('/app/**/*.py', recursive=True)\n"
        "missing = [f for f in files if not os.path.exists(u.cache_from_source(f))]\n"
        "print(len(files), len(missing))"
    )
    files, missing = map(int, python(images[image], program).split())
    assert files > 1000
    assert missing <= 5  # code of other Pythons, and templates


@pytest.mark.parametrize("image", ["data", "airflow", "mlflow"])
def test_there_is_no_torch_where_nothing_trains(images: Mapping[str, str], image: str) -> None:
    assert python(images[image], "import importlib.util as u; print(u.find_spec('torch'))") == "None"


def test_airflow_holds_the_core_alone(images: Mapping[str, str]) -> None:
    heavy = ["pandas", "polars", "pyarrow", "numpy", "mlflow", "great_expectations", "kfp"]
    program = f"import importlib.util as u; print([m for m in {heavy} if u.find_spec(m)])"
    assert python(images["airflow"], program) == "[]"


@pytest.mark.parametrize("image", ["data", "training", "airflow"])
def test_holds_this_code(images: Mapping[str, str], image: str) -> None:
    program = "from components.core.hashing import code_version; print(code_version())"
    assert python(images[image], program) == code_version()
    program = "from components.core.manifest import git_sha; print(git_sha())"
    assert _is_ours(python(images[image], program))


@stages
def test_every_stage_says_what_it_takes(images: Mapping[str, str], spec: StageSpec) -> None:
    text = run(images[spec.image], "python", "-m", f"components.{spec.name}", "--help")
    assert f"--out-{spec.output}" in text


@stages
def test_every_stage_finds_what_it_imports(images: Mapping[str, str], spec: StageSpec) -> None:
    program = (
        "from components.catalog import STAGES\n"
        "from components.core.strategy import load_object\n"
        "import great_expectations, mlflow.pyfunc, boto3\n"
        f"spec = next(spec for spec in STAGES if spec.name == {spec.name!r})\n"
        "[load_object(path) for path in (*spec.runs, *spec.contracts)]; print('found')"
    )
    assert python(images[spec.image], program).endswith("found")


def test_a_stage_runs_without_any_right(images: Mapping[str, str], tmp_path: Path) -> None:
    """Only the workspace and /tmp can be written; what comes out is what a process here makes."""
    recipe = read_recipe(ROOT / "pipelines/recipes/demo.yaml")
    tmp_path.chmod(0o777)  # for the container's user
    record = f"{tmp_path}/record.json"
    invocation = plan(recipe, INGEST, {}, record)
    command = [part.replace(recipe.workspace_uri, str(tmp_path)) for part in invocation.command()]
    run(images["data"], *command, options=(*CONFINED, "-v", f"{tmp_path}:{tmp_path}"))
    left = read_record(record)
    assert left is not None
    assert left.status == "done"
    manifest = read_manifest(left.uri)
    assert manifest.code_version == code_version()
    assert manifest.files["interactions.parquet"].rows > 10_000


def test_dags_parse(images: Mapping[str, str]) -> None:
    program = (
        "import json\n"
        "from airflow.dag_processing.dagbag import DagBag\n"
        "bag = DagBag('/app/dags'); print(json.dumps([sorted(bag.dags), bag.import_errors]))"
    )
    recipes = {read_recipe(path).name for path in (ROOT / "pipelines/recipes").glob("*.yaml")}
    dags, errors = json.loads(python(images["airflow"], program).splitlines()[-1])
    assert errors == {}
    assert recipes | {"recloop_promote", "recloop_rollback"} <= set(dags)
    assert "cncf-kubernetes" in run(images["airflow"], "airflow", "providers", "list")


def test_the_mlflow_server_starts(images: Mapping[str, str]) -> None:
    assert "version" in run(images["mlflow"], "mlflow", "--version")
    program = "import psycopg2, boto3, mlflow.server, mlflow.store.tracking.sqlalchemy_store; print('found')"
    assert python(images["mlflow"], program).endswith("found")


def test_the_stages_share_a_layer(images: Mapping[str, str]) -> None:
    """On one machine what both need is there once, and pulled once."""
    data, training = layers(images["data"]), layers(images["training"])
    common = [layer for layer in data if layer in training]
    assert data[: len(common)] == training[: len(common)] == common
    assert len(common) == len(data) - 3  # its lock, its packages and the code


@pytest.mark.parametrize("image", ["data", "training", "airflow"])
def test_a_change_of_the_code_changes_the_last_layer_alone(
    images: Mapping[str, str], image: str, tmp_path: Path
) -> None:
    for name in ("Dockerfile", ".dockerignore", "containers", "components", "dags", "pipelines"):
        subprocess.run(["cp", "-a", ROOT / name, tmp_path / name], check=True)
    source = tmp_path / "components" / "catalog.py"
    source.write_text(source.read_text() + "# changed\n")
    file = "Dockerfile" if image == "airflow" else "containers/stages/Dockerfile"
    tag = f"recloop-{image}:changed"
    command = ["docker", "build", "--pull=false", "--file", file, "--tag", tag]
    command += [] if image == "airflow" else ["--target", image]
    subprocess.run([*command, "."], cwd=tmp_path, check=True, capture_output=True, timeout=300)
    try:
        before, after = layers(images[image]), layers(tag)
        assert before[:-1] == after[:-1]
        assert before[-1] != after[-1]
    finally:
        subprocess.run(["docker", "image", "rm", tag], check=True, capture_output=True)


def test_the_build_argument_says_which_torch(images: Mapping[str, str]) -> None:
    """The CUDA build is gigabytes; here another name shows that the argument is what gets installed."""
    command = ["docker", "build", "--pull=false", "--file", "containers/stages/Dockerfile"]
    command += ["--target", "training", "--build-arg", "TORCH=torch===0.0.0+of-the-test", "."]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert answer.returncode != 0
    assert "No matching distribution found for torch===0.0.0+of-the-test" in answer.stdout + answer.stderr
    assert python(images["training"], "import torch; print(torch.__version__)").endswith("+cpu")


@every_image
def test_bill_of_materials(images: Mapping[str, str], image: str, tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "containers/sbom.py", "--output", tmp_path, images[image]]
    subprocess.run(command, check=True, capture_output=True)
    text = (tmp_path / f"recloop-{image}.cdx.json").read_text()
    assert JsonStrictValidator(sbom.SCHEMA).validate_str(text) is None
    document = json.loads(text)
    assert document["metadata"]["component"]["name"] == f"recloop-{image}"
    program = (
        "from importlib.metadata import distributions as d; print(*{f'{i.name}=={i.version}' for i in d()})"
    )
    listed = {component["bom-ref"] for component in document["components"]}
    assert set(python(images[image], program).split()) - {"pip", "setuptools"} <= listed
    assert any(ref.startswith("pkg:deb/debian/libc6@") for ref in listed)


def _is_ours(revision: str) -> bool:
    """Whether it is a commit of this history; a changed working tree adds "-dirty"."""
    commit = revision.removesuffix("-dirty")
    return subprocess.run(["git", "merge-base", "--is-ancestor", commit, "HEAD"], cwd=ROOT).returncode == 0


def _version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
