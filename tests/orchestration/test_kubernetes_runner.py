"""Pods: what they ask of a cluster, that Kubernetes takes them, and what their end means."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes.client import ApiClient

from components.catalog import STAGES
from components.core.errors import InfrastructureError, InvalidInputError, is_retryable
from components.core.recipe import Recipe
from components.core.recipe.reading import build_recipe
from components.core.runs import Invocation, StageRecord, plan, record_place
from components.core.stage import StageSpec
from dags.runners.base import Ended, reason_of
from dags.runners.kubernetes import KubernetesRunner, StagePod, ended
from dags.runners.pod import pod_of
from dags.stage_operator import StageOperator

from .cluster import Cluster, cluster_at
from .test_runner_contract import CONTEXT, scripted

GOLDEN = Path(__file__).parents[1] / "golden" / "pods"
RUN = "scheduled__2026-01-01T00:00:00+00:00"
VERSIONS = ("1.31", "1.37")  # the oldest and the newest that are looked after
DOCUMENT: dict[str, Any] = {
    "name": "shop_daily",
    "workspace": "s3://recloop/workspace",
    "source": {"kind": "files", "path": "s3://deliveries/orders/*.parquet", "format": {"kind": "parquet"}},
    "search": {"kind": "autosample"},
    "training": {"device": "cuda"},
    "registry": {"tracking_uri": "http://mlflow.recloop:5000"},
    "orchestration": {
        "runner": "kubernetes",
        "stage_timeout_s": 3600,
        "images": {
            "data": "registry.example/recloop-data@sha256:" + "ab" * 32,
            "training": "registry.example/recloop-training:1.2.3",
        },
        "resources": {"search": {"cpu": 7.5, "memory_gib": 48, "gpus": 2, "shm_gib": 8}},
        "kubernetes": {
            "namespace": "shop",
            "service_account": "recloop-stage",
            "secrets": ["storage", "mlflow"],
            "config_maps": ["settings"],
            "image_pull_secrets": ["registry"],
            "node_selector": {"pool": "batch"},
            "tolerations": [{"key": "batch", "value": "yes", "effect": "NoSchedule"}],
            "accelerator": {"node_selector": {"accelerator": "a100"}},
            "priority_class": "retraining",
            "scratch_gib": 100,
        },
    },
}
LEAST: dict[str, Any] = {
    "name": "least",
    "workspace": "s3://recloop/workspace",
    "source": {"kind": "synthetic"},
    "registry": {"tracking_uri": "http://mlflow"},
    "orchestration": {"runner": "kubernetes"},
}


def recipe_of(document: Mapping[str, Any] = DOCUMENT, *overrides: str) -> Recipe:
    return build_recipe(document, overrides, place="here")


def invocation_of(recipe: Recipe, spec: StageSpec) -> Invocation:
    artifacts = {made.output: f"{recipe.workspace_uri}/{recipe.name}/{made.output}/0" for made in STAGES}
    return plan(recipe, spec, artifacts, record_place(recipe, RUN, STAGES.index(spec), spec.name))


def submitted(recipe: Recipe, spec: StageSpec) -> dict[str, Any]:
    """The pod that Airflow would submit, but for its random suffix and Airflow's version."""
    operator = StagePod(recipe=recipe, invocation=invocation_of(recipe, spec), run_id=RUN)
    pod: dict[str, Any] = ApiClient().sanitize_for_serialization(operator.build_pod_request_obj(dry_run=True))
    pod["metadata"]["name"] = pod["metadata"]["name"].rpartition("-")[0]
    del pod["metadata"]["labels"]["airflow_version"]
    return pod


def without_empty(value: Any) -> Any:
    """Airflow writes empty lists and mappings where a manifest leaves them out."""
    if isinstance(value, dict):
        return {key: without_empty(below) for key, below in value.items() if below not in ({}, [])}
    return [without_empty(below) for below in value] if isinstance(value, list) else value


@pytest.mark.parametrize("spec", STAGES, ids=lambda spec: spec.name)
def test_golden_pods(spec: StageSpec) -> None:
    pod = submitted(recipe_of(), spec)
    command = pod["spec"]["containers"][0]["command"]
    command[command.index("--params") + 1] = "{}"  # other tests' matter
    file = GOLDEN / f"{spec.name}.yaml"
    if os.environ.get("RECLOOP_WRITE_GOLDEN"):
        file.write_text(yaml.safe_dump(pod, sort_keys=True, width=110))
    assert pod == yaml.safe_load(file.read_text())


@pytest.mark.parametrize("document", [DOCUMENT, LEAST], ids=["full", "least"])
@pytest.mark.parametrize("spec", STAGES, ids=lambda spec: spec.name)
def test_airflow_submits_our_pod_and_kubernetes_knows_every_key(
    document: dict[str, Any], spec: StageSpec
) -> None:
    recipe = recipe_of(document)
    ours, theirs = pod_of(recipe, invocation_of(recipe, spec), RUN), submitted(recipe, spec)
    assert without_empty(theirs) == without_empty({**ours, "spec": {**ours["spec"], "hostNetwork": False}})
    for version in VERSIONS:
        kubernetes_validate.validate(ours, version, strict=True)
        kubernetes_validate.validate(theirs, version, strict=True)


def test_the_schema_is_strict() -> None:
    pod = pod_of(recipe_of(), invocation_of(recipe_of(), STAGES[0]), RUN)
    pod["spec"]["containers"][0]["resource"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, VERSIONS[-1], strict=True)


def restricted_violations(pod: Mapping[str, Any]) -> list[str]:
    """What the restricted Pod Security Standard finds wrong, for the fields that our pods may have."""
    spec = pod["spec"]
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"}
    allowed |= {"projected", "secret"}
    found += [volume["name"] for volume in spec.get("volumes", []) if not volume.keys() - {"name"} <= allowed]
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        own = container.get("securityContext", {})
        both = {**spec.get("securityContext", {}), **own}
        checks = {
            "privileged": not own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities.drop": "ALL" in own.get("capabilities", {}).get("drop", []),
            "capabilities.add": not set(own.get("capabilities", {}).get("add", [])) - {"NET_BIND_SERVICE"},
            "runAsNonRoot": both.get("runAsNonRoot") is True,
            "runAsUser": both.get("runAsUser") != 0,
            "seccompProfile": both.get("seccompProfile", {}).get("type") in {"RuntimeDefault", "Localhost"},
            "procMount": own.get("procMount", "Default") == "Default",
            "hostPort": not any(port.get("hostPort") for port in container.get("ports", [])),
        }
        found += [name for name, good in checks.items() if not good]
    return found


@pytest.mark.parametrize("spec", STAGES, ids=lambda spec: spec.name)
def test_the_restricted_profile_admits_pods(spec: StageSpec) -> None:
    pod = submitted(recipe_of(), spec)
    assert restricted_violations(pod) == []
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    pod["spec"]["containers"][0]["securityContext"] = {}  # the check can fail
    assert "allowPrivilegeEscalation" in restricted_violations(pod)


def test_gpu_nodes_are_for_stages_with_a_gpu() -> None:
    pods = {spec.name: submitted(recipe_of(), spec)["spec"] for spec in STAGES}
    with_gpu = {
        name for name, pod in pods.items() if "nvidia.com/gpu" in pod["containers"][0]["resources"]["limits"]
    }
    assert with_gpu == {"search", "retrain", "evaluate"}
    assert {name for name, pod in pods.items() if "accelerator" in pod["nodeSelector"]} == with_gpu
    assert {name for name, pod in pods.items() if len(pod["tolerations"]) == 2} == with_gpu
    on_cpu = recipe_of(DOCUMENT, "training.device=cpu", "orchestration.resources={}")
    assert "nvidia.com/gpu" not in str(submitted(on_cpu, STAGES[2]))


def test_no_variable_is_put_into_a_command() -> None:
    recipe = recipe_of(DOCUMENT, "description='costs $(AWS_SECRET_ACCESS_KEY)'")
    command = pod_of(recipe, invocation_of(recipe, STAGES[-1]), RUN)["spec"]["containers"][0]["command"]
    assert "costs $$(AWS_SECRET_ACCESS_KEY)" in " ".join(command)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("workspace=work", "cannot reach the directory '.*/work'; name a workspace on s3://"),
        ("source.path=data/orders", "cannot reach the source '.*/data/orders'; it must lie on s3://"),
        ("registry.tracking_uri=sqlite:///m.db", "cannot reach the file 'sqlite:///m.db'"),
        ("orchestration.resources.search.gpus=0", r"resources\.search\.gpus: got 0, but training\.device"),
        ("orchestration.kubernetes.secrets=[No_Name]", r"kubernetes\.secrets"),
        ("orchestration.kubernetes.tolerations=[{key: a}]", "needs a key and a value"),
        ("orchestration.kubernetes.tolerations=[{operator: Exists, value: a}]", "compares with none"),
    ],
)
def test_contradictions_are_told_before_anything_runs(override: str, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        recipe_of(DOCUMENT, override)


def test_a_database_file_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////tmp/mlflow.db")
    recipe = recipe_of({key: value for key, value in DOCUMENT.items() if key != "registry"})
    with pytest.raises(InvalidInputError, match=r"registry\.tracking_uri: got 'sqlite"):
        pod_of(recipe, invocation_of(recipe, STAGES[0]), RUN)


def pod_status(phase: str, terminated: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    state = {"terminated": terminated, "running": None, "waiting": None}
    statuses = None if terminated is None else [{"name": "base", "state": state}]
    return {
        "status": {"phase": phase, "container_statuses": statuses, "reason": None, "message": None} | more
    }


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (pod_status("Succeeded", {"exit_code": 0, "reason": "Completed"}), Ended(0, "said")),
        (pod_status("Failed", {"exit_code": 3, "reason": "Error", "message": "said"}), Ended(3, "said")),
        (
            pod_status("Failed", {"exit_code": 137, "reason": "OOMKilled", "message": None}),
            Ended(137, "said", "the cluster ended the pod: OOMKilled"),
        ),
        (
            pod_status("Failed", None, reason="Evicted", message="The node was low on resource: memory. "),
            Ended(137, "said", "the cluster ended the pod: Evicted: The node was low on resource: memory."),
        ),
        (
            pod_status("Failed", {"exit_code": 143, "reason": "Error"}, reason="DeadlineExceeded"),
            Ended(143, "said", "the cluster ended the pod: DeadlineExceeded"),
        ),
    ],
)
def test_what_a_pods_end_means(pod: dict[str, Any], expected: Ended) -> None:
    found = ended(pod, "said")
    assert found == expected
    assert is_retryable(found.code) == (found.code not in {3})
    if found.cause:
        assert reason_of("search", found) == f"{found.cause} (exit code {found.code})"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster that Airflow's connection leads to."""
    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(tmp_path / "kube.yaml")}}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(connection))
    with cluster_at(tmp_path / "kube.yaml") as found:
        yield found


def test_a_pod_whose_worker_died_is_followed_to_its_end(cluster: Cluster) -> None:
    program = "import sys, time; print('a', file=sys.stderr); time.sleep(2); print('b', file=sys.stderr)"
    first = StagePod(recipe=recipe_of(), invocation=scripted(program), run_id=RUN)
    first.client.create_namespaced_pod("shop", first.build_pod_request_obj(CONTEXT))  # and here it dies
    lines: list[str] = []
    again = KubernetesRunner(recipe_of(), lines.append).run(scripted("raise SystemExit(9)"), CONTEXT)
    assert (again, lines) == (Ended(0, "a\nb"), ["a", "b"])
    assert len(cluster.pods) == 1


def test_a_failed_pod_stays_and_the_next_try_gets_its_own(cluster: Cluster) -> None:
    runner = KubernetesRunner(recipe_of())
    assert runner.run(scripted("raise SystemExit(6)"), CONTEXT).code == 6
    assert runner.run(scripted("pass"), CONTEXT).code == 0
    assert len(cluster.pods) == 2
    (kept,) = cluster.living()
    assert kept.process.returncode == 6


def test_a_pod_removed_from_outside_is_worth_another_try(cluster: Cluster) -> None:
    program = "import sys, time\nfor word in 'ab': print(word, file=sys.stderr)\ntime.sleep(600)"
    ended = KubernetesRunner(recipe_of(), lambda _: cluster.remove()).run(scripted(program), CONTEXT)
    assert (ended.code, ended.cause) == (137, "the pod was removed from outside")
    assert is_retryable(ended.code)


def test_a_pod_that_ended_well_meanwhile_is_not_run_again(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker died before it saw that; the record is all that tells of it."""
    recipe = recipe_of(DOCUMENT, "orchestration.kubernetes.keep_pods=all")
    place = str(tmp_path / "record.json")
    done = StageRecord("ingest", "done", "2026-01-01T00:00:00+00:00", 1.0, uri="s3://bucket/raw/1")
    program = f"import pathlib; pathlib.Path({place!r}).write_text({json.dumps(done.__dict__)!r})"
    invocation = replace(scripted(program), record=place)
    first = StagePod(recipe=recipe, invocation=invocation, run_id=RUN)
    first.client.create_namespaced_pod("shop", first.build_pod_request_obj(CONTEXT))
    (pod,) = cluster.pods.values()
    assert pod.process.wait(60) == 0
    operator = StageOperator(task_id="ingest", spec=STAGES[0], recipe="", artifacts={})
    assert operator.run_stage(recipe, invocation, CONTEXT) == done
    assert len(cluster.pods) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(422, InvalidInputError), (404, InvalidInputError), (403, InfrastructureError)]
)
def test_a_cluster_that_refuses(cluster: Cluster, status: int, kind: type[Exception]) -> None:
    cluster.refuse = status, "exceeded quota: stages"
    with pytest.raises(kind, match=f"the cluster refused: {status} .*exceeded quota: stages"):
        KubernetesRunner(recipe_of()).run(scripted("pass"), CONTEXT)


def test_a_cluster_without_a_connection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(tmp_path / "none.yaml")}}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(connection))
    with pytest.raises(InvalidInputError, match=r"orchestration\.kubernetes\.connection: "):
        KubernetesRunner(recipe_of()).run(scripted("pass"), CONTEXT)
