"""How a ranking model is measured and what it must reach."""

from typing import Annotated, Final, Literal

from pydantic import Field, field_validator

from components.core.recipe.judgement import AnyEvaluateParams, Evaluation, Promotion, Range, check_reachable
from components.core.recipe.ranking import MetricName
from components.core.recipe.training import Count
from components.core.strategy import Config

SliceName = Literal["all", "new_users", "light_users", "heavy_users", "tail_items"]
BaselineName = Literal["popularity", "item_knn"]
BeyondAccuracyName = Annotated[str, Field(pattern=r"^(coverage|gini|popularity)@[1-9][0-9]*$")]
_ENDS: Final = dict.fromkeys(("coverage", "gini", "popularity"), (0.0, 1.0))


class Sampled(Config):
    """Each test item is ranked among so many that its user has not met, drawn uniformly, too."""

    negatives: Annotated[int, Field(ge=1, le=10_000)] = Field(default=100, description="items that are drawn")


class RankingEvaluation(Evaluation):
    """The recipe's `evaluation` section: full ranking over all items."""

    ks: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        default=(10, 20), description="cut-offs K of recall@K, ndcg@K, …"
    )
    mask: Literal["train", "train_valid"] = Field(
        default="train", description="the interactions left out of the ranking; train is the paper's"
    )
    sampled: Sampled | None = Field(
        default=None,
        description="rank among sampled items besides, as many papers do; told in the report, and never "
        "decides",
    )
    user_block: Count = Field(default=2048, description="users ranked at a time; bounds the memory")

    @field_validator("ks")
    @classmethod
    def _ascending(cls, ks: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(ks)))


class Guardrail(Config):
    """A metric that must not suffer, over all test users or a slice of them."""

    metric: MetricName = Field(description="such as recall@20")
    slice: SliceName = Field(default="all", description="whose metric")
    max_drop: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.05,
        description="share of the champion's mean: the interval of the difference must lie above minus this",
    )


class RankingPromotion(Promotion):
    """The recipe's `promotion` section."""

    metric: MetricName = Field(default="ndcg@20", description="what challenger and champion are compared by")
    floors: dict[MetricName, Annotated[float, Field(ge=0, le=1)]] = Field(
        default={}, description="a model below any of these is refused"
    )
    beat: tuple[BaselineName, ...] = Field(
        default=("popularity", "item_knn"), description="baselines that the first champion must beat"
    )
    guardrails: tuple[Guardrail, ...] = Field(
        default=(), description="metrics that must not drop against the champion, in slices too"
    )
    min_slice_users: Count = Field(
        default=100, description="a guardrail over fewer users is told, and not judged"
    )
    bounds: dict[BeyondAccuracyName, Range] = Field(
        default={}, description="beyond accuracy: what coverage@K, gini@K and popularity@K may be"
    )

    @field_validator("bounds")
    @classmethod
    def _reachable(cls, ranges: dict[BeyondAccuracyName, Range]) -> dict[BeyondAccuracyName, Range]:
        return check_reachable(ranges, _ENDS)


class EvaluateParams(AnyEvaluateParams):
    """Parameters of the evaluate stage of a recipe that ranks."""

    task: Literal["ranking"] = "ranking"
    evaluation: RankingEvaluation
    promotion: RankingPromotion
