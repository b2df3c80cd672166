"""A study: a grid of data, models, and where their negatives come from, in the form of AutoSample's §3."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from components.core.errors import InvalidInputError
from components.core.recipe import default_workspace
from components.core.recipe.search import Temperature
from components.core.recipe.training import (
    GRAPH_MODELS,
    Count,
    Device,
    ModelConfig,
    NegativesConfig,
    NonNegative,
    Positive,
)
from components.core.strategy import Config

Name = Annotated[str, Field(pattern=r"^[^\s/|@+][^/|@+]*$")]  # stands in tables and, made plain, in paths
Seed = Annotated[int, Field(ge=0)]
Space = Annotated[tuple[Name, ...], Field(min_length=2)]
Rates = Annotated[tuple[Positive, ...], Field(min_length=1)]

AUTOSAMPLE: Final = "AutoSample"  # what is compared with samplers
STAGES_OF_AUTOSAMPLE: Final = ("search", "retrain")


class StudyData(Config):
    """A data set: a recipe whose `source` and `prepare` make it."""

    recipe: str = Field(description="a recipe's name or file")
    parameters: dict[str, Any] = Field(
        default={}, description="values of the recipe's parameters, as by `--set`"
    )


class CellTraining(Config):
    """What a cell's training may have of its own; the rest is what the study compares."""

    batch_size: Count | None = Field(default=None, description="positives in a step")
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
    methods: tuple[Name, ...] = Field(
        default=(), description="for these samplers, or AutoSample; none named: for all"
    )
    training: CellTraining = Field(description="of the recipe's section")


class Race(Config):
    """The cheaper rule for choosing candidates: all of them train for a few epochs, and the best on
    validation go on."""

    epochs: Count = Field(description="that each candidate trains")


class Candidates(Config):
    """Who may become a candidate of AutoSample's (§2.3.1: the T best)."""

    names: Space = Field(description="of samplers")
    size: Annotated[int, Field(ge=2)] = Field(default=2, description="T of the overall comparison")
    race: Race | None = Field(default=None, description="also choose them by a short race, and compare")


class AlphaSettings(Config):
    """What AutoSample needs besides its candidates."""

    learning_rate: Positive = Field(default=1e-2, description="Adam's, for α")
    temperature: Temperature = Temperature()
    straight_through: bool = True


class Tuning(Config):
    """Appendix B.5: rates on its grids, judged by validation alone.

    Learning rate and L2 are those of a sampler; AutoSample takes them from its best candidate, and tunes α's
    learning rate alone.
    """

    methods: tuple[Name, ...] = Field(
        default=(),
        description="samplers that are tuned; the others take the first one's rates. None named: each is",
    )
    learning_rates: Rates = (3e-3, 1e-3, 3e-4, 1e-4)
    l2: Annotated[tuple[NonNegative, ...], Field(min_length=1)] = (1e-2, 1e-3, 1e-4, 0.0)
    alpha_learning_rates: Rates = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
    seed: Seed = Field(default=0, description="that trials train with")


class Study(Config):
    """What `recloop study` runs. Read one with `components.study.reading.read_study`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")] = Field(
        description="names the folder of its results"
    )
    description: str = Field(default="", description="what is asked; Markdown, heads the page of results")
    workspace: str | None = Field(
        default=None,
        description="directory of all its artifacts and results; by default `studies` below "
        "$RECLOOP_WORKSPACE, else ./workspace",
    )
    data: Annotated[dict[Name, StudyData], Field(min_length=1)] = Field(
        description="by the names that the tables have for them"
    )
    models: Annotated[dict[Name, ModelConfig], Field(min_length=1)] = Field(
        description="by the names that the tables have for them"
    )
    samplers: Annotated[dict[Name, NegativesConfig], Field(min_length=1)] = Field(
        description="the baselines, by the names that the tables have for them"
    )
    candidates: Candidates
    autosample: AlphaSettings = AlphaSettings()
    negatives: tuple[Annotated[int, Field(ge=2)], ...] = Field(
        default=(),
        description="Table 4: candidates alone with so many negatives, AutoSample with so many candidates",
    )
    spaces: tuple[Space, ...] = Field(default=(), description="Table 5: sets of candidates to compare")
    random_start: bool = Field(
        default=False, description="Table 6: AutoSample's retraining also from random weights"
    )
    settings: tuple[Setting, ...] = Field(default=(), description="training sections, cell by cell")
    tuning: Tuning | None = Field(default=None, description="tune each cell's rates first")
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = Field(
        default=(1, 2, 3), description="that every cell trains with; the data's split is the recipe's own"
    )
    k: Annotated[int, Field(ge=1)] = Field(default=20, description="of the metrics at K")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [*self._unknown_names(), *self._repeated(), *self._unfit_candidates()]
        problems += [
            f"samplers: {name!r} is the name of something else in the tables"
            for name in (AUTOSAMPLE, *STAGES_OF_AUTOSAMPLE)
            if name in self.samplers
        ]
        most = len(self.candidates.names)
        asked = {"candidates.size": (self.candidates.size,), "negatives": self.negatives}
        problems += [
            f"{place}: got {count}, need at most the number of candidates, {most}"
            for place, counts in asked.items()
            for count in counts
            if count > most
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self

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

    def fits(self, sampler: str, model: str) -> bool:
        """Whether a model can train with a sampler."""
        return self.samplers[sampler].kind != "mixgcf" or self.models[model].kind in GRAPH_MODELS

    def _unknown_names(self) -> Iterator[str]:
        samplers, methods = list(self.samplers), [*self.samplers, AUTOSAMPLE]
        asked: list[tuple[str, Sequence[str], list[str]]] = [
            ("candidates.names", self.candidates.names, samplers),
            *((f"spaces.{place}", space, samplers) for place, space in enumerate(self.spaces)),
            ("tuning.methods", self.tuning.methods if self.tuning else (), samplers),
        ]
        for place, setting in enumerate(self.settings):
            asked += [
                (f"settings.{place}.data", setting.data, list(self.data)),
                (f"settings.{place}.models", setting.models, list(self.models)),
                (f"settings.{place}.methods", setting.methods, methods),
            ]
        for where, names, allowed in asked:
            for name in names:
                if name not in allowed:
                    yield f"{where}: got {name!r}, need one of {allowed}"

    def _repeated(self) -> Iterator[str]:
        asked = {"seeds": self.seeds, "negatives": self.negatives, "candidates.names": self.candidates.names}
        asked |= {f"spaces.{place}": space for place, space in enumerate(self.spaces)}
        for where, values in asked.items():
            if len(set(values)) < len(values):
                yield f"{where}: got {list(values)}, need each at most once"

    def _unfit_candidates(self) -> Iterator[str]:
        spaces = {"candidates.names": self.candidates.names}
        spaces |= {f"spaces.{place}": space for place, space in enumerate(self.spaces)}
        for where, space in spaces.items():
            kinds = [self.samplers[name].kind for name in space if name in self.samplers]
            if len(set(space)) == len(space) and len(set(kinds)) < len(kinds):
                yield f"{where}: got {list(space)} of kinds {kinds}, need each kind at most once"
            if "mixgcf" in kinds:
                yield f"{where}: a sampler of kind 'mixgcf' makes embeddings; AutoSample needs items"
        first = self.tuning.methods[0] if self.tuning and self.tuning.methods else None
        for model in self.models if first in self.samplers else ():
            if first and not self.fits(first, model):
                yield f"tuning.methods: got {first!r} first, whose rates others take: it must fit {model!r}"
