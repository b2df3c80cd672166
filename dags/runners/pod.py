"""The pod of a stage, as a manifest."""

from typing import Any, Final

from components.core.containers import (
    OVERTIME_S,
    STOP_GRACE_S,
    USER,
    Container,
    bounded,
    container_of,
    labels_of,
    mebibytes,
)
from components.core.errors import InvalidInputError
from components.core.recipe import Recipe
from components.core.recipe.containers import Kubernetes, Toleration
from components.core.runs import Invocation

CONTAINER: Final = "base"  # KubernetesPodOperator's own name for it


def pod_of(recipe: Recipe, invocation: Invocation, run_id: str) -> dict[str, Any]:
    """The pod that runs one stage. Airflow adds labels of its own, and a suffix to the name.

    Kubernetes' restricted profile admits it: not root, no capabilities, no new privileges, the runtime's
    seccomp profile, and here also a read-only root and no token of the cluster's API.

    Raises:
        InvalidInputError: the registry is a database file, which a pod cannot reach.
    """
    if recipe.tracking_uri.startswith("sqlite"):
        raise InvalidInputError(
            f"registry.tracking_uri: got {recipe.tracking_uri!r}, which no pod reaches; need an MLflow server"
        )
    spec, how = invocation.spec, recipe.orchestration.kubernetes
    ends_after_s = recipe.orchestration.stage_timeout_s + OVERTIME_S
    given = container_of(recipe, spec)
    on_gpu = given.gpus > 0
    tolerations = how.tolerations + (how.accelerator.tolerations if on_gpu else ())
    names = {
        "serviceAccountName": how.service_account,
        "priorityClassName": how.priority_class,
        "nodeSelector": how.node_selector | (how.accelerator.node_selector if on_gpu else {}),
        "tolerations": [_toleration(entry) for entry in tolerations],
        "imagePullSecrets": [{"name": name} for name in how.image_pull_secrets],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"recloop-{recipe.name}-{spec.name}".replace("_", "-"),
            "namespace": how.namespace,
            "labels": {
                "app.kubernetes.io/name": "recloop",
                "app.kubernetes.io/component": spec.name,
                **labels_of(recipe, spec, run_id),
            },
            # a node is not to be given up in the middle of a stage to save money
            "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
        },
        "spec": {
            "restartPolicy": "Never",  # Airflow tries again, and knows when not to
            "activeDeadlineSeconds": ends_after_s,
            "terminationGracePeriodSeconds": STOP_GRACE_S,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(bounded(invocation.command(), ends_after_s), given, how)],
            "volumes": _volumes(given, how),
            **{key: value for key, value in names.items() if value},
        },
    }


def _container(command: list[str], given: Container, how: Kubernetes) -> dict[str, Any]:
    share = {"cpu": f"{given.cpu:g}", "memory": mebibytes(given.memory_gib)}
    if given.gpus:
        share[how.accelerator.resource] = str(given.gpus)
    environment = {"OMP_NUM_THREADS": str(given.threads)}
    if given.digest:
        environment["RECLOOP_IMAGE_DIGEST"] = given.digest
    return {
        "name": CONTAINER,
        "image": given.image,
        "imagePullPolicy": how.image_pull_policy,
        # Kubernetes would put variables in the place of $(NAME)
        "command": [word.replace("$(", "$$(") for word in command],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "envFrom": [{"configMapRef": {"name": name}} for name in how.config_maps]
        + [{"secretRef": {"name": name}} for name in how.secrets],
        "resources": {"requests": share, "limits": share},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": volume["name"], "mountPath": _PLACES[volume["name"]]} for volume in _volumes(given, how)
        ],
    }


_PLACES = {"scratch": "/tmp", "shm": "/dev/shm"}  # noqa: S108  # of the pod


def _volumes(given: Container, how: Kubernetes) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [
        {"name": "scratch", "emptyDir": {"sizeLimit": mebibytes(how.scratch_gib)}}
    ]
    if given.shm_gib:
        shm = {"medium": "Memory", "sizeLimit": mebibytes(given.shm_gib)}
        volumes.append({"name": "shm", "emptyDir": shm})
    return volumes


def _toleration(toleration: Toleration) -> dict[str, Any]:
    return toleration.model_dump(mode="json", exclude_none=True)
