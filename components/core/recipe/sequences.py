"""Models that read what a user did, in the order of time."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from components.core.recipe.training import Count
from components.core.strategy import Config, Strategy

Rate = Annotated[float, Field(ge=0, lt=1)]
LayerName = Literal[
    "conv1", "conv3", "dilated3", "dilated5", "dilated7", "average3", "max3", "gru", "attention2",
    "attention4", "target", "zero",
]  # fmt: skip
LAYERS_WITHOUT_TARGET = tuple(name for name in get_args(LayerName) if name != "target")
PARTS_OF_LAYERS: Mapping[LayerName, int] = {"attention2": 2, "attention4": 4, "gru": 2}  # divide dim
NormName = Literal["layer", "none"]
ActivationName = Literal["relu", "gelu", "swish", "identity"]


class AnySequenceModel(Strategy):
    """What all of them are told."""

    dim: Count = Field(default=64, description="length of an embedding")
    max_length: Count = Field(default=50, description="of a history: so many of its last items are read")
    num_targets: Count = Field(
        default=5, description="in training, so many items after a place of a history are its positives"
    )  # AMER, Appendix D
    dropout: Rate = Field(default=0.0, description="share that is dropped in training, of the input first")


class Gru4Rec(AnySequenceModel):
    """GRU4Rec (Hidasi et al. 2016): the last state of a recurrent network."""

    implementation: ClassVar[str] = "components.rec.sequences.gru4rec:Gru4RecModel"
    kind: Literal["gru4rec"] = "gru4rec"
    num_layers: Count = Field(default=1, description="recurrent layers")


class Caser(AnySequenceModel):
    """Caser (Tang & Wang 2018): convolutions over the last items as over a picture."""

    implementation: ClassVar[str] = "components.rec.sequences.caser:CaserModel"
    kind: Literal["caser"] = "caser"
    num_horizontal: Count = Field(default=2, description="filters of each height, across whole embeddings")
    num_vertical: Count = Field(default=5, description="filters along time")
    # AMER, Appendix C.1, for Beauty


class NextItNet(AnySequenceModel):
    """NextItNet (Yuan et al. 2019): residual dilated convolutions that look back."""

    implementation: ClassVar[str] = "components.rec.sequences.nextitnet:NextItNetModel"
    kind: Literal["nextitnet"] = "nextitnet"
    dilations: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        default=(1, 2, 1, 2, 2), description="of each layer; the kernels have three places"
    )  # AMER, Appendix C.1


class Attending(AnySequenceModel):
    """Made of self-attention."""

    num_blocks: Count = Field(default=2, description="of attention and two connected layers")
    num_heads: Count = Field(default=1, description="of each attention; divides dim")

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.dim % self.num_heads:
            raise ValueError(f"num_heads: got {self.num_heads}, need a divisor of dim, {self.dim}")
        return self


class SasRec(Attending):
    """SASRec (Kang & McAuley 2018): self-attention that looks back."""

    implementation: ClassVar[str] = "components.rec.sequences.transformer:SasRecModel"
    kind: Literal["sasrec"] = "sasrec"


class Bert4Rec(Attending):
    """BERT4Rec (Sun et al. 2019): self-attention that looks both ways, at a mask behind the last item."""

    implementation: ClassVar[str] = "components.rec.sequences.transformer:Bert4RecModel"
    kind: Literal["bert4rec"] = "bert4rec"
    num_heads: Count = Field(default=4, description="of each attention; divides dim")


class Block(Config):
    """Hₗ = activation(layer(norm(Hₗ₋₁))) + Hₗ₋₁ (AMER eq. 3)."""

    norm: NormName = Field(default="layer", description="layer normalisation, or none")
    layer: LayerName = Field(
        description="a convolution over 1 or 3 neighbours, over 3, 5 or 7 of every second one; pooling over "
        "3; a recurrent network in both directions; attention with 2 or 4 heads; target weighs each place by "
        "what the example is about; zero passes the block by"
    )
    activation: ActivationName = Field(default="relu", description="of what the layer gives")


def undivided(blocks: Sequence[Block], width: int) -> Iterator[str]:
    """Blocks whose layers' parts do not divide the width of what they read, one line each."""
    for number, block in enumerate(blocks, start=1):
        parts = PARTS_OF_LAYERS.get(block.layer, 1)
        if width % parts:
            yield f"blocks: number {number} is {block.layer!r}, whose {parts} parts do not divide {width}"


class Blocks(AnySequenceModel):
    """AMER's stage 1: residual blocks, summed up by their sum over time and the last state."""

    implementation: ClassVar[str] = "components.rec.sequences.blocks:BlocksModel"
    kind: Literal["blocks"] = "blocks"
    blocks: Annotated[tuple[Block, ...], Field(min_length=1)] = Field(
        default=(Block(layer="conv3"), Block(layer="attention2")),
        description="from the first to the last; a search may replace them",
    )

    @model_validator(mode="after")
    def _fit(self) -> Self:
        for problem in undivided(self.blocks, self.dim):
            raise ValueError(f"{problem}, which is dim")
        for number, block in enumerate(self.blocks, start=1):
            if block.layer == "target":
                raise ValueError(
                    f"blocks: number {number} is 'target', but a model that ranks reads a history without one"
                )
        return self


SEQUENCE_MODELS = (Gru4Rec, Caser, NextItNet, SasRec, Bert4Rec, Blocks)
