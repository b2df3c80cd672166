"""What studies of all kinds share: data, models, methods that are compared, and seeds."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from components.core.errors import InvalidInputError
from components.core.recipe.base import default_workspace
from components.core.recipe.training import Count, Device, NonNegative, Positive
from components.core.strategy import Config

Name = Annotated[str, Field(pattern=r"^[^\s/|@+][^/|@+]*$")]  # stands in tables and, made plain, in paths
Seed = Annotated[int, Field(ge=0)]
Asked = tuple[str, Sequence[str], Sequence[str]]  # where names stand, the names, and those that there are


class StudyData(Config):
    """A data set: a recipe whose `source` and `prepare` make it."""

    recipe: str = Field(description="a recipe's name or file")
    parameters: dict[str, Any] = Field(
        default={}, description="values of the recipe's parameters, as by `--set`"
    )


class CellTraining(Config):
    """What a cell's training may have of its own; the rest is what the study compares."""

    batch_size: Count | None = Field(default=None, description="positives or examples in a step")
    learning_rate: Positive | None = Field(default=None, description="Adam's")
    l2: NonNegative | None = Field(default=None, description="weight of ½‖·‖² of the batch's embeddings")
    epochs: Count | None = Field(default=None, description="at most so many, of search and training each")
    patience: Count | None = Field(default=None, description="validations without a better one, then it ends")
    validate_every: Count | None = Field(default=None, description="epochs between validations")
    device: Device | None = Field(default=None, description="auto takes a GPU where there is one")


class Setting(Config):
    """Parts of the training section for some cells; of several that fit a cell the last counts."""

    data: tuple[Name, ...] = Field(default=(), description="for these data sets; none named: for all")
    models: tuple[Name, ...] = Field(default=(), description="for these models; none named: for all")
    methods: tuple[Name, ...] = Field(default=(), description="for these methods; none named: for all")
    training: CellTraining = Field(description="of the recipe's section")


class Study(Config, ABC):
    """What `recloop study` runs; each kind has one of its own. Read one with
    `components.study.reading.read_study`.

    Attributes:
        compares, models: narrowed by the kind.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")] = Field(
        description="names the folder of its results"
    )
    description: str = Field(default="", description="what is asked; Markdown, heads the page of results")
    compares: str
    workspace: str | None = Field(
        default=None,
        description="directory of all its artifacts and results; by default `studies` below "
        "$RECLOOP_WORKSPACE, else ./workspace",
    )
    data: Annotated[dict[Name, StudyData], Field(min_length=1)] = Field(
        description="by the names that the tables have for them"
    )
    models: Mapping[str, Config]
    settings: tuple[Setting, ...] = Field(default=(), description="training sections, cell by cell")
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = Field(
        default=(1, 2, 3), description="that every cell trains with; the data's split is the recipe's own"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = list(self._contradictions())
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    @abstractmethod
    def methods_compared(self) -> Sequence[str]:
        """The names of all methods, as settings have them."""

    def model_section(self, name: str) -> dict[str, Any]:
        """The recipe's `training.model` of a model."""
        return self.models[name].model_dump(mode="json")

    @property
    def folder(self) -> Path:
        """The workspace.

        Raises:
            InvalidInputError: it is no directory of this machine.
        """
        workspace = self.workspace or f"{default_workspace()}/studies"
        if "://" in workspace:
            raise InvalidInputError(f"workspace: got {workspace}, need a directory of this machine")
        return Path(workspace).expanduser().absolute()

    def _contradictions(self) -> Iterator[str]:
        """What sections say against each other, one line each."""
        for where, names, known in self._names():
            for name in names:
                if name not in known:
                    yield f"{where}: got {name!r}, need one of {list(known)}"
        for where, values in self._once().items():
            if len(set(values)) < len(values):
                yield f"{where}: got {list(values)}, need each at most once"

    def _names(self) -> Iterator[Asked]:
        """Every place where something is named that stands elsewhere."""
        for place, setting in enumerate(self.settings):
            yield f"settings.{place}.data", setting.data, list(self.data)
            yield f"settings.{place}.models", setting.models, list(self.models)
            yield f"settings.{place}.methods", setting.methods, self.methods_compared

    def _once(self) -> dict[str, Sequence[Any]]:
        """Every place where nothing may stand twice."""
        return {"seeds": self.seeds}
