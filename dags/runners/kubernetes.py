"""A stage's command in a pod of a Kubernetes cluster."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, final

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from components.core.containers import STOP_GRACE_S
from components.core.errors import InfrastructureError, InvalidInputError
from components.core.recipe import Recipe
from components.core.runs import Invocation
from dags.runners.base import KILLED, Ended, Lines, Runner, execute
from dags.runners.pod import CONTAINER, pod_of

_KEEP = {"failed": "delete_succeeded_pod", "all": "keep_pod", "none": "delete_pod"}
# before there is a pod: the cluster will not change its mind; 403 may be a quota that is used up
_FINAL = {400, 401, 404, 422}
_GONE = 404
_STOPPED = 143


@final
class KubernetesRunner(Runner):
    """Runs stages in pods that Kubernetes' restricted profile admits.

    A stage whose worker died runs on; the task's next try finds its pod and follows it to its end.

    Args:
        on_line: called with each line; the task's log has them from Airflow's own reader of pods, which
            holds a line back until the next one comes.
    """

    def __init__(self, recipe: Recipe, on_line: Callable[[str], None] = lambda line: None) -> None:
        self._recipe, self._on_line = recipe, on_line
        self._operator: StagePod | None = None

    def run(self, invocation: Invocation, context: Context) -> Ended:
        with _speaking_to_the_cluster():
            self._operator = StagePod(
                recipe=self._recipe, invocation=invocation, run_id=context["run_id"], on_line=self._on_line
            )
            ended: Ended = execute(self._operator, context)
        return ended

    def stop(self) -> None:
        if self._operator is not None:
            self._operator.on_kill()


class StagePod(KubernetesPodOperator):  # type: ignore[misc]  # Airflow's types are not checked here
    """KubernetesPodOperator for `pod_of`, which tells how the stage ended instead of failing.

    The stage's lines are in the task's log.

    Returns: `Ended`.
    """

    def __init__(
        self,
        *,
        recipe: Recipe,
        invocation: Invocation,
        run_id: str,
        on_line: Callable[[str], None] = lambda line: None,
        **kwargs: Any,
    ) -> None:
        how = recipe.orchestration.kubernetes
        self._lines = Lines(on_line)
        self._stopped = False
        super().__init__(
            task_id=invocation.spec.name,
            kubernetes_conn_id=how.connection,
            pod_template_dict=pod_of(recipe, invocation, run_id),
            base_container_name=CONTAINER,
            termination_message_policy="FallbackToLogsOnError",
            termination_grace_period=STOP_GRACE_S,
            startup_timeout_seconds=how.startup_timeout_s,
            on_finish_action=_KEEP[how.keep_pods],
            durable=True,
            deferrable=False,  # a worker reads the stage's lines as they come
            log_events_on_failure=True,
            log_pod_spec_on_failure=False,
            log_formatter=self._remember,
            **kwargs,
        )

    def _remember(self, _: str, line: str) -> str:
        line = line.rstrip("\n")
        self._lines.add(line)
        return line

    def execute(self, context: Context) -> Ended:
        """Run the pod to its end."""
        try:
            super().execute(context)
        except ApiException as error:
            if self.pod is None:  # not even created
                raise
            if not self._stopped:  # else it is gone as it was asked to
                if error.status != _GONE:
                    raise InfrastructureError(f"lost the pod: {_told(error)}") from error
                return Ended(KILLED, self._lines.last, "the pod was removed from outside")
        if self._stopped:
            return Ended(_STOPPED, self._lines.last)
        return ended(self.remote_pod.to_dict(), self._lines.last)

    def on_kill(self) -> None:
        """Delete the pod; the cluster gives the stage time to save itself."""
        self._stopped = True
        super().on_kill()

    def cleanup(self, pod: Any, remote_pod: Any, *_: Any, **__: Any) -> None:
        """Leave the pod as the recipe says. Raises nothing: that would hide a timeout."""
        if remote_pod is None or self._stopped:
            return
        if remote_pod.status.phase not in {"Succeeded", "Failed"}:
            super().on_kill()  # never started, or nobody waits for it any longer
            return
        self.patch_already_checked(remote_pod, reraise=False)  # it is no pod to go on with
        self.process_pod_deletion(remote_pod, reraise=False)


def ended(pod: Mapping[str, Any], said: str) -> Ended:
    """How a pod ended: its container's exit code, and what the cluster says of it.

    Args:
        pod: as a dictionary in Python's spelling (`V1Pod.to_dict`).
    """
    status = pod["status"]
    containers = {entry["name"]: entry for entry in status.get("container_statuses") or ()}
    state = ((containers.get(CONTAINER) or {}).get("state") or {}).get("terminated") or {}
    code = state.get("exit_code", KILLED)
    if status.get("phase") == "Succeeded" or code == 0:
        return Ended(0, said)
    reason, message = status.get("reason"), status.get("message")
    if not reason and state.get("reason") not in {"Error", "Completed"}:
        reason, message = state.get("reason"), state.get("message")
    told = [text.strip() for text in (reason, message) if text and text.strip()]
    return Ended(code, said, f"the cluster ended the pod: {': '.join(told)}" if told else "")


def _told(error: ApiException) -> str:
    return f"{error.status} {error.reason}: {error.body}"


@contextlib.contextmanager
def _speaking_to_the_cluster() -> Iterator[None]:
    """Turn the cluster's errors into ours."""
    try:
        yield
    except (AirflowNotFoundException, ConfigException) as error:
        raise InvalidInputError(f"orchestration.kubernetes.connection: {error}") from error
    except ApiException as error:
        kind = InvalidInputError if error.status in _FINAL else InfrastructureError
        raise kind(f"the cluster refused: {_told(error)}") from error
    except (AirflowException, HTTPError) as error:
        raise InfrastructureError(f"the pod could not be run: {error}") from error
