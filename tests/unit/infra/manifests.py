"""The manifests of infra/kubernetes, read."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

INFRA: Final = Path(__file__).parents[3] / "infra"
FOLDER: Final = INFRA / "kubernetes"
VALUES: Final[dict[str, Any]] = yaml.safe_load((FOLDER / "airflow-values.yaml").read_text())
SERVICES: Final = "recloop-services"


def read() -> Iterator[dict[str, Any]]:
    for kustomization in sorted(FOLDER.glob("*/kustomization.yaml")):
        for name in yaml.safe_load(kustomization.read_text())["resources"]:
            if name.endswith(".yaml"):
                yield from yaml.safe_load_all((kustomization.parent / name).read_text())


OBJECTS: Final = list(read())
WORKLOADS: Final = [entry for entry in OBJECTS if entry["kind"] in {"Deployment", "StatefulSet", "Job"}]
POLICIES: Final = [entry for entry in OBJECTS if entry["kind"] == "NetworkPolicy"]


def name_of(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    return entry["kind"], entry["metadata"].get("namespace", ""), entry["metadata"]["name"]


def pod_spec(workload: Mapping[str, Any]) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def only(kind: str, name: str, namespace: str = SERVICES) -> dict[str, Any]:
    [entry] = [entry for entry in OBJECTS if name_of(entry) == (kind, namespace, name)]
    return entry
