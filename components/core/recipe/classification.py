"""Classification (clicks, ratings): models over feature fields, losses and the training section."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from components.core.recipe.sequences import Block
from components.core.recipe.training import AnyRetrainParams, Count, EpochTraining, NonNegative, Positive
from components.core.strategy import Config, Strategy

ClassificationMetric = Literal["auc", "logloss"]
Dropout = Annotated[float, Field(ge=0, lt=1)]


# -- models (AutoLoss §2.2, §3.3) ------------------------------------------------------------------------


ActivationName = Literal["relu", "swish", "identity", "dice"]


class Mlp(Config):
    """Fully connected layers (eq. 5)."""

    hidden: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        default=(128, 128), description="widths of the layers"
    )
    dropout: Dropout = Field(default=0.2, description="share of a layer's output that is dropped in training")
    batch_norm: bool = Field(default=True, description="normalise each layer's output over the batch")
    activations: tuple[ActivationName, ...] | None = Field(
        default=None, description="of each layer; ReLU for all where none are given"
    )

    @model_validator(mode="after")
    def _one_for_each_layer(self) -> Self:
        if self.activations is not None and len(self.activations) != len(self.hidden):
            raise ValueError(
                f"activations: got {len(self.activations)}, need one for each of {len(self.hidden)} layers"
            )
        return self


class Classifier(Strategy):
    """What all models over feature fields share."""

    dim: Count = Field(default=16, description="length of an embedding")
    init_std: Positive = Field(default=0.01, description="standard deviation of the initial embeddings")
    mlp: Mlp = Field(default=Mlp(), description="the fully connected layers")


FieldName = Annotated[str, Field(min_length=1)]
Interaction = Annotated[tuple[FieldName, ...], Field(min_length=2)]


class DeepFm(Classifier):
    """DeepFM (Guo et al. 2017): a factorization machine and an MLP over the same embeddings, added."""

    implementation: ClassVar[str] = "components.rec.classifiers.deepfm:DeepFmModel"
    kind: Literal["deepfm"] = "deepfm"
    interactions: tuple[Interaction, ...] | None = Field(
        default=None,
        description="whose products the factorization machine sums up, by the fields' names, of any order; "
        "all pairs where none are given",
    )
    weighted: bool = Field(
        default=False, description="each product counts as much as training finds (AutoFIS), and not alike"
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        check_interactions(self.interactions or ())
        return self


class Ipnn(Classifier):
    """IPNN (Qu et al. 2016): an MLP over the embeddings and their inner products."""

    implementation: ClassVar[str] = "components.rec.classifiers.ipnn:IpnnModel"
    kind: Literal["ipnn"] = "ipnn"


class Nfm(Classifier):
    """NFM (He & Chua 2017): an MLP over the sum of all element-wise products of two embeddings."""

    implementation: ClassVar[str] = "components.rec.classifiers.nfm:NfmModel"
    kind: Literal["nfm"] = "nfm"


class AutoInt(Classifier):
    """AutoInt+ (Song et al. 2019): self-attention among fields, beside an MLP."""

    implementation: ClassVar[str] = "components.rec.classifiers.autoint:AutoIntModel"
    kind: Literal["autoint"] = "autoint"
    num_layers: Count = Field(default=3, description="layers of attention")
    num_heads: Count = Field(default=2, description="heads of each layer")
    attention_dim: Count = Field(default=32, description="width of each layer's output, over all heads")

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.attention_dim % self.num_heads:
            raise ValueError(
                f"attention_dim: got {self.attention_dim}, need a multiple of num_heads, {self.num_heads}"
            )
        return self


class WideAndDeep(Classifier):
    """Wide & Deep (Cheng et al. 2016): a linear model and an MLP, added."""

    implementation: ClassVar[str] = "components.rec.classifiers.wide_deep:WideAndDeepModel"
    kind: Literal["wide_deep"] = "wide_deep"


class Dcn(Classifier):
    """DCN (Wang et al. 2017): cross layers beside an MLP."""

    implementation: ClassVar[str] = "components.rec.classifiers.dcn:DcnModel"
    kind: Literal["dcn"] = "dcn"
    num_layers: Count = Field(default=3, description="cross layers")


class XDeepFm(Classifier):
    """xDeepFM (Lian et al. 2018): a compressed interaction network beside an MLP and a linear model."""

    implementation: ClassVar[str] = "components.rec.classifiers.xdeepfm:XDeepFmModel"
    kind: Literal["xdeepfm"] = "xdeepfm"
    cross_layers: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        default=(16, 16), description="feature maps of each layer of the interaction network"
    )


class Dnn(Classifier):
    """An MLP over the embeddings (Covington et al. 2016)."""

    implementation: ClassVar[str] = "components.rec.classifiers.dnn:DnnModel"
    kind: Literal["dnn"] = "dnn"


class FibiNet(Classifier):
    """FiBiNET (Huang et al. 2019): an MLP over bilinear interactions of the embeddings, as they are and
    weighed by how much each field matters for the example; and a linear model."""

    implementation: ClassVar[str] = "components.rec.classifiers.fibinet:FibiNetModel"
    kind: Literal["fibinet"] = "fibinet"
    reduction: Count = Field(
        default=3,
        description="what weighs the fields has so many times fewer hidden units than there are fields",
    )  # §4.1 there


class Din(Classifier):
    """DIN (Zhou et al. 2018): an MLP over the embeddings and what a history holds of the example's own kind:
    its behaviours, each weighed by what the example is about."""

    implementation: ClassVar[str] = "components.rec.classifiers.din:DinModel"
    kind: Literal["din"] = "din"
    attention: Count = Field(default=36, description="hidden units of what weighs a behaviour")  # §4.3


class Amer(Classifier):
    """AMER: residual blocks that read the history, element-wise products of chosen fields, an MLP over
    fields, products and history, and a shortcut of fields and products that is weighed for each example."""

    implementation: ClassVar[str] = "components.rec.classifiers.amer:AmerModel"
    kind: Literal["amer"] = "amer"
    blocks: tuple[Block, ...] = Field(
        default=(),
        description="through which behaviours go before they are summed up, from the first to the last; a "
        "search may replace them",
    )
    attention: Count = Field(default=36, description="hidden units of what weighs a behaviour")
    interactions: tuple[Interaction, ...] = Field(
        default=(), description="products, by the fields' names, of any order; a search may replace them"
    )
    deep: bool = Field(default=True, description="the MLP gets the products, too")
    shortcut: bool = Field(default=True, description="fields and products go around the MLP, weighed (eq. 5)")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        check_interactions(self.interactions)
        return self


def check_interactions(interactions: Sequence[Interaction]) -> None:
    """Each stands once, and has each of its fields once.

    Raises:
        ValueError: one does not.
    """
    sets = [frozenset(names) for names in interactions]
    for number, (names, one) in enumerate(zip(interactions, sets, strict=True)):
        if len(one) < len(names):
            raise ValueError(f"interactions: number {number} is {list(names)}, need each field at most once")
        if one in sets[:number]:
            raise ValueError(f"interactions: number {number} is {list(names)}, which stands there already")


ClassifierConfig = Annotated[
    DeepFm | Ipnn | Nfm | AutoInt | WideAndDeep | Dcn | XDeepFm | Dnn | FibiNet | Din | Amer,
    Field(discriminator="kind"),
]


# -- losses (AutoLoss §3.4) --------------------------------------------------------------------------------


class CrossEntropy(Strategy):
    """−ln ŷ of the label's class."""

    implementation: ClassVar[str] = "components.rec.losses.cross_entropy:CrossEntropyLoss"
    kind: Literal["cross_entropy"] = "cross_entropy"


class Focal(Strategy):
    """Focal loss (Lin et al. 2017): −(1 − ŷ)^gamma ln ŷ of the label's class."""

    implementation: ClassVar[str] = "components.rec.losses.focal:FocalLoss"
    kind: Literal["focal"] = "focal"
    gamma: NonNegative = Field(default=2.0, description="how little well-classified examples count")


class KullbackLeibler(Strategy):
    """KL(y ‖ ŷ) of labels that are smoothed: of hard ones it is the cross-entropy."""

    implementation: ClassVar[str] = "components.rec.losses.kl:KullbackLeiblerLoss"
    kind: Literal["kl"] = "kl"
    smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.1, description="share of a label that is spread over all classes"
    )


class Hinge(Strategy):
    """Categorical hinge: max(0, 1 + the best other class − the label's class)."""

    implementation: ClassVar[str] = "components.rec.losses.hinge:HingeLoss"
    kind: Literal["hinge"] = "hinge"
    of: Literal["probability", "logit"] = Field(
        default="probability", description="what margins are taken of: ŷ, as AutoLoss eq. 7 has it, or logits"
    )


CandidateLoss = Annotated[CrossEntropy | Focal | KullbackLeibler | Hinge, Field(discriminator="kind")]
Candidates = Annotated[tuple[CandidateLoss, ...], Field(min_length=2)]
ALL_CANDIDATES = (Focal(), KullbackLeibler(), Hinge(), CrossEntropy())


class Weighted(Strategy):
    """A weighted sum of losses, the same for all examples (AutoLoss eq. 8)."""

    implementation: ClassVar[str] = "components.rec.losses.weighted:WeightedLoss"
    kind: Literal["weighted"] = "weighted"
    losses: Candidates = Field(default=ALL_CANDIDATES, description="the candidates, each kind once")
    weights: tuple[NonNegative, ...] | None = Field(
        default=None, description="one for each, and together 1; all alike where none are given (AL-1)"
    )

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        check_distinct(self.losses)
        if self.weights is not None:
            if len(self.weights) != len(self.losses):
                raise ValueError(f"weights: got {len(self.weights)}, need one for each of {len(self.losses)}")
            if abs(sum(self.weights) - 1) > 1e-6:
                raise ValueError(f"weights: got {list(self.weights)}, need numbers that add up to 1")
        return self


class Controller(Mlp):
    """The network that weighs losses by an example's label and prediction (AutoLoss §2.4)."""


class Controlled(Strategy):
    """Losses that a frozen controller weighs for each example (AutoLoss §3.5). A search leaves the
    controller in its policy."""

    implementation: ClassVar[str] = "components.rec.losses.controlled:ControlledLoss"
    kind: Literal["controlled"] = "controlled"
    losses: Candidates = Field(default=ALL_CANDIDATES, description="the candidates, each kind once")
    controller: Controller = Controller()
    gumbel: bool = Field(default=True, description="draw weights (eq. 10), or take those of the controller")
    temperature: Positive = Field(default=0.01, description="τ of the draws")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        check_distinct(self.losses)
        return self


ClassificationLoss = Annotated[
    CrossEntropy | Focal | KullbackLeibler | Hinge | Weighted | Controlled, Field(discriminator="kind")
]


def check_distinct(losses: Candidates) -> None:
    """Each kind of loss stands once among candidates.

    Raises:
        ValueError: one stands twice.
    """
    kinds = [loss.kind for loss in losses]
    if len(set(kinds)) < len(kinds):
        raise ValueError(f"losses: got {kinds}, need each kind at most once")


# -- training --------------------------------------------------------------------------------------------


class ClassificationTraining(EpochTraining):
    """The `training` section of a recipe that classifies."""

    model: ClassifierConfig = Field(default=DeepFm(), description="what is trained")
    loss: ClassificationLoss = Field(
        default=CrossEntropy(), description="what is minimised; a search may replace it"
    )
    batch_size: Annotated[int, Field(ge=2)] = Field(
        default=2000, description="examples in a step; batch normalisation needs two"
    )  # AutoLoss §3.3
    l2: NonNegative = Field(
        default=0.0,
        description="weight of ½‖·‖² of what the batch looks up, per example: a row for each field, "
        "pooled where "
        "it has several values, with its linear weights",
    )
    metric: ClassificationMetric = Field(default="auc", description="what validation looks at")
    epochs: Count = Field(default=30, description="at most so many passes over the training data")
    patience: Count = Field(default=3, description="stop after so many validations without a better `metric`")


class RetrainClassifierParams(AnyRetrainParams):
    """Parameters of the retrain stage of a recipe that classifies."""

    task: Literal["classification"] = "classification"
    training: ClassificationTraining
