"""Streams: the model, how its embeddings get their sizes, and the training section."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from components.core.recipe.training import AnyRetrainParams, Count, Positive, Training
from components.core.strategy import Strategy

_CANDIDATES = (2, 4, 8, 16, 64, 128)  # ESAPN §3.2


class StreamMlp(Strategy):
    """Two embeddings, mapped to the largest size and normalised, through one hidden layer (ESAPN §2.2)."""

    implementation: ClassVar[str] = "components.rec.streaming.model:StreamModel"
    kind: Literal["mlp"] = "mlp"
    hidden: Count = Field(default=512, description="width of the hidden layer")
    init_std: Positive = Field(default=0.01, description="standard deviation of a new embedding")


# -- sizes of embeddings (ESAPN §3.3) --------------------------------------------------------------------


def _ascending(sizes: tuple[int, ...]) -> tuple[int, ...]:
    if list(sizes) != sorted(set(sizes)):
        raise ValueError(f"got {list(sizes)}, need sizes that ascend")
    return sizes


Sizes = Annotated[tuple[Count, ...], Field(min_length=2), AfterValidator(_ascending)]
Past = Annotated[int, Field(ge=1)]


class FixedSize(Strategy):
    """FIXED: all users and items have embeddings of one size."""

    implementation: ClassVar[str] = "components.rec.streaming.building:fixed"
    kind: Literal["fixed"] = "fixed"
    size: Count = Field(default=128, description="of every embedding")


class Searched(Strategy):
    """What the searches for sizes share."""

    sizes: Sizes = Field(default=_CANDIDATES, description="D, the candidates, which ascend")
    history: Past = Field(
        default=1_000_000, description="so many of the last interactions are kept to learn from again"
    )


class Esapn(Searched):
    """ESAPN: two policy networks say when the embedding of a user or an item grows (Algorithm 1)."""

    implementation: ClassVar[str] = "components.rec.streaming.building:esapn"
    kind: Literal["esapn"] = "esapn"
    num_losses: Count = Field(default=5, description="T of eq. 2: losses that a reward is measured against")
    hidden: Count = Field(default=512, description="width of a policy network's hidden layer")
    frequency_dim: Count = Field(default=32, description="length of a frequency's embedding")
    num_frequencies: Count = Field(default=10_000, description="larger frequencies share one embedding")
    policy_learning_rate: Positive = Field(default=1e-4, description="Adam's, α_P of eq. 7")


class Darts(Searched):
    """DARTS: a weighted sum of embeddings of all sizes, with weights of each user and item of its own."""

    implementation: ClassVar[str] = "components.rec.streaming.building:darts"
    kind: Literal["darts"] = "darts"
    weights_learning_rate: Positive = Field(default=1e-3, description="Adam's, for the weights")


class AutoEmb(Searched):
    """AutoEmb (Zhao et al. 2020): the weights of the sum come from how often a user or an item was seen."""

    implementation: ClassVar[str] = "components.rec.streaming.building:autoemb"
    kind: Literal["autoemb"] = "autoemb"
    hidden: Count = Field(default=512, description="width of the controller's hidden layer")
    frequency_dim: Count = Field(default=32, description="length of a frequency's embedding")
    num_frequencies: Count = Field(default=10_000, description="larger frequencies share one embedding")
    weights_learning_rate: Positive = Field(default=1e-4, description="Adam's, for the controller")


Embedding = Annotated[FixedSize | Esapn | Darts | AutoEmb, Field(discriminator="kind")]


# -- training --------------------------------------------------------------------------------------------


class StreamTraining(Training):
    """The `training` section of a recipe that follows a stream."""

    model: StreamMlp = Field(default=StreamMlp(), description="what is trained")
    embedding: Embedding = Field(
        default=FixedSize(), description="how embeddings get their sizes; a search replaces it"
    )
    batch_size: Count = Field(
        default=500, description="interactions that are predicted together, and then learned from"
    )  # ESAPN §3.2
    warm_start: Literal["champion", "none"] = Field(
        default="champion",
        description="go on where the champion is, where there is one, or begin anew",
    )
    device: Literal["auto", "cpu"] = Field(default="auto", description="streams are followed on a CPU")


class RetrainStreamParams(AnyRetrainParams):
    """Parameters of the retrain stage of a recipe that follows a stream."""

    task: Literal["stream"] = "stream"
    training: StreamTraining
