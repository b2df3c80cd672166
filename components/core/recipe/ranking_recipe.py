"""The recipe of a loop that ranks: who would like what?"""

from collections.abc import Collection, Iterator
from typing import Literal

from pydantic import Field

from components.core.recipe.base import expectations_of
from components.core.recipe.epoch_recipe import EpochRecipe
from components.core.recipe.prepare import Prepare, PrepareParams
from components.core.recipe.quality import DATASET_TABLES, Bound, Quality
from components.core.recipe.ranking import STEPWISE_SAMPLERS, RankingTraining, RetrainParams
from components.core.recipe.ranking_judgement import EvaluateParams, RankingEvaluation, RankingPromotion
from components.core.recipe.search import AmerForSequences, AutoSample, NoSearch, SearchConfig, SearchParams
from components.core.recipe.sequences import PARTS_OF_LAYERS, Blocks
from components.core.recipe.source import FilesSource, IngestParams, SessionsSource, Source, SyntheticSource
from components.core.strategy import Config


class RankingRecipe(EpochRecipe):
    """Interactions in, ranked items out."""

    task: Literal["ranking"] = Field(default="ranking", description="what the model is for")
    source: Source = Field(description="where interactions come from")
    quality: Quality = Field(default=Quality(), description="what data must be like to go on")
    prepare: Prepare = Prepare()
    search: SearchConfig = Field(
        default=NoSearch(), description="what is decided by a search before the model is trained"
    )
    training: RankingTraining = RankingTraining()
    evaluation: RankingEvaluation = RankingEvaluation()
    promotion: RankingPromotion = RankingPromotion()

    def _contradictions(self) -> Iterator[str]:
        missing = sorted(
            metric
            for metric in {
                self.promotion.metric,
                *self.promotion.floors,
                *self.promotion.bounds,
                *(guardrail.metric for guardrail in self.promotion.guardrails),
            }
            if int(metric.partition("@")[2]) not in self.evaluation.ks
        )
        if missing:
            yield f"promotion: {missing} is never measured; evaluation.ks is {list(self.evaluation.ks)}"
        columns = self.source.columns if isinstance(self.source, FilesSource) else None
        split = self.prepare.split
        if split.kind == "temporal" and isinstance(self.source, SessionsSource):
            yield "prepare.split.kind: got 'temporal', which needs timestamps; sessions have none"
        if split.kind == "temporal" and columns is not None and columns.timestamp is None:
            yield "prepare.split.kind: got 'temporal', which needs source.columns.timestamp"
        yield from self._unmeasurable()
        if self.training.reads_histories:
            yield from self._unreadable()
        if isinstance(self.search, AmerForSequences):
            yield from self._unsearchable(self.search)
        if self.prepare.min_rating is not None and (columns is None or columns.rating is None):
            yield f"prepare.min_rating: got {self.prepare.min_rating}, which needs source.columns.rating"
        yield from super()._contradictions()

    def _unreadable(self) -> Iterator[str]:
        """What a model cannot do that reads histories."""
        model, split = f"training.model.kind {self.training.model.kind!r} reads histories", self.prepare.split
        source = self.source
        if isinstance(source, SessionsSource):
            yield f"source.kind: got 'sessions', which have no order in time; {model}"
        if isinstance(source, FilesSource) and source.columns.timestamp is None and not source.ordered:
            yield (
                f"source.columns.timestamp: is not there; {model}, and needs it, or `source.format: {{kind: "
                "adjacency, ordered: true}` where the items of a line stand in the order of time"
            )
        if split.kind == "random":
            yield (
                f"prepare.split.kind: got 'random', which asks about the past of what was read; {model}: "
                "allowed are leave_one_out, temporal and given"
            )
        if self.evaluation.mask == "train":
            yield f"evaluation.mask: got 'train'; {model}, those in valid too: need 'train_valid'"
        if isinstance(self.search, AutoSample):
            for number, sampler in enumerate(self.search.samplers):
                if sampler.kind not in STEPWISE_SAMPLERS:
                    yield (
                        f"search.samplers.{number}.kind: got {sampler.kind!r}, which looks at all users at "
                        f"every step; {model}: allowed are {', '.join(STEPWISE_SAMPLERS)}"
                    )

    def _unsearchable(self, search: AmerForSequences) -> Iterator[str]:
        """What a search for blocks cannot do."""
        model, sampler = self.training.model, self.training.sampler
        if not isinstance(model, Blocks):
            yield f"training.model.kind: got {model.kind!r}, need 'blocks', as search.kind is 'amer'"
        elif any(model.dim % PARTS_OF_LAYERS.get(layer, 1) for layer in search.layers):
            parts = max(PARTS_OF_LAYERS.get(layer, 1) for layer in search.layers)
            yield f"training.model.dim: got {model.dim}, need a multiple of {parts} for search.layers"
        if sampler.kind not in {"uniform", "popularity"}:
            yield (
                f"training.sampler.kind: got {sampler.kind!r}, which looks at a model, and search.kind "
                "'amer' trains many at once: allowed are uniform, popularity"
            )

    def _unmeasurable(self) -> Iterator[str]:
        """Bounds on measures of columns that the source has not."""
        source, quality = self.source, self.quality
        columns = source.columns if isinstance(source, FilesSource) else None
        if not isinstance(source, SyntheticSource) and (columns is None or columns.timestamp is None):
            for place, bound in {
                "delivery.age_s": quality.delivery.age_s,
                "previous.gap_s": quality.previous.gap_s,
                "champion.gap_s": quality.champion.gap_s,
            }.items():
                if bound != Bound():
                    yield f"quality.{place}: has a bound, which needs source.columns.timestamp"
        if quality.delivery.nulls != Bound() and (columns is None or not columns.features):
            yield "quality.delivery.nulls: has a bound, which needs source.columns.features"

    def tables(self) -> Collection[str]:
        """The interactions, and what prepare makes of them."""
        return ("interactions", *DATASET_TABLES)

    def stage_params(self) -> dict[str, Config]:
        """Stage name → its parameters."""
        common = self._common_params()
        return {
            "ingest": IngestParams(
                **common["ingest"],
                quality=self.quality.model_copy(
                    update={"expectations": expectations_of(self.quality, "interactions")}
                ),
            ),
            "prepare": PrepareParams(
                **common["prepare"],
                expectations=expectations_of(self.quality, *DATASET_TABLES),
                vocabulary=self.quality.vocabulary,
            ),
            "search": SearchParams(**common["search"]),
            "retrain": RetrainParams(**common["retrain"]),
            "evaluate": EvaluateParams(**common["evaluate"]),
            "register": self._register_params(),
        }
