"""The manifests: Kubernetes knows every key, pods are confined, and every name leads somewhere."""

import json
import subprocess
import sys
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from components.catalog import STAGES
from components.core.recipe import Recipe
from components.core.recipe.reading import read_recipe
from components.core.runs import plan
from dags.runners.pod import pod_of

from .manifests import FOLDER, INFRA, OBJECTS, SERVICES, VALUES, WORKLOADS, name_of, only, pod_spec

VERSION: Final = "1.37"
each_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda entry: entry["metadata"]["name"])


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], set[str]]:
    """(namespace, name) → keys of the Secrets that secrets_of.py makes."""
    place = tmp_path_factory.mktemp("secrets")
    prepare = [sys.executable, str(INFRA / "compose" / "prepare.py"), "--secrets-only", "--into", str(place)]
    subprocess.run(prepare, check=True, capture_output=True)
    command = [sys.executable, str(FOLDER / "secrets_of.py"), str(place / "secrets")]
    made = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["items"]
    for secret in made:
        kubernetes_validate.validate(secret, VERSION, strict=True)
        assert all(secret["stringData"].values())
    return {(one["metadata"]["namespace"], one["metadata"]["name"]): set(one["stringData"]) for one in made}


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """The example, with the variables that Airflow has there."""
    variables = {entry["name"]: entry["value"] for entry in VALUES["env"]}
    monkeypatch.setenv("RECLOOP_WORKSPACE", variables["RECLOOP_WORKSPACE"])
    endpoints = only("ConfigMap", "endpoints")["data"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", endpoints["MLFLOW_TRACKING_URI"])
    return read_recipe(FOLDER / "recipes" / "demo.yaml")


@pytest.mark.parametrize("entry", OBJECTS, ids=lambda entry: "/".join(name_of(entry)))
def test_kubernetes_knows_every_key(entry: dict[str, Any]) -> None:
    kubernetes_validate.validate(entry, VERSION, strict=True)


def test_names_are_unique_and_every_file_is_used() -> None:
    names = [name_of(entry) for entry in OBJECTS]
    assert len(names) == len(set(names))
    for folder in ("base", "standalone"):
        used = yaml.safe_load((FOLDER / folder / "kustomization.yaml").read_text())["resources"]
        there = {path.name for path in (FOLDER / folder).glob("*.yaml")} - {"kustomization.yaml"}
        assert there == {name for name in used if name.endswith(".yaml")}


def test_no_secret_is_kept_here() -> None:
    assert "Secret" not in {entry["kind"] for entry in OBJECTS}


def test_namespaces_admit_restricted_pods_only() -> None:
    namespaces = {entry["metadata"]["name"]: entry for entry in OBJECTS if entry["kind"] == "Namespace"}
    assert {entry["metadata"].get("namespace", "") for entry in OBJECTS} == {*namespaces, ""}
    for namespace in namespaces.values():
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@each_workload
def test_pods_satisfy_the_restricted_profile(workload: dict[str, Any]) -> None:
    spec = pod_spec(workload)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not set(spec) & {"hostNetwork", "hostPID", "hostIPC"}
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not any("hostPort" in port for port in container.get("ports", ()))
    allowed = {"emptyDir", "configMap", "secret"}
    assert all(set(volume) - {"name"} <= allowed for volume in spec["volumes"])


def test_airflow_satisfies_the_restricted_profile() -> None:
    pod, container = VALUES["securityContexts"]["pod"], VALUES["securityContexts"]["containers"]
    assert pod["runAsNonRoot"] is True
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@each_workload
def test_pods_are_bounded_and_watched(workload: dict[str, Any]) -> None:
    for container in pod_spec(workload)["containers"]:
        for kind in ("requests", "limits"):
            assert set(container["resources"][kind]) == {"cpu", "memory"}
        if workload["kind"] == "Job":
            assert workload["spec"]["activeDeadlineSeconds"] > 0
        else:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
        assert container["image"].rpartition(":")[2][0].isdigit()


def test_what_has_replicas_survives_a_drained_node() -> None:
    for workload in WORKLOADS:
        if workload["spec"].get("replicas", 1) > 1:
            budget = only("PodDisruptionBudget", workload["metadata"]["name"])
            assert budget["spec"]["selector"] == workload["spec"]["selector"]
            assert budget["spec"]["minAvailable"] < workload["spec"]["replicas"]
    assert VALUES["apiServer"]["podDisruptionBudget"] == {"enabled": True}
    assert VALUES["apiServer"]["replicas"] > 1


@each_workload
def test_selectors_match_their_pods(workload: dict[str, Any]) -> None:
    labels = workload["spec"]["template"]["metadata"]["labels"].items()
    if workload["kind"] != "Job":
        assert workload["spec"]["selector"]["matchLabels"].items() <= labels
        service = only("Service", workload["metadata"]["name"])
        assert service["spec"]["selector"].items() <= labels
        ports = {
            port["name"] for entry in pod_spec(workload)["containers"] for port in entry.get("ports", ())
        }
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@each_workload
def test_every_name_leads_somewhere(
    workload: dict[str, Any], secrets: dict[tuple[str, str], set[str]]
) -> None:
    spec = pod_spec(workload)
    assert only("ServiceAccount", spec["serviceAccountName"])["automountServiceAccountToken"] is False
    for volume in spec["volumes"]:
        if "configMap" in volume:
            only("ConfigMap", volume["configMap"]["name"])
        if "secret" in volume:
            assert (SERVICES, volume["secret"]["secretName"]) in secrets
    for container in spec["containers"]:
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        claimed = {entry["metadata"]["name"] for entry in workload["spec"].get("volumeClaimTemplates", ())}
        assert mounted == {volume["name"] for volume in spec["volumes"]} | claimed
        for variable in container.get("env", ()):
            given = variable.get("valueFrom", {})
            if "secretKeyRef" in given:
                assert given["secretKeyRef"]["key"] in secrets[SERVICES, given["secretKeyRef"]["name"]]
            if "configMapKeyRef" in given:
                assert given["configMapKeyRef"]["key"] in only("ConfigMap", "endpoints")["data"]
        for source in container.get("envFrom", ()):
            if "secretRef" in source:
                assert (SERVICES, source["secretRef"]["name"]) in secrets


def test_every_name_in_airflows_values_leads_somewhere(secrets: dict[tuple[str, str], set[str]]) -> None:
    keys = secrets[SERVICES, VALUES["data"]["metadataSecretName"]]
    for value in ("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName"):
        assert VALUES[value] == VALUES["data"]["metadataSecretName"]
    assert keys == {"connection", "fernet-key", "api-secret-key", "jwt-secret"}  # as the chart calls them
    for part, key in (("apiServer", "passwords.json"), ("scheduler", "credentials")):
        [volume] = VALUES[part]["extraVolumes"]
        [mount] = VALUES[part]["extraVolumeMounts"]
        assert mount["name"] == volume["name"]
        assert secrets[SERVICES, volume["secret"]["secretName"]] == {key}
        assert f"{mount['mountPath']}/{key}" in json.dumps(VALUES[part])
    only("ServiceAccount", VALUES["scheduler"]["serviceAccount"]["name"])
    [source] = yaml.safe_load(VALUES["extraEnvFrom"])
    only("ConfigMap", source["configMapRef"]["name"])


def test_the_scheduler_may_run_stages_and_nobody_may_do_more() -> None:
    assert VALUES["rbac"] == {"create": False}
    assert VALUES["allowPodLaunching"] is False
    roles = {name_of(entry)[1:] for entry in OBJECTS if "Role" in entry["kind"]}
    assert roles == {("recloop", "run-stages"), ("recloop", "airflow-runs-stages")}
    rights = {
        (resource, verb)
        for rule in only("Role", "run-stages", "recloop")["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    pods = {("pods", verb) for verb in ("create", "get", "list", "patch", "delete")}
    assert rights == pods | {("pods/log", "get"), ("events", "list")}
    [subject] = only("RoleBinding", "airflow-runs-stages", "recloop")["subjects"]
    only(subject["kind"], subject["name"], subject["namespace"])


def test_stages_of_the_example_fit_their_namespace(
    recipe: Recipe, secrets: dict[tuple[str, str], set[str]]
) -> None:
    policy = only("NetworkPolicy", "stages", "recloop")
    quota = only("ResourceQuota", "stages", "recloop")["spec"]["hard"]
    for spec in STAGES:
        uris = {entry.name: f"s3://recloop/{entry.name}" for entry in spec.inputs}
        pod = pod_of(recipe, plan(recipe, spec, uris, "s3://recloop/record"), "run")
        namespace = pod["metadata"]["namespace"]
        only("Namespace", namespace, "")
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        account = only("ServiceAccount", pod["spec"]["serviceAccountName"], namespace)
        assert account["automountServiceAccountToken"] is False
        for source in pod["spec"]["containers"][0]["envFrom"]:
            if "secretRef" in source:
                assert (namespace, source["secretRef"]["name"]) in secrets
            else:
                only("ConfigMap", source["configMapRef"]["name"], namespace)
        limits = pod["spec"]["containers"][0]["resources"]["limits"]
        assert float(limits["cpu"]) <= float(quota["limits.cpu"])


def test_both_namespaces_have_the_same_endpoints_and_they_are_services() -> None:
    endpoints = only("ConfigMap", "endpoints")["data"]
    assert only("ConfigMap", "endpoints", "recloop")["data"] == endpoints
    for key in ("AWS_ENDPOINT_URL_S3", "MLFLOW_TRACKING_URI"):
        host, port = endpoints[key].removeprefix("http://").split(":")
        name, namespace = host.split(".")
        assert int(port) in {entry["port"] for entry in only("Service", name, namespace)["spec"]["ports"]}


def test_scripts_are_those_of_compose() -> None:
    for config_map, file in (("postgres-databases", "databases.sh"), ("s3-buckets", "buckets.py")):
        assert only("ConfigMap", config_map)["data"] == {file: (INFRA / "compose" / file).read_text()}


def test_images_are_those_of_compose() -> None:
    compose = yaml.safe_load((INFRA / "compose" / "compose.yaml").read_text())["services"]
    version = "${RECLOOP_VERSION:-0.1.0}"
    always = [service for service in compose.values() if "profiles" not in service]
    known = {service["image"].replace(version, "0.1.0") for service in always}
    ours = {container["image"] for workload in WORKLOADS for container in pod_spec(workload)["containers"]}
    airflow = VALUES["images"]["airflow"]
    assert ours | {f"{airflow['repository']}:{airflow['tag']}"} == known
