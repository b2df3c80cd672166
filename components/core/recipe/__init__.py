"""A recipe: one frozen, validated description of a loop.

Sections follow the stages: `source`, `quality`, `prepare`, `search`, `training`, `evaluation`,
`promotion`, `registry`, `card`; `schedule`, `orchestration` and `notifications` say when and how it runs
and who is told.
"""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from components.core.errors import InvalidInputError
from components.core.recipe.card import Card
from components.core.recipe.judgement import (
    EvaluateParams,
    Evaluation,
    PromoteParams,
    Promotion,
    RegisterParams,
    Registry,
    holds_password,
)
from components.core.recipe.notification import Notification
from components.core.recipe.orchestration import ManualSchedule, Orchestration, Schedule
from components.core.recipe.prepare import Prepare, PrepareParams
from components.core.recipe.quality import DATASET_TABLES, Bound, Quality
from components.core.recipe.search import NoSearch, SearchConfig, SearchParams
from components.core.recipe.source import FilesSource, IngestParams, SessionsSource, Source, SyntheticSource
from components.core.recipe.training import RetrainParams, Training
from components.core.strategy import Config

__all__ = [
    "EvaluateParams",
    "Evaluation",
    "IngestParams",
    "Parameter",
    "PrepareParams",
    "PromoteParams",
    "Recipe",
    "RegisterParams",
    "RetrainParams",
    "SearchParams",
    "Training",
]

Scalar = bool | int | float | str


class Parameter(Config):
    """A value that a run may set anew; the recipe refers to it as `${name}`."""

    default: Scalar = Field(description="its value unless a run sets another")
    description: str = Field(default="", description="shown in the trigger form")


class Recipe(Config):
    """The whole recipe. Read one with `components.core.recipe.reading.read_recipe`."""

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
    task: Literal["ranking"] = Field(default="ranking", description="what the model is for")
    seed: Annotated[int, Field(ge=0)] = Field(default=2023, description="all randomness follows from it")
    workspace: str | None = Field(
        default=None,
        description="directory or s3:// prefix of all artifacts; by default "
        "$RECLOOP_WORKSPACE, else ./workspace",
    )
    source: Source = Field(description="where interactions come from")
    max_rejected_fraction: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.01, description="more unusable rows than this share stop the run"
    )
    quality: Quality = Field(default=Quality(), description="what data must be like to go on")
    prepare: Prepare = Prepare()
    search: SearchConfig = Field(
        default=NoSearch(), description="what is decided by a search before the model is trained"
    )
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    promotion: Promotion = Promotion()
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
        missing = sorted(
            metric
            for metric in {
                self.promotion.metric,
                *self.promotion.floors,
                *self.promotion.bounds,
                *(guardrail.metric for guardrail in self.promotion.guardrails),
            }
            if int(metric.partition("@")[2]) not in self.evaluation.ks
        )
        if missing:
            yield f"promotion: {missing} is never measured; evaluation.ks is {list(self.evaluation.ks)}"
        if self.workspace and "://" in self.workspace and not self.workspace.startswith(("s3://", "file://")):
            yield f"workspace: got {self.workspace!r}, need a directory or s3://"
        columns = self.source.columns if isinstance(self.source, FilesSource) else None
        split = self.prepare.split
        if (self._parts is not None) != (split.kind == "given"):
            yield (
                f"prepare.split.kind: got '{split.kind}', but source.parts is "
                f"{'not set' if self._parts is None else 'set'}; a source in parts goes with 'given'"
            )
        elif not self.has_validation:
            needs = "needs validation data; give prepare.split a valid part"
            if self.search.kind != "none":
                yield f"search.kind: got '{self.search.kind}', which {needs}"
            if self.training.warm_check is not None:
                yield f"training.warm_check: {needs}"
        if split.kind == "temporal" and isinstance(self.source, SessionsSource):
            yield "prepare.split.kind: got 'temporal', which needs timestamps; sessions have none"
        if split.kind == "temporal" and columns is not None and columns.timestamp is None:
            yield "prepare.split.kind: got 'temporal', which needs source.columns.timestamp"
        yield from self._unmeasurable()
        if self.prepare.min_rating is not None and (columns is None or columns.rating is None):
            yield f"prepare.min_rating: got {self.prepare.min_rating}, which needs source.columns.rating"
        each = self.schedule.each if self.schedule.kind == "asset" else None
        if each is not None and each not in self.parameters:
            yield f"schedule.each: got {each!r}, need one of the parameters {sorted(self.parameters)}"
        yield from self._out_of_reach()

    def _unmeasurable(self) -> Iterator[str]:
        """Bounds on measures of columns that the source has not."""
        source, quality = self.source, self.quality
        columns = source.columns if isinstance(source, FilesSource) else None
        if not isinstance(source, SyntheticSource) and (columns is None or columns.timestamp is None):
            for place, bound in {
                "delivery.age_s": quality.delivery.age_s,
                "previous.gap_s": quality.previous.gap_s,
                "champion.gap_s": quality.champion.gap_s,
            }.items():
                if bound != Bound():
                    yield f"quality.{place}: has a bound, which needs source.columns.timestamp"
        if quality.delivery.nulls != Bound() and (columns is None or not columns.features):
            yield "quality.delivery.nulls: has a bound, which needs source.columns.features"

    def _out_of_reach(self) -> Iterator[str]:
        """What stages cannot get at where the recipe has them run."""
        how = self.orchestration
        if how.runner == "kubernetes":
            beyond = "orchestration.runner: got 'kubernetes', whose pods cannot reach"
            if "://" not in self.workspace_uri:
                yield f"{beyond} the directory {self.workspace_uri!r}; name a workspace on s3://"
            for uri in map(absolute_uri, self.source.locations().values()):
                if "://" not in uri:
                    yield f"{beyond} the source {uri!r}; it must lie on s3://"
            if (self.registry.tracking_uri or "").startswith("sqlite:"):
                yield f"{beyond} the file {self.registry.tracking_uri!r}; need an MLflow server"
        if how.runner != "process" and self.training.device == "cuda":
            for stage, asked in how.resources.items():
                if stage in {"search", "retrain"} and asked.gpus == 0:
                    yield f"orchestration.resources.{stage}.gpus: got 0, but training.device is 'cuda'"

    @property
    def _parts(self) -> Collection[str] | None:
        return self.source.parts if isinstance(self.source, FilesSource) else None

    @property
    def has_validation(self) -> bool:
        """Whether prepare sets interactions aside for validation."""
        split = self.prepare.split
        if split.kind == "given":
            assert self._parts is not None
            return split.valid_fraction > 0 or "valid" in self._parts
        return split.kind == "leave_one_out" or split.ratio[1] > 0

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

    def stage_params(self) -> dict[str, Config]:
        """Stage name → its parameters."""
        registered = {"model": self.model_name, "tracking_uri": self.tracking_uri}
        return {
            "ingest": IngestParams(
                source=self.source,
                max_rejected_fraction=self.max_rejected_fraction,
                seed=self.seed,
                quality=self._quality_of("interactions"),
                deliveries=f"{self.workspace_uri}/{self.name}/interactions",
                **registered,
            ),
            "prepare": PrepareParams(
                **dict(self.prepare),
                seed=self.seed,
                expectations=self._quality_of(*DATASET_TABLES).expectations,
                vocabulary=self.quality.vocabulary,
                **registered,
            ),
            "search": SearchParams(search=self.search, training=self.training, seed=self.training_seed),
            "retrain": RetrainParams(training=self.training, seed=self.training_seed, **registered),
            "evaluate": EvaluateParams(
                evaluation=self.evaluation,
                promotion=self.promotion,
                device=self.training.device,
                seed=self.seed,
                **registered,
            ),
            "register": RegisterParams(
                experiment=self.name,
                policy=self.promotion.policy,
                ledger=ledgers_in(self.workspace_uri),
                **registered,
                recipe=self.document(),
            ),
        }

    def _quality_of(self, *tables: str) -> Quality:
        """The section with the expectations over some tables alone."""
        chosen = tuple(found for found in self.quality.expectations if found.table in tables)
        return self.quality.model_copy(update={"expectations": chosen})

    def document(self) -> dict[str, Any]:
        """The recipe as plain JSON values, defaults included."""
        return self.model_dump(mode="json")


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
