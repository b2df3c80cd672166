"""Stages in containers: from which image, with what, and where."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components import __version__
from components.core.strategy import Config

StageName = Literal["ingest", "prepare", "search", "retrain", "evaluate", "register"]
Gib = Annotated[float, Field(gt=0)]
Seconds = Annotated[int, Field(ge=1)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
# A name of an object in Kubernetes, and a key and a value of a label.
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
LabelKey = Annotated[str, Field(pattern=r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")]
LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")]


class Images(Config):
    """The images that stages run in; the catalogue says which stage needs which. Pin them by digest in
    production: `registry.example/recloop-data@sha256:…`."""

    data: str = Field(default=f"recloop-data:{__version__}", description="ingest, prepare, register")
    training: str = Field(default=f"recloop-training:{__version__}", description="search, retrain, evaluate")


class Resources(Config):
    """What one stage gets; what is left out is the stage catalogue's."""

    cpu: Annotated[float, Field(gt=0)] | None = Field(default=None, description="cores")
    memory_gib: Gib | None = Field(default=None, description="GiB of memory")
    gpus: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="GPUs; by default one where the stage can use it and training.device is cuda",
    )
    shm_gib: Gib | None = Field(
        default=None,
        description="GiB of /dev/shm, part of the memory; by default 1 in the training image, else the "
        "engine's own",
    )


class Docker(Config):
    """The recipe's `orchestration.docker` section: a Docker-compatible engine.

    Stages get, by name, these variables of the worker: `PASSED_ON` and those named in `environment`. No
    value stands in a recipe, a log or a task's page; who may use the engine can read them there. Files are
    not passed on: a profile's keys must be exported (`aws configure export-credentials --format env`).
    """

    url: str | None = Field(
        default=None, description="the engine, such as unix:///run/docker.sock; by default $DOCKER_HOST"
    )
    network: str | None = Field(
        default=None, description="a network of the engine, or `host`; by default the engine's own"
    )
    connection: str | None = Field(
        default=None, description="the Airflow connection that logs in to the images' registry"
    )
    user: Annotated[str, Field(pattern=r"^\d+(:\d+)?$")] | None = Field(
        default=None,
        description="uid:gid that stages run as; by default the owner of a workspace on disk, else the "
        "image's user. With a rootless engine 0:0 is the engine's own user",
    )
    environment: tuple[VariableName, ...] = Field(
        default=(),
        description="names of more variables that stages get from the worker; keys and settings of "
        "AWS's chain, of MLflow's and OpenLineage's clients, of the push gateway and of proxies they get "
        "anyway",
    )


class Toleration(Config):
    """A taint that pods put up with."""

    key: LabelKey | None = Field(default=None, description="of the taint; any where it is left out")
    operator: Literal["Equal", "Exists"] = Field(default="Equal", description="how the value is compared")
    value: str | None = Field(default=None, description="of the taint, for Equal")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="of the taint; any where it is left out"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.operator == "Exists" and self.value is not None:
            raise ValueError(f"value: got {self.value!r}, but 'Exists' compares with none")
        if self.operator == "Equal" and (self.key is None or self.value is None):
            raise ValueError("needs a key and a value; or the operator 'Exists'")
        return self


class Accelerator(Config):
    """Which nodes the stages with a GPU go to."""

    resource: str = Field(default="nvidia.com/gpu", description="the resource that the device plugin offers")
    node_selector: dict[LabelKey, LabelValue] = Field(
        default={}, description="labels that the node has, besides those of every stage"
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule"),),
        description="taints of those nodes, besides those of every stage",
    )


class Kubernetes(Config):
    """The recipe's `orchestration.kubernetes` section: a pod for each stage. Secrets stand here by name."""

    namespace: ObjectName = Field(default="recloop", description="where pods run")
    connection: str = Field(
        default="kubernetes_default",
        description="the Airflow connection of the cluster; where there is none, the worker's own cluster or "
        "its kubeconfig",
    )
    service_account: ObjectName | None = Field(
        default=None, description="of the pods, for access to storage; they get no token of the cluster's API"
    )
    secrets: tuple[ObjectName, ...] = Field(
        default=(), description="Secrets whose keys become variables, such as AWS_ACCESS_KEY_ID"
    )
    config_maps: tuple[ObjectName, ...] = Field(
        default=(), description="ConfigMaps whose keys become variables, such as AWS_ENDPOINT_URL_S3"
    )
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field(
        default="IfNotPresent", description="when a node asks the registry"
    )
    image_pull_secrets: tuple[ObjectName, ...] = Field(
        default=(), description="Secrets that open the registry"
    )
    node_selector: dict[LabelKey, LabelValue] = Field(default={}, description="labels that a pod's node has")
    tolerations: tuple[Toleration, ...] = Field(default=(), description="taints that pods put up with")
    accelerator: Accelerator = Accelerator()
    priority_class: ObjectName | None = Field(default=None, description="of the pods")
    scratch_gib: Gib = Field(default=50, description="GiB of disk for /tmp, where inputs are fetched to")
    startup_timeout_s: Seconds = Field(
        default=900, description="a pod that no node takes or no image comes for is given up, in seconds"
    )
    keep_pods: Literal["failed", "all", "none"] = Field(
        default="failed", description="which ended pods stay, to be looked at; logs are in Airflow anyway"
    )


PASSED_ON = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_MAX_ATTEMPTS",
    "AWS_RETRY_MODE",
    "AWS_REQUEST_CHECKSUM_CALCULATION",
    "AWS_RESPONSE_CHECKSUM_VALIDATION",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "OPENLINEAGE_URL",
    "OPENLINEAGE_ENDPOINT",
    "OPENLINEAGE_API_KEY",
    "OPENLINEAGE_NAMESPACE",
    "OPENLINEAGE_DISABLED",
    "PROMETHEUS_PUSHGATEWAY_URL",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "OMP_NUM_THREADS",
)
