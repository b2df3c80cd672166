"""What is compiled: the golden pipelines, and what a recipe can say to KFP."""

import inspect
from pathlib import Path
from typing import Any

import kfp
import pytest
import yaml
from typer.testing import CliRunner

from components.catalog import STAGES
from components.cli.app import app
from components.core.errors import InvalidInputError
from pipelines.compiling import compile_recipe

from .conftest import RECIPES

GOLDEN = Path(__file__).parents[1] / "golden" / "pipelines"
CLUSTER = Path(__file__).with_name("cluster.yaml")
DIGEST = "registry.example/recloop@sha256:" + "ab" * 32


def parts(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pipeline, and what each task asks of Kubernetes."""
    pipeline, platform = yaml.safe_load_all(text)
    return pipeline, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def tasks(pipeline: dict[str, Any]) -> dict[str, Any]:
    loop: dict[str, Any] = pipeline["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    return loop


def write(place: Path, more: str) -> Path:
    file = place / "tiny.yaml"
    file.write_text(f"name: tiny\nsource: {{kind: synthetic}}\n{more}")
    return file


@pytest.mark.parametrize("file", [RECIPES / "demo.yaml", RECIPES / "ml-100k.yaml", CLUSTER])
def test_golden(file: Path) -> None:
    """When a change is meant: `recloop compile RECIPE --output tests/golden/pipelines/NAME.yaml`."""
    assert compile_recipe(file) == (GOLDEN / f"{file.stem}.yaml").read_text()


def test_the_recipes_parameters_are_the_pipelines_inputs(tmp_path: Path) -> None:
    declared = "{n: {default: 3}, x: {default: 0.5}, flag: {default: true}, text: {default: '7'}}"
    inputs = parts(compile_recipe(write(tmp_path, f"parameters: {declared}\n")))[0]["root"]
    found = {
        name: (entry["parameterType"], entry["defaultValue"])
        for name, entry in inputs["inputDefinitions"]["parameters"].items()
    }
    assert found == {
        "n": ("NUMBER_INTEGER", 3),
        "x": ("NUMBER_DOUBLE", 0.5),
        "flag": ("BOOLEAN", True),
        "text": ("STRING", "7"),
        "overrides": ("LIST", []),
    }


def test_overrides_are_compiled_in() -> None:
    pipeline, _ = parts(compile_recipe(RECIPES / "demo.yaml", ["epochs=4", "orchestration.retries=7"]))
    assert pipeline["root"]["inputDefinitions"]["parameters"]["epochs"]["defaultValue"] == 4
    assert {task["retryPolicy"]["maxRetryCount"] for task in tasks(pipeline).values()} == {7}


def test_kfp_caches_only_what_is_content() -> None:
    """Its key is made of parameters and the image's name: a tag may move, ingest's data is no parameter, and
    what register wrote is MLflow's to remember."""
    pinned = [f"orchestration.images.{name}={DIGEST}" for name in ("data", "training")]

    def cached(overrides: list[str]) -> set[str]:
        pipeline, _ = parts(compile_recipe(RECIPES / "demo.yaml", overrides))
        every = tasks(pipeline) | pipeline["root"]["dag"]["tasks"]
        return {name for name, task in every.items() if task.get("cachingOptions", {}).get("enableCache")}

    assert cached([]) == set()
    assert cached(pinned) == {"prepare", "search", "retrain", "evaluate"}
    pipeline, _ = parts(compile_recipe(RECIPES / "demo.yaml", pinned))
    for spec in STAGES:  # no parameter says which run this is: two runs share what is the same
        inputs = tasks(pipeline)[spec.name]["inputs"]["parameters"].values()
        assert all("taskOutputParameter" in source for source in inputs)


def test_a_digest_reaches_the_stage() -> None:
    pipeline, _ = parts(compile_recipe(RECIPES / "demo.yaml", [f"orchestration.images.data={DIGEST}"]))
    executors = pipeline["deploymentSpec"]["executors"]
    env = {one["name"]: one["value"] for one in executors["exec-prepare"]["container"]["env"]}
    assert env["RECLOOP_IMAGE_DIGEST"] == "sha256:" + "ab" * 32
    assert "RECLOOP_IMAGE_DIGEST" not in str(executors["exec-search"])


def test_a_gpu_has_its_type_and_its_place() -> None:
    pipeline, platform = parts(compile_recipe(CLUSTER, ["training.device=cuda"]))
    executors = pipeline["deploymentSpec"]["executors"]
    for stage in ("search", "retrain", "evaluate"):
        asked = executors[f"exec-{stage}"]["container"]["resources"]["accelerator"]
        assert (asked["resourceType"], asked["resourceCount"]) == ("nvidia.com/gpu", "1")
        assert platform[f"exec-{stage}"]["nodeSelector"]["labels"]["gpu"] == "yes"
        assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in platform[
            f"exec-{stage}"
        ]["tolerations"]
        mounts = {one["volumeName"]: one for one in platform[f"exec-{stage}"]["emptyDirMounts"]}
        assert (mounts["shm"]["mountPath"], mounts["shm"]["medium"]) == ("/dev/shm", "Memory")  # noqa: S108
    assert "accelerator" not in executors["exec-prepare"]["container"]["resources"]


def test_a_long_stage_keeps_its_retries(tmp_path: Path) -> None:
    """KFP bounds all tries of a task together."""
    how = "{retries: 3, retry_delay_s: 10, stage_timeout_s: 7200}"
    pipeline, platform = parts(compile_recipe(write(tmp_path, f"orchestration: {how}\n")))
    policy = tasks(pipeline)["search"]["retryPolicy"]
    assert policy["backoffMaxDuration"] == f"{4 * 7200 + 10 + 20 + 40}s"
    assert platform["exec-search"]["activeDeadlineSeconds"] == "7200"


def test_no_secret_can_stand_in_a_pipeline() -> None:
    _, platform = parts(compile_recipe(CLUSTER))
    for executor in platform.values():
        (secret,) = executor["secretAsEnv"]
        assert secret["secretName"] == "storage"
        assert secret["optional"] is True
        assert {"secretKey": "AWS_SECRET_ACCESS_KEY", "envVar": "AWS_SECRET_ACCESS_KEY"} in secret["keyToEnv"]
        assert executor["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("{overrides: {default: 1}}", "parameters.overrides: the name is Kubeflow's"),
        (f"{{seed: {{default: {2**53 + 1}}}}}", "parameters.seed.default: got 9007199254740993"),
    ],
)
def test_what_kfp_cannot_carry_is_refused(tmp_path: Path, declared: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        compile_recipe(write(tmp_path, f"parameters: {declared}\n"))


def test_the_command_writes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["compile", str(RECIPES / "demo.yaml")]).exit_code == 0
    printed = CliRunner().invoke(app, ["compile", str(RECIPES / "demo.yaml"), "--output", "-"])
    assert (tmp_path / "demo.pipeline.yaml").read_text() == printed.stdout
    assert printed.stdout == compile_recipe(RECIPES / "demo.yaml")
    wrong = CliRunner().invoke(app, ["compile", "demo", "--set", "epochs=many"])
    assert wrong.exit_code == 2


def test_recurring_runs_as_documented() -> None:
    """The README's calls fit kfp's client."""
    inspect.signature(kfp.Client.create_recurring_run).bind(
        None,
        experiment_id="1",
        job_name="ml-100k",
        cron_expression="0 0 3 * * *",
        max_concurrency=1,
        no_catchup=True,
        pipeline_package_path="ml-100k.pipeline.yaml",
        params={"epochs": 50, "overrides": ["training.model.dim=32"]},
        service_account="recloop",
    )
    inspect.signature(kfp.Client.create_run_from_pipeline_package).bind(
        None, "ml-100k.pipeline.yaml", arguments={"epochs": 5}, service_account="recloop"
    )
