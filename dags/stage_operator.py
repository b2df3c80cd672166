"""One stage of a recipe as an Airflow task. Only URIs, hashes and metrics travel between tasks."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, AssetAlias, BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout

from components.catalog import STAGES
from components.core.errors import RecloopError, is_retryable
from components.core.recipe import Recipe
from components.core.recipe.reading import read_recipe
from components.core.runs import Invocation, StageRecord, plan, write_record
from components.core.stage import StageResult, StageSpec
from dags import OVERRIDES
from dags.stage_process import StageProcess, reason_of


class StageFailedError(Exception):
    """A stage ended without a result."""

    def __init__(self, reason: str, *, retryable: bool) -> None:
        super().__init__(reason)
        self.retryable = retryable


class StageOperator(BaseOperator):  # type: ignore[misc]  # Airflow's types are not checked here
    """Runs one stage as a child process of the task.

    What Airflow needs is all here; how a stage is run is `run_stage` and `on_kill` alone, so an operator
    for containers inherits this one and overrides the two.

    Args:
        spec: the stage.
        recipe: path of the recipe; read anew with the run's parameters when the task starts.
        artifacts: artifact name → what the stage that made it returned (its `output`).

    Returns (XCom): `{"uri", "sha256", "metrics", "skipped"}` of the artifact. Every outlet gets an event
    with the same as its extra; an `AssetAlias` among the outlets only when a model was promoted just now.

    Raises:
        AirflowFailException: a gate, the data or the recipe: a retry would only fail again.
        AirflowException: anything else; worth a retry.
    """

    template_fields = ("artifacts",)
    ui_color = "#e3f2ec"

    def __init__(self, *, spec: StageSpec, recipe: str, artifacts: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec
        self.recipe = recipe
        self.artifacts = artifacts
        self._process: StageProcess | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the stage, remember what it did, and announce its artifact."""
        started = datetime.now(UTC)
        try:
            recipe = read_recipe(Path(self.recipe), overrides_of(context))
        except RecloopError as error:
            raise AirflowFailException(str(error)) from None
        uris = {name: upstream["uri"] for name, upstream in self.artifacts.items()}
        try:
            result = self.run_stage(plan(recipe, self.spec, uris))
        except StageFailedError as error:
            self._remember(context, recipe, StageRecord.failed(self.spec.name, str(error), started))
            kind = AirflowException if error.retryable else AirflowFailException
            raise kind(f"{self.spec.name}: {error}") from None
        except AirflowTaskTimeout:
            late = f"not done after {self.execution_timeout}"
            self._remember(context, recipe, StageRecord.failed(self.spec.name, late, started))
            raise
        self._remember(context, recipe, StageRecord.of(result, started))
        value = {
            "uri": result.uri,
            "sha256": result.sha256,
            "metrics": dict(result.metrics),
            "skipped": result.skipped,
        }
        self._announce(context, value)
        return value

    def run_stage(self, invocation: Invocation) -> StageResult:
        """Run one stage to its end.

        Raises:
            StageFailedError: with the reason that the stage gave.
        """
        self._process = StageProcess(self.log.info)
        try:
            code, answer, errors = self._process.run(invocation.command(sys.executable))
        except KeyboardInterrupt:  # a run in the foreground; Airflow would retry
            raise StageFailedError("interrupted", retryable=False) from None
        if code != 0:
            reason = reason_of(invocation.spec.name, code, errors)
            raise StageFailedError(reason, retryable=is_retryable(code))
        return StageResult(**json.loads(answer))

    def on_kill(self) -> None:
        """End the stage when Airflow ends the task."""
        if self._process is not None:
            self._process.stop()

    def _remember(self, context: Context, recipe: Recipe, record: StageRecord) -> None:
        try:
            write_record(recipe, context["run_id"], STAGES.index(self.spec), record)
        except RecloopError as error:  # the artifact is what counts; it needs no record
            self.log.warning("the run's record cannot be written: %s", error)

    def _announce(self, context: Context, value: dict[str, Any]) -> None:
        for outlet in self.outlets:
            if isinstance(outlet, AssetAlias):
                if value["metrics"].get("promoted") == 1 and not value["skipped"]:
                    context["outlet_events"][outlet].add(Asset(outlet.name), extra=value)
            else:
                context["outlet_events"][outlet].extra = value


def overrides_of(context: Context) -> list[str]:
    """The run's parameters as `key=value`: the recipe's, those that the delivery which triggered the run
    names in its event's extra, and free ones."""
    params = dict(context["params"])
    free = params.pop(OVERRIDES, None) or []
    for events in (context.get("triggering_asset_events") or {}).values():
        for event in events:
            params |= {key: value for key, value in (event.extra or {}).items() if key in params}
    # a text stands as it is: quotes would become part of a text parameter
    return [
        f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in params.items()
    ] + list(free)
