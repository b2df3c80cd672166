"""The search that decides parts of the training section."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from components.core.recipe.training import (
    Count,
    DnsSampler,
    PopularitySampler,
    Positive,
    SamplerConfig,
    Training,
    UniformSampler,
)
from components.core.strategy import Config, Strategy


class Temperature(Config):
    """τ(t) = max(minimum, start − rate · t) at training step t (AutoLoss §3.3)."""

    start: Positive = Field(default=1.0, description="τ before the first step")
    rate: Annotated[float, Field(ge=0)] = Field(default=5e-5, description="decrease per training step")
    minimum: Positive = Field(default=0.01, description="τ stays at least this")

    def at(self, step: int) -> float:
        """τ at training step `step`, counted from 0."""
        return max(self.minimum, self.start - self.rate * step)


class NoSearch(Strategy):
    """Nothing is searched: the policy is the training section as it stands."""

    implementation: ClassVar[str] = "components.rec.searchers.none:search"
    kind: Literal["none"] = "none"


class AutoSample(Strategy):
    """AutoSample: which negative sampler fits this model on this data (eq. 9–12, Algorithm 1)."""

    implementation: ClassVar[str] = "components.rec.searchers.autosample:search"
    kind: Literal["autosample"] = "autosample"
    samplers: Annotated[tuple[SamplerConfig, ...], Field(min_length=2)] = Field(
        default=(UniformSampler(), PopularitySampler(), DnsSampler()),
        description="the candidates, each kind once",
    )
    alpha_learning_rate: Positive = Field(default=1e-2, description="Adam's, for the samplers' logits α")
    temperature: Temperature = Temperature()
    straight_through: bool = Field(
        default=True, description="eq. 10 forward and eq. 11 backward; false: eq. 11 in both"
    )
    epochs: Count = Field(default=50, description="at most so many passes over the positives")
    patience: Count = Field(
        default=10, description="stop after so many validations without a better `training.metric`"
    )

    @field_validator("samplers")
    @classmethod
    def _distinct(cls, samplers: tuple[SamplerConfig, ...]) -> tuple[SamplerConfig, ...]:
        kinds = [sampler.kind for sampler in samplers]
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"got {kinds}, need each kind at most once")
        return samplers


SearchConfig = Annotated[NoSearch | AutoSample, Field(discriminator="kind")]


class SearchParams(Config):
    """Parameters of the search stage."""

    search: SearchConfig
    training: Training
    seed: int

    def identity(self) -> dict[str, Any]:
        """Without what only retraining reads, so that changing it does not search again."""
        document = super().identity()
        for key in ("warm_start", "warm_scale", "new_rows", "warm_check", "epochs", "patience"):
            del document["training"][key]
        return document
