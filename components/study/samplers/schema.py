"""A study of samplers: a grid of data, models, and where their negatives come from, in the form of
AutoSample's §3."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from components.core.recipe.ranking import GRAPH_MODELS, ModelConfig, NegativesConfig
from components.core.recipe.search import Temperature
from components.core.recipe.training import Count, NonNegative, Positive
from components.core.strategy import Config
from components.study.schema import Asked, Name, Seed, Study

Space = Annotated[tuple[Name, ...], Field(min_length=2)]
Rates = Annotated[tuple[Positive, ...], Field(min_length=1)]

AUTOSAMPLE: Final = "AutoSample"  # what is compared with samplers
STAGES_OF_AUTOSAMPLE: Final = ("search", "retrain")


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


class SamplersStudy(Study):
    """Samplers alone, and AutoSample's searches among them."""

    compares: Literal["samplers"] = Field(default="samplers", description="what its methods are")
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
    tuning: Tuning | None = Field(default=None, description="tune each cell's rates first")
    k: Annotated[int, Field(ge=1)] = Field(default=20, description="of the metrics at K")

    @property
    def methods_compared(self) -> Sequence[str]:
        return [*self.samplers, AUTOSAMPLE]

    def fits(self, sampler: str, model: str) -> bool:
        """Whether a model can train with a sampler."""
        return self.samplers[sampler].kind != "mixgcf" or self.models[model].kind in GRAPH_MODELS

    def _contradictions(self) -> Iterator[str]:
        yield from super()._contradictions()
        yield from self._unfit_candidates()
        for name in (AUTOSAMPLE, *STAGES_OF_AUTOSAMPLE):
            if name in self.samplers:
                yield f"samplers: {name!r} is the name of something else in the tables"
        most = len(self.candidates.names)
        asked = {"candidates.size": (self.candidates.size,), "negatives": self.negatives}
        for place, counts in asked.items():
            for count in counts:
                if count > most:
                    yield f"{place}: got {count}, need at most the number of candidates, {most}"

    def _spaces(self) -> dict[str, Space]:
        """Every set of candidates, by where it stands."""
        spaces = {f"spaces.{place}": space for place, space in enumerate(self.spaces)}
        return {"candidates.names": self.candidates.names, **spaces}

    def _names(self) -> Iterator[Asked]:
        yield from super()._names()
        for where, space in self._spaces().items():
            yield where, space, list(self.samplers)
        if self.tuning:
            yield "tuning.methods", self.tuning.methods, list(self.samplers)

    def _once(self) -> dict[str, Sequence[Any]]:
        return {**super()._once(), "negatives": self.negatives, **self._spaces()}

    def _unfit_candidates(self) -> Iterator[str]:
        for where, space in self._spaces().items():
            kinds = [self.samplers[name].kind for name in space if name in self.samplers]
            if len(set(space)) == len(space) and len(set(kinds)) < len(kinds):
                yield f"{where}: got {list(space)} of kinds {kinds}, need each kind at most once"
            if "mixgcf" in kinds:
                yield f"{where}: a sampler of kind 'mixgcf' makes embeddings; AutoSample needs items"
        first = self.tuning.methods[0] if self.tuning and self.tuning.methods else None
        for model in self.models if first in self.samplers else ():
            if first and not self.fits(first, model):
                yield f"tuning.methods: got {first!r} first, whose rates others take: it must fit {model!r}"
