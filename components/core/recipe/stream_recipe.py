"""The recipe of a loop that follows a stream: what happens next is predicted, and then learned from."""

from collections.abc import Collection, Iterator
from typing import Literal

from pydantic import Field

from components.core.recipe.base import Recipe, expectations_of
from components.core.recipe.example_judgement import of_two_classes
from components.core.recipe.example_quality import ExampleQuality
from components.core.recipe.examples import ExamplesSource
from components.core.recipe.quality import STREAM_TABLES, Bound
from components.core.recipe.search import NoSearch, SearchForStreamParams, StreamSearch
from components.core.recipe.stream import FixedSize, RetrainStreamParams, StreamTraining
from components.core.recipe.stream_data import (
    STREAM_FIELDS,
    AnyStream,
    IngestStreamParams,
    PrepareStream,
    PrepareStreamParams,
)
from components.core.recipe.stream_judgement import EvaluateStreamParams, StreamEvaluation, StreamPromotion
from components.core.strategy import Config


class StreamRecipe(Recipe):
    """Interactions of users with items in the order of time in, probabilities of their classes out."""

    task: Literal["stream"] = Field(description="what the model is for")
    source: AnyStream = Field(description="where interactions come from: the fields user and item, a label")
    quality: ExampleQuality = Field(default=ExampleQuality(), description="what data must be like to go on")
    prepare: PrepareStream = PrepareStream()
    search: StreamSearch = Field(
        default=NoSearch(), description="how the sizes of embeddings are found while the stream goes by"
    )
    training: StreamTraining = StreamTraining()
    evaluation: StreamEvaluation = StreamEvaluation()
    promotion: StreamPromotion = StreamPromotion()

    def _contradictions(self) -> Iterator[str]:
        source = self.source
        if source.kinds() != STREAM_FIELDS:
            told = ", ".join(f"{name} ({kind})" for name, kind in source.kinds().items())
            yield f"source.fields: got {told}, need user and item, both categorical"
        if isinstance(source, ExamplesSource):
            if source.timestamp is None:
                yield "source.timestamp: missing; a stream has an order"
            if source.parts is not None:
                yield "source.parts: a stream is not split; name its `path`"
            if source.tables:
                yield f"source.tables: got {', '.join(source.tables)}; a stream knows users and items by id"
        if not isinstance(self.training.embedding, FixedSize):
            yield (
                f"training.embedding.kind: got {self.training.embedding.kind!r}, which is a search; write it "
                "as `search`"
            )
        if self.quality.vocabulary.kept_values != Bound():
            yield "quality.vocabulary.kept_values: has a bound, but a stream forgets no user and no item"
        if len(source.label.classes) > 2:
            yield from of_two_classes(self.promotion)
        yield from super()._contradictions()

    def tables(self) -> Collection[str]:
        """The interactions, and what prepare makes of them."""
        return ("interactions", *STREAM_TABLES)

    def stage_params(self) -> dict[str, Config]:
        """Stage name → its parameters."""
        common, source = self._common_params(), self.source
        if isinstance(source, ExamplesSource):
            source = source.model_copy(update={"required": tuple(STREAM_FIELDS)})
        return {
            "ingest": IngestStreamParams(
                **{**common["ingest"], "source": source},
                quality=self.quality.model_copy(
                    update={"expectations": expectations_of(self.quality, "interactions")}
                ),
            ),
            "prepare": PrepareStreamParams(
                **common["prepare"],
                goes_on=self.training.warm_start == "champion",
                classes=self.source.label.classes,
                thresholds=self.source.label.thresholds,
                missing=self.source.missing,
                expectations=expectations_of(self.quality, *STREAM_TABLES),
                vocabulary=self.quality.vocabulary,
            ),
            "search": SearchForStreamParams(**common["search"], **self._registered),
            "retrain": RetrainStreamParams(**common["retrain"]),
            "evaluate": EvaluateStreamParams(**common["evaluate"]),
            "register": self._register_params(),
        }
