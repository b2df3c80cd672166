"""Ranking: models, samplers, losses and the training section."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from components.core.recipe.sequences import (
    SEQUENCE_MODELS,
    Bert4Rec,
    Blocks,
    Caser,
    Gru4Rec,
    NextItNet,
    SasRec,
)
from components.core.recipe.training import (
    AnyRetrainParams,
    Count,
    EpochTraining,
    NonNegative,
    Positive,
)
from components.core.strategy import Strategy

MetricName = Annotated[str, Field(pattern=r"^(recall|ndcg|precision|hit_ratio)@[1-9][0-9]*$")]


# -- models ------------------------------------------------------------------------------------------


class MatrixFactorization(Strategy):
    """MF (Rendle et al. 2009): the inner product of a user's and an item's embedding."""

    implementation: ClassVar[str] = "components.rec.models.mf:MatrixFactorizationModel"
    kind: Literal["mf"] = "mf"
    dim: Count = Field(default=64, description="length of an embedding")
    init_std: Positive = Field(default=0.1, description="standard deviation of the initial embeddings")


class LightGcn(Strategy):
    """LightGCN (He et al. 2020): neighbours' embeddings averaged over `num_layers` hops."""

    implementation: ClassVar[str] = "components.rec.models.lightgcn:LightGcnModel"
    kind: Literal["lightgcn"] = "lightgcn"
    dim: Count = Field(default=64, description="length of an embedding")
    num_layers: Count = Field(default=3, description="hops of the propagation")
    init_std: Positive = Field(default=0.1, description="standard deviation of the initial embeddings")


class Ngcf(Strategy):
    """NGCF (Wang et al. 2019): hops with weights and interactions, layers concatenated."""

    implementation: ClassVar[str] = "components.rec.models.ngcf:NgcfModel"
    kind: Literal["ngcf"] = "ngcf"
    dim: Count = Field(default=64, description="length of an embedding before the first layer")
    init_std: Positive = Field(default=0.1, description="standard deviation of the initial embeddings")
    layer_dims: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        default=(64, 64, 64), description="width of each layer's output"
    )
    message_dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.1, description="share of a layer's output that is dropped in training"
    )
    normalize_layers: bool = Field(
        default=False, description="scale each layer's rows to length 1, as the official code does"
    )


GRAPH_MODELS = ("lightgcn", "ngcf")
ModelConfig = Annotated[
    MatrixFactorization | LightGcn | Ngcf | Gru4Rec | Caser | NextItNet | SasRec | Bert4Rec | Blocks,
    Field(discriminator="kind"),
]


# -- samplers (AutoSample, Table 2) --------------------------------------------------------------------


class UniformSampler(Strategy):
    """RNS: every unobserved item alike."""

    implementation: ClassVar[str] = "components.rec.samplers.uniform:Uniform"
    kind: Literal["uniform"] = "uniform"


class PopularitySampler(Strategy):
    """PNS: p(j) ∝ popularity(j) ** beta over the unobserved items."""

    implementation: ClassVar[str] = "components.rec.samplers.popularity:Popularity"
    kind: Literal["popularity"] = "popularity"
    beta: Annotated[float, Field(ge=0, le=4)] = Field(
        default=0.75, description="0 is uniform, 1 is proportional to popularity"
    )  # AutoSample B.3


class DnsSampler(Strategy):
    """DNS: the highest-scored of `pool_size` uniform unobserved items."""

    implementation: ClassVar[str] = "components.rec.samplers.dns:DynamicNegative"
    kind: Literal["dns"] = "dns"
    pool_size: Annotated[int, Field(ge=1, le=4096)] = Field(
        default=32, description="uniform candidates, of which the highest-scored is taken"
    )


class AobprSampler(Strategy):
    """AOBPR: p(j) ∝ exp(−rank(u, j) / lambda) over all unobserved items, rank 0 the highest score.

    `lambda` is in ranks; towards 0 it becomes the argmax of AutoSample's Appendix B.3.
    """

    implementation: ClassVar[str] = "components.rec.samplers.aobpr:AdaptiveOversampling"
    kind: Literal["aobpr"] = "aobpr"
    lambda_: Annotated[float, Field(ge=0, alias="lambda")] = Field(
        default=500.0, description="in ranks: about so many of a user's highest-scored items are drawn from"
    )
    ranks: Literal["exact", "factors"] = Field(
        default="exact",
        description="exact: all of a user's unobserved items are scored; factors: along one embedding "
        "dimension, drawn for each negative, as its authors do: cheap, far from exact",
    )
    kept: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=1,
        description="for exact: so many of a user's positives get their negatives from one ranking; more is "
        "cheaper, and the later ones come from older scores",
    )
    refresh: Annotated[float, Field(gt=0)] = Field(
        default=1.0,
        description="for factors: items are sorted again after so many times I ln I draws",
    )  # Rendle & Freudenthaler 2014, §4.3

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    @model_validator(mode="after")
    def _the_argmax_is_exact(self) -> Self:
        if self.lambda_ == 0 and self.ranks != "exact":
            raise ValueError("lambda is 0, the argmax, which needs `ranks: exact`")
        return self


class SrnsSampler(Strategy):
    """SRNS (Ding et al. 2020): of a memory of high-scored items the one whose score is high and varies."""

    implementation: ClassVar[str] = "components.rec.samplers.srns:RobustNegative"
    kind: Literal["srns"] = "srns"
    memory: Annotated[int, Field(ge=1, le=1024)] = Field(default=8, description="items kept for each user")
    num_fresh: Annotated[int, Field(ge=1, le=4096)] = Field(
        default=64, description="uniform items that compete for the memory whenever it is looked at"
    )
    temperature: Positive = Field(
        default=10.0, description="of the softmax over scores by which the memory is drawn anew"
    )
    alpha: NonNegative = Field(default=5.0, description="weight of the scores' deviation over five epochs")
    warmup: Count = Field(default=50, description="epochs until that weight is reached")
    # the authors' settings for MovieLens 1M


class MixGcfMixer(Strategy):
    """MixGCF (Huang et al. 2021): embeddings mixed from the positive's and from hops of hard items."""

    implementation: ClassVar[str] = "components.rec.samplers.mixgcf:HopMixing"
    kind: Literal["mixgcf"] = "mixgcf"
    num_candidates: Annotated[int, Field(ge=1, le=4096)] = Field(
        default=32, description="uniform items, of which each hop takes the highest-scored"
    )


AnySampler = UniformSampler | PopularitySampler | DnsSampler | AobprSampler | SrnsSampler
SamplerConfig = Annotated[AnySampler, Field(discriminator="kind")]
NegativesConfig = Annotated[AnySampler | MixGcfMixer, Field(discriminator="kind")]


STEPWISE_SAMPLERS = ("uniform", "popularity", "dns")  # look at a batch's users alone


# -- losses ----------------------------------------------------------------------------------------------


class BprLoss(Strategy):
    """BPR: −ln σ(positive − negative), AutoSample eq. 1."""

    implementation: ClassVar[str] = "components.rec.losses.bpr:Bpr"
    kind: Literal["bpr"] = "bpr"


class BceLoss(Strategy):
    """Sampled binary cross-entropy, AMER eq. 7: −ln σ(positive) − Σ ln(1 − σ(negative))."""

    implementation: ClassVar[str] = "components.rec.losses.bce:Bce"
    kind: Literal["bce"] = "bce"


LossConfig = Annotated[BprLoss | BceLoss, Field(discriminator="kind")]


# -- training --------------------------------------------------------------------------------------------


class RankingTraining(EpochTraining):
    """The `training` section of a recipe that ranks."""

    model: ModelConfig = Field(default=MatrixFactorization(), description="what is trained")
    sampler: NegativesConfig = Field(
        default=UniformSampler(), description="where negatives come from; a search may replace it"
    )
    loss: LossConfig = Field(default=BprLoss(), description="what compares positives with negatives")
    num_negatives: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=1, description="negatives for each positive"
    )
    l2: NonNegative = Field(
        default=1e-4, description="weight of ½‖·‖² of the batch's own embeddings, per positive"
    )
    metric: MetricName = Field(default="ndcg@20", description="what validation looks at, such as ndcg@20")

    @model_validator(mode="after")
    def _the_sampler_fits(self) -> Self:
        if self.sampler.kind == "mixgcf" and self.model.kind not in GRAPH_MODELS:
            raise ValueError(
                "sampler.kind is mixgcf, which mixes the hops of a graph: got model.kind "
                f"{self.model.kind!r}, need one of {', '.join(GRAPH_MODELS)}"
            )
        if self.reads_histories and self.sampler.kind not in STEPWISE_SAMPLERS:
            raise ValueError(
                f"sampler.kind: got {self.sampler.kind!r}, which looks at all users at every step, and "
                f"model.kind {self.model.kind!r} reads all histories for that; need one of "
                f"{', '.join(STEPWISE_SAMPLERS)}"
            )
        if self.sampler.kind == "srns" and self.num_negatives > self.sampler.memory:
            raise ValueError(
                f"num_negatives: got {self.num_negatives}, need at most sampler.memory, {self.sampler.memory}"
            )
        return self

    @property
    def reads_histories(self) -> bool:
        """Whether the model needs to know what came when."""
        return isinstance(self.model, SEQUENCE_MODELS)


class RetrainParams(AnyRetrainParams):
    """Parameters of the retrain stage of a recipe that ranks."""

    task: Literal["ranking"] = "ranking"
    training: RankingTraining
