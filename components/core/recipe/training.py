"""What is trained and how: the section that a search patches."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from components.core.strategy import Config, Strategy

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
MetricName = Annotated[str, Field(pattern=r"^(recall|ndcg|precision|hit_ratio)@[1-9][0-9]*$")]


# -- models ------------------------------------------------------------------------------------------


class MatrixFactorization(Strategy):
    """MF (Rendle et al. 2009): the inner product of a user's and an item's embedding."""

    implementation: ClassVar[str] = "components.rec.models.mf:MatrixFactorizationModel"
    kind: Literal["mf"] = "mf"
    dim: Count = 64
    init_std: Positive = 0.1


class LightGcn(Strategy):
    """LightGCN (He et al. 2020): neighbours' embeddings averaged over `num_layers` hops."""

    implementation: ClassVar[str] = "components.rec.models.lightgcn:LightGcnModel"
    kind: Literal["lightgcn"] = "lightgcn"
    dim: Count = 64
    num_layers: Count = 3
    init_std: Positive = 0.1


class Ngcf(Strategy):
    """NGCF (Wang et al. 2019): hops with weights and interactions, layers concatenated."""

    implementation: ClassVar[str] = "components.rec.models.ngcf:NgcfModel"
    kind: Literal["ngcf"] = "ngcf"
    dim: Count = 64
    init_std: Positive = 0.1
    layer_dims: Annotated[tuple[Count, ...], Field(min_length=1)] = (64, 64, 64)
    message_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    normalize_layers: bool = Field(
        default=False, description="scale each layer's rows to length 1, as the official code does"
    )


ModelConfig = Annotated[MatrixFactorization | LightGcn | Ngcf, Field(discriminator="kind")]


# -- samplers (AutoSample, Table 2) --------------------------------------------------------------------


class UniformSampler(Strategy):
    """RNS: every unobserved item alike."""

    implementation: ClassVar[str] = "components.rec.samplers.uniform:Uniform"
    kind: Literal["uniform"] = "uniform"


class PopularitySampler(Strategy):
    """PNS: p(j) ∝ popularity(j) ** beta over the unobserved items."""

    implementation: ClassVar[str] = "components.rec.samplers.popularity:Popularity"
    kind: Literal["popularity"] = "popularity"
    beta: Annotated[float, Field(ge=0, le=4)] = 0.75  # AutoSample B.3


class DnsSampler(Strategy):
    """DNS: the highest-scored of `pool_size` uniform unobserved items."""

    implementation: ClassVar[str] = "components.rec.samplers.dns:DynamicNegative"
    kind: Literal["dns"] = "dns"
    pool_size: Annotated[int, Field(ge=1, le=4096)] = 32


class AobprSampler(Strategy):
    """AOBPR: p(j) ∝ exp(−rank(u, j) / lambda) over all unobserved items, rank 0 the highest score.

    `lambda` is in ranks; towards 0 it becomes the argmax of AutoSample's Appendix B.3.
    """

    implementation: ClassVar[str] = "components.rec.samplers.aobpr:AdaptiveOversampling"
    kind: Literal["aobpr"] = "aobpr"
    lambda_: Annotated[float, Field(ge=0, alias="lambda")] = 500.0

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


SamplerConfig = Annotated[
    UniformSampler | PopularitySampler | DnsSampler | AobprSampler, Field(discriminator="kind")
]


# -- losses ----------------------------------------------------------------------------------------------


class BprLoss(Strategy):
    """BPR: −ln σ(positive − negative), AutoSample eq. 1."""

    implementation: ClassVar[str] = "components.rec.losses.bpr:Bpr"
    kind: Literal["bpr"] = "bpr"


LossConfig = BprLoss  # becomes a union on `kind` with the second loss


# -- training --------------------------------------------------------------------------------------------


class Training(Config):
    """The recipe's `training` section."""

    model: ModelConfig = MatrixFactorization()
    sampler: SamplerConfig = UniformSampler()
    loss: LossConfig = BprLoss()
    num_negatives: Annotated[int, Field(ge=1, le=1024)] = 1
    batch_size: Count = 1024  # AutoSample B.5
    learning_rate: Positive = 1e-3
    l2: NonNegative = Field(
        default=1e-4, description="weight of ½‖·‖² of the batch's own embeddings, per positive"
    )
    epochs: Count = 100
    patience: Count = Field(
        default=10, description="stop after so many validations without a better `metric`"
    )
    validate_every: Count = Field(default=1, description="epochs between validations")
    metric: MetricName = "ndcg@20"
    warm_start: Literal["search", "none"] = Field(
        default="search", description="retrain from the search's weights, or from random ones"
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"


class RetrainParams(Config):
    """Parameters of the retrain stage."""

    training: Training
    seed: int
