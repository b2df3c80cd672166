"""What a task asks of the cluster: from the recipe's `orchestration` section, in KFP's words."""

from typing import Final

from kfp import dsl, kubernetes

from components.core.containers import USER, Container, mebibytes
from components.core.recipe import Recipe
from components.core.recipe.containers import PASSED_ON, Kubernetes, Toleration
from pipelines import RUN_ID

_RUN_LABEL: Final = "metadata.labels['pipeline/runid']"  # KFP puts it on every pod
_SETTINGS: Final = ("RECLOOP_WORKSPACE", *PASSED_ON)


def place(task: dsl.PipelineTask, recipe: Recipe, container: Container) -> None:
    """Give a task its resources, retries, deadline, and its place in the cluster."""
    how = recipe.orchestration
    cluster = how.kubernetes
    _give(task, container, cluster)
    task.set_retry(
        num_retries=how.retries,
        backoff_duration=f"{how.retry_delay_s:.0f}s",
        backoff_factor=2.0,
        # of all tries together: with KFP's default a stage that took an hour is never tried again
        backoff_max_duration=f"{_longest_s(recipe)}s",
    )
    kubernetes.set_timeout(task, how.stage_timeout_s)
    kubernetes.use_field_path_as_env(task, RUN_ID, _RUN_LABEL)
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    kubernetes.set_image_pull_policy(task, cluster.image_pull_policy)
    if cluster.image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(cluster.image_pull_secrets))
    _environment(task, cluster)
    _schedule(task, cluster, on_gpu=container.gpus > 0)


def _give(task: dsl.PipelineTask, container: Container, cluster: Kubernetes) -> None:
    cpu, memory = f"{container.cpu:g}", mebibytes(container.memory_gib)
    task.set_cpu_request(cpu).set_cpu_limit(cpu).set_memory_request(memory).set_memory_limit(memory)
    task.set_env_variable("OMP_NUM_THREADS", str(container.threads))
    if container.digest:
        task.set_env_variable("RECLOOP_IMAGE_DIGEST", container.digest)
    if container.gpus:
        task.set_accelerator_type(cluster.accelerator.resource).set_accelerator_limit(container.gpus)
    kubernetes.empty_dir_mount(task, "scratch", "/tmp", size_limit=mebibytes(cluster.scratch_gib))  # noqa: S108
    if container.shm_gib:
        size = mebibytes(container.shm_gib)
        kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory", size_limit=size)  # noqa: S108


def _environment(task: dsl.PipelineTask, cluster: Kubernetes) -> None:
    # KFP takes no Secret as a whole, only keys by name: each that we know, where it is there
    keys = {name: name for name in _SETTINGS}
    for name in cluster.config_maps:
        kubernetes.use_config_map_as_env(task, name, keys, optional=True)
    for name in cluster.secrets:
        kubernetes.use_secret_as_env(task, name, keys, optional=True)


def _schedule(task: dsl.PipelineTask, cluster: Kubernetes, *, on_gpu: bool) -> None:
    accelerator = cluster.accelerator
    for key, value in (cluster.node_selector | (accelerator.node_selector if on_gpu else {})).items():
        kubernetes.add_node_selector(task, key, value)
    for toleration in cluster.tolerations + (accelerator.tolerations if on_gpu else ()):
        _tolerate(task, toleration)


def _tolerate(task: dsl.PipelineTask, toleration: Toleration) -> None:
    kubernetes.add_toleration(
        task,
        key=toleration.key,
        operator=toleration.operator,
        value=toleration.value,
        effect=toleration.effect,
    )


def _longest_s(recipe: Recipe) -> int:
    how = recipe.orchestration
    waits_s = how.retry_delay_s * (2.0**how.retries - 1)
    return round((how.retries + 1) * how.stage_timeout_s + waits_s)
