"""k-core and splits."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from components.core.recipe.quality import Expectation, Vocabulary
from components.core.strategy import Config, Strategy, Unkeyed

Ratio = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(ge=0)], Annotated[float, Field(gt=0)]]
PAPER_RATIO: Ratio = (3.0, 1.0, 1.0)  # AutoSample §3.1.1


class Core(Config):
    """At least so many interactions for every user and every item."""

    users: Annotated[int, Field(ge=1)] = Field(description="interactions that every user keeps, at least")
    items: Annotated[int, Field(ge=1)] = Field(description="interactions that every item keeps, at least")


class RandomSplit(Strategy):
    """Interactions at random in the proportions train : valid : test."""

    implementation: ClassVar[str] = "components.data.splits:random"
    kind: Literal["random"] = "random"
    ratio: Ratio = Field(default=PAPER_RATIO, description="train : valid : test")


class TemporalSplit(Strategy):
    """The oldest interactions train, the newest test. Needs timestamps."""

    implementation: ClassVar[str] = "components.data.splits:temporal"
    kind: Literal["temporal"] = "temporal"
    ratio: Ratio = Field(default=PAPER_RATIO, description="train : valid : test")


class LeaveOneOutSplit(Strategy):
    """Each user's last interaction tests and the last but one validates, by timestamps or else by positions
    (with neither: random ones). Users with fewer than three interactions only train."""

    implementation: ClassVar[str] = "components.data.splits:leave_one_out"
    kind: Literal["leave_one_out"] = "leave_one_out"


class GivenSplit(Strategy):
    """The source's own parts. Without a valid part, `valid_fraction` of train is set aside at random;
    0 leaves validation empty, and then nothing can be searched or stopped early."""

    implementation: ClassVar[str] = "components.data.splits:given"
    kind: Literal["given"] = "given"
    valid_fraction: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.25, description="share of train that validates where the source has no valid part"
    )


Split = Annotated[RandomSplit | TemporalSplit | LeaveOneOutSplit | GivenSplit, Field(discriminator="kind")]


class Prepare(Config):
    """The recipe's `prepare` section."""

    core: Annotated[int, Field(ge=1)] | Core = Field(
        default=10,
        description="k-core: users and items with fewer interactions are left out, until none is left",
    )
    min_rating: float | None = Field(
        default=None, description="an interaction rated lower is no positive and is left out"
    )
    split: Split = Field(default=RandomSplit(), description="how train, valid and test come apart")
    unseen: Literal["drop", "move", "error"] = Field(
        default="drop",
        description="an interaction in valid or test whose user or item train does not know is "
        "dropped, moved to train, or an error",
    )

    @model_validator(mode="after")
    def _no_leak(self) -> Self:
        if self.split.kind == "temporal" and self.unseen == "move":
            raise ValueError(
                "unseen: got 'move', which would train a temporal split on its future; allowed: drop, error"
            )
        return self

    def thresholds(self) -> Core:
        """The core as a pair."""
        return self.core if isinstance(self.core, Core) else Core(users=self.core, items=self.core)


class PrepareParams(Prepare):
    """Parameters of the prepare stage of a recipe that ranks."""

    task: Literal["ranking"] = "ranking"
    seed: int
    expectations: tuple[Expectation, ...] = Field(default=(), description="the recipe's, over these tables")
    vocabulary: Vocabulary = Vocabulary()
    model: Annotated[str, Unkeyed()] = Field(
        default="", description="whose champion's dataset to compare with"
    )
    tracking_uri: Annotated[str, Unkeyed()] = Field(default="", description="where it is registered")
