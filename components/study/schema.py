"""A study: a grid of data, models, and where their negatives come from, in the form of AutoSample's §3."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from components.core.recipe.search import Temperature
from components.core.recipe.training import (
    GRAPH_MODELS,
    Count,
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
# what a cell may have of its own; the rest of the training section is what the study compares
_SETTINGS: Final = ("batch_size", "learning_rate", "l2", "epochs", "patience", "validate_every", "device")


class StudyData(Config):
    """A data set: a recipe whose `source` and `prepare` make it."""

    recipe: str = Field(description="a recipe's name or file")
    parameters: dict[str, Any] = Field(
        default={}, description="values of the recipe's parameters, as by `--set`"
    )


class Setting(Config):
    """Parts of the training section for some cells; of several that fit a cell the last counts."""

    data: tuple[Name, ...] = Field(default=(), description="for these data sets; none named: for all")
    models: tuple[Name, ...] = Field(default=(), description="for these models; none named: for all")
    methods: tuple[Name, ...] = Field(
        default=(), description="for these samplers, or AutoSample; none named: for all"
    )
    training: dict[str, Any] = Field(description=f"of the recipe's section: {', '.join(_SETTINGS)}")


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
    workspace: str = Field(default="studies", description="directory of all its artifacts and results")
    data: Annotated[dict[Name, StudyData], Field(min_length=1)]
    models: Annotated[dict[Name, ModelConfig], Field(min_length=1)]
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
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (1, 2, 3)
    k: Annotated[int, Field(ge=1)] = Field(default=20, description="of the metrics at K")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [*self._unknown_names(), *self._unfit_candidates(), *self._unfit_settings()]
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

    def _unfit_candidates(self) -> Iterator[str]:
        spaces = {"candidates.names": self.candidates.names}
        spaces |= {f"spaces.{place}": space for place, space in enumerate(self.spaces)}
        for where, space in spaces.items():
            kinds = [self.samplers[name].kind for name in space if name in self.samplers]
            if len(set(kinds)) < len(kinds):
                yield f"{where}: got {list(space)} of kinds {kinds}, need each kind at most once"
            if "mixgcf" in kinds:
                yield f"{where}: a sampler of kind 'mixgcf' makes embeddings; AutoSample needs items"
        first = self.tuning.methods[0] if self.tuning and self.tuning.methods else None
        for model in self.models if first in self.samplers else ():
            if first and not self.fits(first, model):
                yield f"tuning.methods: got {first!r} first, whose rates others take: it must fit {model!r}"

    def _unfit_settings(self) -> Iterator[str]:
        for place, setting in enumerate(self.settings):
            for key in setting.training:
                if key not in _SETTINGS:
                    yield f"settings.{place}.training: got {key!r}, need one of {list(_SETTINGS)}"
