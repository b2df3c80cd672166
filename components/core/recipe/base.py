"""What recipes of all tasks share."""

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from components.core.errors import InvalidInputError
from components.core.recipe.card import Card
from components.core.recipe.example_quality import ExampleQuality
from components.core.recipe.judgement import (
    Evaluation,
    Promotion,
    RegisterParams,
    Registry,
    Task,
    holds_password,
)
from components.core.recipe.notification import Notification
from components.core.recipe.orchestration import ManualSchedule, Orchestration, Schedule
from components.core.recipe.quality import Expectation, Quality
from components.core.recipe.search import FromPolicy
from components.core.recipe.training import Training
from components.core.strategy import Config, Strategy

Scalar = bool | int | float | str


class Parameter(Config):
    """A value that a run may set anew; the recipe refers to it as `${name}`."""

    default: Scalar = Field(description="its value unless a run sets another")
    description: str = Field(default="", description="shown in the trigger form")


class Recipe(Config, ABC):
    """The whole recipe; each task has one of its own. Read one with
    `components.core.recipe.reading.read_recipe`.

    Attributes:
        task, source, quality, search, training, evaluation, promotion: narrowed by the task.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")] = Field(
        description="names the workspace's folder, the DAG and, by default, the registered model"
    )
    description: str = Field(
        default="", description="what this loop is for; Markdown, shown as the DAG's documentation"
    )
    parameters: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Parameter] = Field(
        default={},
        description="values that a run may set anew; `${name}` stands for them",
    )
    task: Task
    seed: Annotated[int, Field(ge=0)] = Field(default=2023, description="all randomness follows from it")
    workspace: str | None = Field(
        default=None,
        description="directory or s3:// prefix of all artifacts; by default "
        "$RECLOOP_WORKSPACE, else ./workspace",
    )
    source: Any
    max_rejected_fraction: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.01, description="more unusable rows than this share stop the run"
    )
    quality: Quality | ExampleQuality
    prepare: Any
    search: Strategy
    training: Training
    evaluation: Evaluation
    promotion: Promotion
    registry: Registry = Registry()
    card: Card = Field(default=Card(), description="what model cards say beside what the run found")
    schedule: Schedule = Field(default=ManualSchedule(), description="when an orchestrator runs it")
    orchestration: Orchestration = Orchestration()
    notifications: tuple[Notification, ...] = Field(
        default=(), description="who is told, through Airflow's notifiers"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = list(self._contradictions())
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _contradictions(self) -> Iterator[str]:
        """What two sections say against each other, one line each."""
        if self.workspace and "://" in self.workspace and not self.workspace.startswith(("s3://", "file://")):
            yield f"workspace: got {self.workspace!r}, need a directory or s3://"
        each = self.schedule.each if self.schedule.kind == "asset" else None
        if each is not None and each not in self.parameters:
            yield f"schedule.each: got {each!r}, need one of the parameters {sorted(self.parameters)}"
        tables = self.tables()
        for place, expectation in enumerate(self.quality.expectations):
            if expectation.table not in tables:
                yield (
                    f"quality.expectations.{place}.table: got {expectation.table!r}, need one of "
                    f"{list(tables)}"
                )
        yield from self._out_of_reach()

    def _out_of_reach(self) -> Iterator[str]:
        """What stages cannot get at where the recipe has them run."""
        how = self.orchestration
        if how.runner == "kubernetes":
            beyond = "orchestration.runner: got 'kubernetes', whose pods cannot reach"
            if "://" not in self.workspace_uri:
                yield f"{beyond} the directory {self.workspace_uri!r}; name a workspace on s3://"
            for name, uri in self.locations().items():
                if "://" not in uri:
                    what = "policy" if name == "policy" else "source"
                    yield f"{beyond} the {what} {uri!r}; it must lie on s3://"
            if (self.registry.tracking_uri or "").startswith("sqlite:"):
                yield f"{beyond} the file {self.registry.tracking_uri!r}; need an MLflow server"
        if how.runner != "process" and self.training.device == "cuda":
            for stage, asked in how.resources.items():
                if stage in {"search", "retrain"} and asked.gpus == 0:
                    yield f"orchestration.resources.{stage}.gpus: got 0, but training.device is 'cuda'"

    @abstractmethod
    def tables(self) -> Collection[str]:
        """The tables that expectations may look at."""

    def locations(self) -> dict[str, str]:
        """Input name → absolute URI or pattern of what stages read from outside: the source, and the policy
        where the recipe names one."""
        places = dict(self.source.locations())
        if isinstance(self.search, FromPolicy):
            places["policy"] = self.search.uri
        return {name: absolute_uri(place) for name, place in places.items()}

    @property
    def workspace_uri(self) -> str:
        """Where artifacts go: absolute, without a trailing slash."""
        return absolute_uri(self.workspace).rstrip("/") if self.workspace else default_workspace()

    @property
    def tracking_uri(self) -> str:
        """The MLflow server, or SQLite beside the artifacts."""
        return self.registry.tracking_uri or default_tracking_uri(self.workspace_uri)

    @property
    def model_name(self) -> str:
        """Name of the registered model."""
        return self.registry.model or self.name

    @property
    def training_seed(self) -> int:
        """Of search and training."""
        return self.seed if self.training.seed is None else self.training.seed

    @abstractmethod
    def stage_params(self) -> dict[str, Config]:
        """Stage name → its parameters."""

    @property
    def _registered(self) -> dict[str, str]:
        return {"model": self.model_name, "tracking_uri": self.tracking_uri}

    def _common_params(self) -> dict[str, Mapping[str, Any]]:
        """What the parameters of a stage hold whatever the task."""
        registered = self._registered
        return {
            "ingest": {
                "source": self.source,
                "max_rejected_fraction": self.max_rejected_fraction,
                "seed": self.seed,
                "deliveries": f"{self.workspace_uri}/{self.name}/interactions",
                **registered,
            },
            "prepare": {**dict(self.prepare), "seed": self.seed, **registered},
            "search": {"search": self.search, "training": self.training, "seed": self.training_seed},
            "retrain": {"training": self.training, "seed": self.training_seed, **registered},
            "evaluate": {
                "evaluation": self.evaluation,
                "promotion": self.promotion,
                "device": self.training.device,
                "seed": self.seed,
                **registered,
            },
        }

    def _register_params(self) -> RegisterParams:
        return RegisterParams(
            task=self.task,
            experiment=self.name,
            policy=self.promotion.policy,
            ledger=ledgers_in(self.workspace_uri),
            **self._registered,
            recipe=self.document(),
        )

    def document(self) -> dict[str, Any]:
        """The recipe as plain JSON values, defaults included."""
        return self.model_dump(mode="json")


def expectations_of(quality: Quality | ExampleQuality, *tables: str) -> tuple[Expectation, ...]:
    """The section's own expectations over some tables."""
    return tuple(found for found in quality.expectations if found.table in tables)


def default_workspace() -> str:
    """Where artifacts of a recipe go that does not say it."""
    return absolute_uri(os.environ.get("RECLOOP_WORKSPACE") or "workspace").rstrip("/")


def ledgers_in(workspace: str) -> str:
    """Where the ledgers of models lie that were registered from a workspace."""
    return f"{workspace}/ledgers"


def default_tracking_uri(workspace: str) -> str:
    """The MLflow that a recipe uses which does not name one.

    Raises:
        InvalidInputError: there is none, since SQLite cannot lie in S3; or it holds a password.
    """
    named = os.environ.get("MLFLOW_TRACKING_URI")
    if named and holds_password(named):
        raise InvalidInputError(
            "MLFLOW_TRACKING_URI: holds a password, which would stand in command lines and manifests; name "
            "an MLflow server there, and put user and password into MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD"
        )
    if not named and "://" in workspace:
        raise InvalidInputError(
            f"registry.tracking_uri: missing, and {workspace} cannot hold SQLite; "
            "name an MLflow server there or in MLFLOW_TRACKING_URI"
        )
    return named or f"sqlite:///{workspace}/mlflow.db"


def absolute_uri(place: str) -> str:
    """`place` as it is if it has a scheme, else absolute under $RECLOOP_HOME (or the working directory)."""
    place = place.removeprefix("file://")
    if "://" in place:
        return place
    return str(Path(os.environ.get("RECLOOP_HOME", ".")).absolute() / Path(place).expanduser())
