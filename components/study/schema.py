"""A study: a grid of data, models, and where their negatives come from, in the form of AutoSample's §3."""

from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from components.core.recipe.search import Temperature
from components.core.recipe.training import Count, ModelConfig, NegativesConfig, Positive
from components.core.strategy import Config

Name = Annotated[str, Field(pattern=r"^[^\s/|@+][^/|@+]*$")]  # stands in tables and, made plain, in paths
Space = Annotated[tuple[Name, ...], Field(min_length=2)]


class StudyData(Config):
    """A data set: a recipe whose `source` and `prepare` make it."""

    recipe: str = Field(description="a recipe's name or file")
    set: dict[str, Any] = Field(default={}, description="its keys that are set anew, as by `--set`")


class Setting(Config):
    """Parts of the training section for some cells; of several that fit a cell the last counts."""

    data: tuple[Name, ...] = Field(default=(), description="for these data sets; none named: for all")
    models: tuple[Name, ...] = Field(default=(), description="for these models; none named: for all")
    methods: tuple[Name, ...] = Field(
        default=(), description="for these samplers, or AutoSample; none named: for all"
    )
    training: dict[str, Any] = Field(description="keys of the recipe's `training` section")


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
    """Appendix B.5: each value on its own grid, judged by validation alone."""

    methods: tuple[Name, ...] = Field(
        default=(),
        description="samplers, or AutoSample, that are tuned; the others take the first one's rates. None "
        "named: each is tuned",
    )
    learning_rates: Annotated[tuple[Positive, ...], Field(min_length=1)] = (3e-3, 1e-3, 3e-4, 1e-4)
    l2: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)] = (1e-2, 1e-3, 1e-4, 0.0)
    alpha_learning_rates: Annotated[tuple[Positive, ...], Field(min_length=1)] = (
        3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5,
    )  # fmt: skip
    trials: Count = Field(default=16, description="at most so many settings of each (data, model, method)")
    seed: int = Field(default=0, description="of the order of trials; also the one that trials train with")


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
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (1, 2, 3)
    k: Annotated[int, Field(ge=1)] = Field(default=20, description="of the metrics at K")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = list(self._unknown_names())
        if "AutoSample" in self.samplers:
            problems.append("samplers: 'AutoSample' is the name of what is compared with them")
        if self.candidates.size > len(self.candidates.names):
            problems.append(
                f"candidates.size: got {self.candidates.size}, need at most the number of candidates, "
                f"{len(self.candidates.names)}"
            )
        problems += [
            f"negatives: got {count}, need at most the number of candidates, {len(self.candidates.names)}"
            for count in self.negatives
            if count > len(self.candidates.names)
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _unknown_names(self) -> Iterator[str]:
        methods = [*self.samplers, "AutoSample"]
        asked = [
            ("candidates.names", self.candidates.names, list(self.samplers)),
            *((f"spaces.{place}", space, list(self.samplers)) for place, space in enumerate(self.spaces)),
            *(
                (f"settings.{place}.{field}", getattr(setting, field), allowed)
                for place, setting in enumerate(self.settings)
                for field, allowed in (
                    ("data", list(self.data)),
                    ("models", list(self.models)),
                    ("methods", methods),
                )
            ),
            ("tuning.methods", self.tuning.methods if self.tuning else (), methods),
        ]
        for place, names, allowed in asked:
            for name in names:
                if name not in allowed:
                    yield f"{place}: got {name!r}, need one of {allowed}"
        for name in {*self.candidates.names, *(name for space in self.spaces for name in space)}:
            if name in self.samplers and self.samplers[name].kind == "mixgcf":
                yield f"candidates: {name!r} makes embeddings, not items; AutoSample needs samplers of items"
