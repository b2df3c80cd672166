"""The search that decides parts of the training section."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from components.core.recipe.classification import (
    ALL_CANDIDATES,
    Candidates,
    ClassificationTraining,
    Controller,
    check_distinct,
)
from components.core.recipe.classification import ActivationName as MlpActivation
from components.core.recipe.ranking import (
    DnsSampler,
    PopularitySampler,
    RankingTraining,
    SamplerConfig,
    UniformSampler,
)
from components.core.recipe.sequences import LAYERS_WITHOUT_TARGET, ActivationName, LayerName, NormName
from components.core.recipe.stream import AutoEmb, Darts, Esapn, StreamTraining
from components.core.recipe.training import Count, EpochTraining, NonNegative, Positive, Training
from components.core.strategy import Config, Strategy, Unkeyed


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


class AutoLoss(Strategy):
    """AutoLoss: how much each loss counts for each example (eq. 8–13, Algorithm 1).

    Its baselines (§3.4) and ablations (§3.6) are settings of it, the baselines with `every: 1`: SLF has
    `batches: train`; DARTS `per_example: false` and `gumbel: false`; MeLU these and `lookahead` above 0. AL-2
    has `gumbel: false`.
    """

    implementation: ClassVar[str] = "components.rec.searchers.autoloss:search"
    kind: Literal["autoloss"] = "autoloss"
    losses: Candidates = Field(default=ALL_CANDIDATES, description="the candidates, each kind once")
    per_example: bool = Field(
        default=True,
        description="a controller weighs the losses by an example's label and prediction; false: "
        "weights that "
        "all examples share",
    )
    gumbel: bool = Field(default=True, description="draw weights (eq. 10), or take those of the controller")
    temperature: Temperature = Temperature()
    batches: Literal["valid", "train"] = Field(
        default="valid",
        description="which batches the controller learns from: its own, or those of the model",
    )
    lookahead: NonNegative = Field(
        default=0.0, description="ξ of eq. 13: the controller is judged after so long a step of the model"
    )
    every: Count = Field(default=7, description="f: training steps from one of the controller to the next")
    controller: Controller = Controller()
    controller_learning_rate: Positive = Field(default=1e-3, description="Adam's, for the controller")
    epochs: Count = Field(default=30, description="at most so many passes over the training data")
    patience: Count = Field(
        default=3, description="stop after so many validations without a better `training.metric`"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_distinct(self.losses)
        if self.batches == "train" and self.lookahead > 0:
            raise ValueError("lookahead: looks from a train batch to a validation batch; batches is 'train'")
        return self


class Bohb(Strategy):
    """BOHB (Falkner et al. 2018) over weights that all examples share: a tree-structured Parzen estimator
    proposes them, Hyperband says how many epochs each is worth."""

    implementation: ClassVar[str] = "components.rec.searchers.bohb:search"
    kind: Literal["bohb"] = "bohb"
    losses: Candidates = Field(default=ALL_CANDIDATES, description="the candidates, each kind once")
    trials: Count = Field(default=30, description="weights that are tried")
    min_epochs: Count = Field(default=1, description="of a trial that is ended first")
    epochs: Count = Field(default=9, description="of a trial that is never ended")
    reduction_factor: Annotated[int, Field(ge=2)] = Field(
        default=3, description="one of so many trials goes on to the next rung"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_distinct(self.losses)
        if self.min_epochs > self.epochs:
            raise ValueError(f"min_epochs: got {self.min_epochs}, need at most epochs, {self.epochs}")
        return self


class AutoFis(Strategy):
    """AutoFIS (Liu et al. 2020): which products of two fields DeepFM's factorization machine needs. Each has
    a weight, whose optimizer makes more and more of them zero; retraining keeps the others, and weighs them
    anew."""

    implementation: ClassVar[str] = "components.rec.searchers.autofis:search"
    kind: Literal["autofis"] = "autofis"
    learning_rate: Positive = Field(default=1.0, description="γ: that of the weights")
    strength: NonNegative = Field(default=5e-4, description="c: how soon weights become zero; 0 keeps all")
    growth: Annotated[float, Field(gt=0, lt=2)] = Field(
        default=0.8, description="μ: how what makes them zero grows with the steps, above ½ in its theory"
    )
    epochs: Count = Field(default=10, description="passes over the training data")


class FineTune(Config):
    """How a child goes on from the shared weights."""

    learning_rate: Positive = Field(default=1e-6, description="Adam's")  # AMER §3.2
    epochs: Count = Field(default=10, description="of each child")


def _check_choices(choices: Mapping[str, Sequence[object]]) -> None:
    for name, options in choices.items():
        if len(set(options)) < len(options):
            raise ValueError(f"{name}: got {list(options)}, need each at most once")


def _check_top(top: int, children: int) -> None:
    if top > children:
        raise ValueError(f"top: got {top}, need at most children, {children}")


class BlocksSearch(Config):
    """AMER's step 1 (§2.3): which residual blocks read histories best. One model holds the weights of all
    choices; random children are looked at on them, and the best fine-tuned."""

    num_blocks: Count = Field(default=6, description="residual blocks; those of layer `zero` are passed by")
    norms: Annotated[tuple[NormName, ...], Field(min_length=1)] = Field(
        default=get_args(NormName), description="normalisations to choose from"
    )
    layers: Annotated[tuple[LayerName, ...], Field(min_length=1)] = Field(
        default=LAYERS_WITHOUT_TARGET, description="layers to choose from"
    )
    activations: Annotated[tuple[ActivationName, ...], Field(min_length=1)] = Field(
        default=get_args(ActivationName), description="activations to choose from"
    )
    learning_rate: Positive = Field(default=1e-3, description="of the shared weights; one cosine to zero")
    epochs: Count = Field(default=100, description="passes of the one-shot training")
    patience: Count = Field(
        default=10, description="it ends after so many validations without a better mean of the probes"
    )
    probes: Count = Field(default=8, description="children whose mean says how good the shared weights are")
    children: Count = Field(default=2000, description="random children that are looked at")
    top: Count = Field(default=5, description="children that are fine-tuned")
    fine_tune: FineTune = FineTune()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_choices({"norms": self.norms, "layers": self.layers, "activations": self.activations})
        _check_top(self.top, self.children)
        return self


class AmerForSequences(BlocksSearch, Strategy):
    """AMER's step 1 (§2.3) for models that rank: which residual blocks read histories best."""

    implementation: ClassVar[str] = "components.rec.searchers.amer.sequences:search"
    kind: Literal["amer"] = "amer"
    users: Count = Field(default=1024, description="with interactions in valid, by whom they are looked at")

    @model_validator(mode="after")
    def _has_no_target(self) -> Self:
        if "target" in self.layers:
            raise ValueError("layers: got 'target', but a model that ranks reads a history without one")
        return self


class HistorySearch(BlocksSearch):
    """AMER's step 1 (§2.3) for hybrid data: which residual blocks read the histories beside the fields, under
    the recipe's MLP."""

    num_blocks: Count = Field(default=3, description="residual blocks; those of layer `zero` are passed by")
    layers: Annotated[tuple[LayerName, ...], Field(min_length=1)] = Field(
        default=get_args(LayerName), description="layers to choose from"
    )
    epochs: Count = Field(default=15, description="passes of the one-shot training")  # AMER §3.2, Alimama
    patience: Count = Field(
        default=3, description="it ends after so many validations without a better mean of the probes"
    )
    fine_tune: FineTune = FineTune(learning_rate=1e-4, epochs=5)


class MlpSearch(Config):
    """AMER's step 3 (§2.3): how wide the MLP's layers are, and their activations; it has as many layers as
    that of the recipe. Children are parts of one MLP whose layers are as wide as its input. They have no
    batch normalisation, whatever the recipe says: its statistics would be those of all children."""

    shares: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = Field(
        default=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        description="of the MLP's input, that a layer may be wide; no layer is wider than the one before",
    )
    activations: Annotated[tuple[MlpActivation, ...], Field(min_length=1)] = Field(
        default=get_args(MlpActivation), description="activations to choose from"
    )
    epochs: Count = Field(default=10, description="passes of the one-shot training")
    learning_rate: Positive = Field(default=1e-3, description="of the shared weights, Adam's")
    children: Count = Field(default=2000, description="random children that are looked at")
    top: Count = Field(default=5, description="children that are fine-tuned")
    fine_tune: FineTune = FineTune(learning_rate=1e-3, epochs=5)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_choices({"shares": self.shares, "activations": self.activations})
        _check_top(self.top, self.children)
        return self


StepName = Literal["history", "interactions", "mlp"]


class AmerForFields(Strategy):
    """AMER's three steps (§2.3). Which blocks read histories. Which interactions of fields are worth
    something: round after round those that did best are crossed with every field, and trained together on
    shared weights. Then which MLP."""

    implementation: ClassVar[str] = "components.rec.searchers.amer.fields:search"
    kind: Literal["amer"] = "amer"
    steps: Annotated[tuple[StepName, ...], Field(min_length=1)] = Field(
        default=("interactions", "mlp"), description="what is searched; the recipe decides the rest"
    )
    blocks: HistorySearch = Field(default=HistorySearch(), description="of the step `history`")
    rounds: Count = Field(default=4, description="an interaction has at most one field more than rounds")
    keep: Count = Field(default=50, description="interactions that go on to the next round")
    chosen: Count = Field(default=15, description="interactions that the policy has")
    epochs: Count = Field(default=30, description="passes over the training data, of all rounds together")
    learning_rate: Positive = Field(default=1e-4, description="Adam's, while it searches")
    examples: Count = Field(
        default=10_000, description="of valid, by which children and interactions are looked at"
    )
    mlp: MlpSearch = Field(default=MlpSearch(), description="of the step `mlp`")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        order = get_args(StepName)
        if sorted(set(self.steps), key=order.index) != list(self.steps):
            raise ValueError(f"steps: got {list(self.steps)}, need some of {list(order)} in this order")
        if self.chosen > self.keep:
            raise ValueError(f"chosen: got {self.chosen}, need at most keep, {self.keep}")
        if self.epochs < self.rounds:
            raise ValueError(f"epochs: got {self.epochs}, need at least one for each of {self.rounds} rounds")
        return self


class FromPolicy(Strategy):
    """No search: the policy of another one, of another model or other data, is taken as it is (§3.5 of
    AutoLoss). What it decided is frozen; its weights W′ stay where they are."""

    implementation: ClassVar[str] = "components.search.taking:take"
    kind: Literal["policy"] = "policy"
    uri: Annotated[str, Unkeyed()] = Field(description="of a finished policy artifact")


SearchConfig = Annotated[NoSearch | AutoSample | AmerForSequences | FromPolicy, Field(discriminator="kind")]
StreamSearch = Annotated[NoSearch | Esapn | Darts | AutoEmb | FromPolicy, Field(discriminator="kind")]
ClassifierSearch = Annotated[
    NoSearch | AutoLoss | Bohb | AmerForFields | AutoFis | FromPolicy, Field(discriminator="kind")
]


class AnySearchParams(Config):
    """Parameters of the search stage."""

    search: Strategy
    training: Training
    seed: int


class AnySearchInEpochsParams(AnySearchParams):
    """Of a task whose models pass their data many times."""

    training: EpochTraining

    def identity(self) -> dict[str, Any]:
        """Without what only retraining reads, so that changing it does not search again."""
        document = super().identity()
        for key in ("warm_start", "warm_scale", "new_rows", "warm_check", "epochs", "patience"):
            del document["training"][key]
        return document


class SearchParams(AnySearchInEpochsParams):
    """Parameters of the search stage of a recipe that ranks."""

    task: Literal["ranking"] = "ranking"
    search: SearchConfig
    training: RankingTraining


class SearchForClassifierParams(AnySearchInEpochsParams):
    """Parameters of the search stage of a recipe that classifies."""

    task: Literal["classification"] = "classification"
    search: ClassifierSearch
    training: ClassificationTraining


class SearchForStreamParams(AnySearchParams):
    """Parameters of the search stage of a recipe that follows a stream."""

    task: Literal["stream"] = "stream"
    search: StreamSearch
    training: StreamTraining
    model: Annotated[str, Unkeyed()] = Field(description="whose champion to go on from")
    tracking_uri: Annotated[str, Unkeyed()] = Field(description="where that champion is registered")
