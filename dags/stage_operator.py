"""One stage of a recipe as an Airflow task. Only URIs, hashes and metrics travel between tasks."""

import contextlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, AssetAlias, BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout

from components.catalog import position_of
from components.core.errors import IntegrityError, RecloopError, is_retryable
from components.core.gates import gates_of, summary_of
from components.core.recipe import Recipe
from components.core.recipe.reading import read_recipe
from components.core.runs import Invocation, StageRecord, plan, read_record, record_place, write_record
from components.core.stage import StageSpec
from components.core.store import join, open_store
from dags import COMMENT, OVERRIDES, champion_of
from dags.announcements import agreed, events_of
from dags.runners.base import Runner, reason_of


class StageFailedError(Exception):
    """A stage ended without a result."""

    def __init__(self, reason: str, *, retryable: bool, gates: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(reason)
        self.retryable = retryable
        self.gates = gates


class StageOperator(BaseOperator):  # type: ignore[misc]  # Airflow's types are not checked here
    """Runs one stage where the recipe says: in a process, a container or a pod.

    What Airflow needs is here; the three places differ in their `Runner` alone. What the stage did is
    read from the record that its command leaves in the workspace: no runner has to carry it.

    Args:
        spec: the stage.
        recipe: path of the recipe; read anew with the run's parameters when the task starts.
        artifacts: artifact name → what the stage that made it returned (its `output`).

    Returns (XCom): `{"uri", "sha256", "metrics", "skipped", "gates", "pages"}` of the artifact; `gates` as
    `summary_of` has them, `pages` the URIs of what people read. Every outlet gets an event with the same as
    its extra; an `AssetAlias` among the outlets only when a model was promoted just now. Of a stage that
    failed, `gates` is an XCom of its own.

    Raises:
        AirflowFailException: a gate, the data or the recipe: a retry would only fail again.
        AirflowException: anything else; worth a retry.
    """

    template_fields: Collection[str] = ("artifacts",)
    ui_color = "#e3f2ec"

    def __init__(self, *, spec: StageSpec, recipe: str, artifacts: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec
        self.recipe = recipe
        self.artifacts = artifacts
        self._runner: Runner | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the stage, remember what it did, and announce its artifact."""
        started = datetime.now(UTC)
        try:
            recipe = self.read(context)
            invocation = self.plan(recipe, context)
        except RecloopError as error:
            raise AirflowFailException(str(error)) from None
        place = invocation.record
        try:
            result = self.run_stage(recipe, invocation, context)
        except StageFailedError as error:
            failed = StageRecord.failed(self.spec.name, str(error), started)
            self._remember(place, replace(failed, gates=error.gates))
            if error.gates:
                context["ti"].xcom_push("gates", self._tell(error.gates))
            kind = AirflowException if error.retryable else AirflowFailException
            raise kind(f"{self.spec.name}: {error}") from None
        except AirflowTaskTimeout:
            late = f"not done after {self.execution_timeout}"
            self._remember(place, StageRecord.failed(self.spec.name, late, started))
            raise
        value = {
            "uri": result.uri,
            "sha256": result.sha256,
            "metrics": dict(result.metrics or {}),
            "skipped": result.status == "skipped",
            "gates": self._tell(result.gates),
            "pages": self._pages(result.uri),
        }
        self._announce(recipe, context, value)
        return value

    def read(self, context: Context) -> Recipe:
        """The recipe of this run.

        Raises:
            RecloopError: it has mistakes.
        """
        return read_recipe(Path(self.recipe), overrides_of(context))

    def plan(self, recipe: Recipe, context: Context) -> Invocation:
        """What to run."""
        uris = {name: upstream["uri"] for name, upstream in self.artifacts.items()}
        place = record_place(recipe, context["run_id"], position_of(self.spec), self.spec.name)
        return plan(recipe, self.spec, uris, place)

    def run_stage(self, recipe: Recipe, invocation: Invocation, context: Context) -> StageRecord:
        """Run one stage to its end; what it did.

        Raises:
            StageFailedError: with the reason that the stage gave.
        """
        place, stage = invocation.record, invocation.spec.name
        try:
            _forget_failure(place)
            self._runner = choose_runner(recipe, self.log.info)
            ended = self._runner.run(invocation, context)
            record = read_record(place)
        except KeyboardInterrupt:  # a run in the foreground; Airflow would retry
            raise StageFailedError("interrupted", retryable=False) from None
        except RecloopError as error:
            raise StageFailedError(str(error), retryable=error.retryable) from None
        if ended.code != 0:
            own = record.error if record else ""  # none: killed, or the record is an earlier try's
            reason = f"{own} (exit code {ended.code})" if own else reason_of(stage, ended)
            gates = record.gates if record else ()
            raise StageFailedError(reason, retryable=is_retryable(ended.code), gates=gates)
        if record is None:
            raise StageFailedError(f"ended well, but left no record at {place}", retryable=True)
        return record

    def on_kill(self) -> None:
        """End the stage when Airflow ends the task."""
        if self._runner is not None:
            self._runner.stop()

    def _remember(self, place: str, record: StageRecord) -> None:
        try:
            write_record(place, record)
        except RecloopError as error:  # a failure to remember must not hide the failure
            self.log.warning("the run's record cannot be written: %s", error)

    def _tell(self, gates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A summary of what gates found; it stands in the task's log too, with those that spoke."""
        found = gates_of({"gates": gates})
        summary = summary_of(found)
        if found:
            counts = [f"{len(summary[outcome])} {outcome}" for outcome in ("warned", "held", "stopped")]
            self.log.info("gates: %d passed, %s", summary["passed"], ", ".join(counts))
        for gate in found:
            if not gate.passed:
                self.log.warning("gate %s: %s: %s", gate.outcome, gate.subject, gate.told or gate.name)
        return summary

    def _pages(self, uri: str) -> dict[str, str]:
        """What a stage has left for people, by name."""
        places = {"report": join(uri, "report.html"), "data_docs": f"{uri}.checks/data_docs/index.html"}
        try:
            found = {name: place for name, place in places.items() if open_store(place).exists(place)}
        except RecloopError as error:  # the artifact stands; these are only told
            self.log.warning("the stage's pages cannot be looked for: %s", error)
            found = {}
        for name, place in found.items():
            self.log.info("%s: %s", name, place)
        return found

    def _announce(self, recipe: Recipe, context: Context, value: dict[str, Any]) -> None:
        promoted = value["metrics"].get("promoted") == 1 and not value["skipped"]
        for outlet in self.outlets:
            if isinstance(outlet, AssetAlias):
                if promoted and outlet.name == champion_of(recipe.name):
                    context["outlet_events"][outlet].add(Asset(outlet.name), extra=value)
            else:
                context["outlet_events"][outlet].extra = value


def _forget_failure(place: str) -> None:
    """Drop an earlier try's record, unless it tells of success: the pod of a worker that died may have
    ended well meanwhile, and is not run again."""
    with contextlib.suppress(IntegrityError):
        record = read_record(place)
        if record is not None and record.status != "failed":
            return
    open_store(place).delete(place)


def choose_runner(recipe: Recipe, on_line: Callable[[str], None]) -> Runner:
    """The runner that the recipe names. Only the one in use is imported."""
    match recipe.orchestration.runner:
        case "process":
            from dags.runners.process import ProcessRunner

            return ProcessRunner(on_line)
        case "docker":
            from dags.runners.docker import DockerRunner

            return DockerRunner(recipe, on_line)
        case "kubernetes":
            from dags.runners.kubernetes import KubernetesRunner

            return KubernetesRunner(recipe)


def overrides_of(context: Context) -> list[str]:
    """The run's parameters as `key=value`: the recipe's, those that the announcement which triggered the run
    names in its extra, and free ones.

    Raises:
        InvalidInputError: announcements that became one run contradict each other.
    """
    params = dict(context["params"])
    free = params.pop(OVERRIDES, None) or []
    params.pop(COMMENT, None)
    params |= agreed(events_of(context), params)
    # a text stands as it is: quotes would become part of a text parameter
    return [
        f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in params.items()
    ] + list(free)
