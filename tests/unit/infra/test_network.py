"""The network policies: they speak of pods that exist, and let through what is needed and no more."""

from collections.abc import Mapping
from typing import Any

import pytest

from .manifests import POLICIES, SERVICES, WORKLOADS, name_of


def labels_in_use() -> dict[str, list[dict[str, str]]]:
    """Namespace → the labels of each kind of pod in it."""
    parts = ("api-server", "scheduler", "dag-processor", "triggerer", "run-airflow-migrations")
    services = [{"tier": "airflow", "release": "airflow", "component": part} for part in parts]
    services += [workload["spec"]["template"]["metadata"]["labels"] for workload in WORKLOADS]
    return {SERVICES: services, "recloop": [{"app.kubernetes.io/name": "recloop"}]}


def selected(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    return all(labels.get(entry["key"]) in entry["values"] for entry in selector.get("matchExpressions", ()))


@pytest.mark.parametrize("policy", POLICIES, ids=lambda entry: "/".join(name_of(entry)[1:]))
def test_policies_speak_of_pods_that_exist(policy: dict[str, Any]) -> None:
    own = policy["metadata"]["namespace"]
    pods = labels_in_use()
    assert any(selected(policy["spec"]["podSelector"], labels) for labels in pods[own])
    rules = policy["spec"].get("ingress", []) + policy["spec"].get("egress", [])
    for peer in [peer for rule in rules for peer in rule.get("from", []) + rule.get("to", [])]:
        if "podSelector" not in peer:
            continue
        chosen = peer.get("namespaceSelector", {}).get("matchLabels", {})
        namespace = chosen.get("kubernetes.io/metadata.name", own)
        assert any(selected(peer["podSelector"], labels) for labels in pods[namespace])


def allowed(source: tuple[str, dict[str, str]], target: tuple[str, dict[str, str]], port: int) -> bool:
    """Whether the policies let pods talk: out of the one's namespace and into the other's."""

    def lets(direction: str, own: tuple[str, dict[str, str]], other: tuple[str, dict[str, str]]) -> bool:
        side = {"Egress": "to", "Ingress": "from"}[direction]
        for policy in POLICIES:
            if policy["metadata"]["namespace"] != own[0] or not selected(
                policy["spec"]["podSelector"], own[1]
            ):
                continue
            for rule in policy["spec"].get(direction.lower(), ()):
                ports = {entry["port"] for entry in rule["ports"]}
                for peer in rule[side]:
                    chosen = peer.get("namespaceSelector", {}).get("matchLabels", {})
                    namespace = chosen.get("kubernetes.io/metadata.name", own[0])
                    if (
                        port in ports
                        and "podSelector" in peer
                        and namespace == other[0]
                        and selected(peer["podSelector"], other[1])
                    ):
                        return True
        return False

    return lets("Egress", source, target) and lets("Ingress", target, source)


def test_the_policies_let_through_what_is_needed_and_no_more() -> None:
    def pod(name: str) -> tuple[str, dict[str, str]]:
        return SERVICES, {"app.kubernetes.io/name": name}

    def airflow(part: str) -> tuple[str, dict[str, str]]:
        return SERVICES, {"tier": "airflow", "release": "airflow", "component": part}

    stage = ("recloop", {"app.kubernetes.io/name": "recloop"})
    pods = {name: pod(name) for name in ("mlflow", "postgres", "s3", "s3-buckets")}
    pods |= {part: airflow(part) for part in ("api-server", "scheduler", "dag-processor", "triggerer")}
    pods |= {"stage": stage, "migrations": airflow("run-airflow-migrations")}
    ports = {
        "mlflow": 5000,
        "postgres": 5432,
        "s3": 8333,
        "api-server": 8080,
        "scheduler": 8793,
        "triggerer": 8794,
    }
    through = {
        (source, target)
        for source, from_ in pods.items()
        for target, port in ports.items()
        if source != target and allowed(from_, pods[target], port)
    }
    parts = ("api-server", "scheduler", "dag-processor", "triggerer", "migrations")
    assert through == {
        ("stage", "s3"),
        ("stage", "mlflow"),
        ("mlflow", "postgres"),
        ("mlflow", "s3"),
        ("s3-buckets", "s3"),
        ("scheduler", "s3"),
        ("api-server", "scheduler"),
        ("api-server", "triggerer"),
        *((part, "postgres") for part in parts),
        *((part, "api-server") for part in parts if part != "api-server"),
    }
