"""The recipe of a loop that classifies: will it be clicked, how will it be rated?"""

from collections.abc import Collection, Iterator
from typing import Literal

from pydantic import Field

from components.core.recipe.base import expectations_of
from components.core.recipe.classification import (
    Amer,
    ClassificationTraining,
    Din,
    RetrainClassifierParams,
)
from components.core.recipe.epoch_recipe import EpochRecipe
from components.core.recipe.example_judgement import (
    EvaluateClassifierParams,
    ExampleEvaluation,
    ExamplePromotion,
    of_two_classes,
)
from components.core.recipe.example_preparation import PrepareExamples, PrepareExamplesParams, unfit
from components.core.recipe.example_quality import ExampleQuality
from components.core.recipe.examples import AnyExamples, ExamplesSource, IngestExamplesParams
from components.core.recipe.quality import EXAMPLE_TABLES, Bound
from components.core.recipe.search import (
    AmerForFields,
    ClassifierSearch,
    NoSearch,
    SearchForClassifierParams,
)
from components.core.recipe.sequences import PARTS_OF_LAYERS, undivided
from components.core.strategy import Config


class ClassificationRecipe(EpochRecipe):
    """Labelled examples in, probabilities of their classes out."""

    task: Literal["classification"] = Field(description="what the model is for")
    source: AnyExamples = Field(description="where labelled examples come from")
    quality: ExampleQuality = Field(default=ExampleQuality(), description="what data must be like to go on")
    prepare: PrepareExamples = PrepareExamples()
    search: ClassifierSearch = Field(
        default=NoSearch(), description="what is decided by a search before the model is trained"
    )
    training: ClassificationTraining = ClassificationTraining()
    evaluation: ExampleEvaluation = ExampleEvaluation()
    promotion: ExamplePromotion = ExamplePromotion()

    def _contradictions(self) -> Iterator[str]:
        kinds = self.source.kinds()
        yield from unfit(self.prepare.encodings, kinds)
        timed = isinstance(self.source, ExamplesSource) and self.source.timestamp is not None
        if self.prepare.split.kind == "temporal" and not timed:
            yield "prepare.split.kind: got 'temporal', which needs source.timestamp"
        yield from self._unread()
        history = self.source.history if isinstance(self.source, ExamplesSource) else None
        if history is not None and history.kind == "earlier" and self.prepare.split.kind != "temporal":
            yield (
                f"prepare.split.kind: got {self.prepare.split.kind!r}, need 'temporal', as source.history is "
                "made of earlier examples: train would read what happens in test"
            )
        quality = self.quality
        for place, bound in {
            "delivery.age_s": quality.delivery.age_s,
            "previous.gap_s": quality.previous.gap_s,
            "champion.gap_s": quality.champion.gap_s,
        }.items():
            if bound != Bound() and not timed:
                yield f"quality.{place}: has a bound, which needs source.timestamp"
        if self.training.loss.kind == "controlled":
            yield (
                "training.loss.kind: got 'controlled', whose controller comes from a search; name its policy "
                "with search: {kind: policy, uri: …}"
            )
        for number, name in enumerate(self.evaluation.slices or ()):
            if name not in kinds:
                yield f"evaluation.slices.{number}: got {name!r}, need one of the fields {sorted(kinds)}"
        for number, guardrail in enumerate(self.promotion.guardrails):
            if guardrail.field is not None and guardrail.field not in kinds:
                yield (
                    f"promotion.guardrails.{number}.field: got {guardrail.field!r}, need one of the fields "
                    f"{sorted(kinds)}"
                )
        model = self.training.model
        crossed = kinds.keys() - (self.source.histories() if isinstance(model, Amer) else {})
        for number, names in enumerate(getattr(model, "interactions", None) or ()):
            for name in names:
                if name not in crossed:
                    allowed = sorted(crossed)
                    yield f"training.model.interactions.{number}: got {name!r}, need fields of {allowed}"
        needed = {"amer": "amer", "autofis": "deepfm"}.get(self.search.kind, model.kind)
        if model.kind != needed:
            searched = self.search.kind
            yield f"training.model.kind: got {model.kind!r}, need {needed!r}, as search.kind is {searched!r}"
        if self.search.kind == "autofis" and getattr(model, "interactions", None) == ():
            yield "training.model.interactions: got none, need some, or no such key: all pairs"
        if len(self.source.label.classes) > 2:
            yield from of_two_classes(self.promotion)
        yield from super()._contradictions()

    def _unread(self) -> Iterator[str]:
        """What reads histories has some, and of a width that fits."""
        model, search, histories = self.training.model, self.search, self.source.histories()
        width = model.dim * len(histories)
        blocks = model.blocks if isinstance(model, Amer) else ()
        if not histories:
            if isinstance(model, Din):
                yield "training.model.kind: got 'din', which needs source.history"
            if blocks:
                yield "training.model.blocks: read histories, which need source.history"
            if isinstance(search, AmerForFields) and "history" in search.steps:
                yield "search.steps: got 'history', which needs source.history"
            return
        for problem in undivided(blocks, width):
            yield f"training.model.{problem}: dim {model.dim} by {len(histories)} fields of a behaviour"
        if isinstance(search, AmerForFields) and "history" in search.steps:
            for name in search.blocks.layers:
                parts = PARTS_OF_LAYERS.get(name, 1)
                if width % parts:
                    yield (
                        f"search.blocks.layers: got {name!r}, whose {parts} parts do not divide {width}: "
                        f"training.model.dim {model.dim} by {len(histories)} fields of a behaviour"
                    )

    def tables(self) -> Collection[str]:
        """The examples, and what prepare makes of them."""
        return ("interactions", *EXAMPLE_TABLES)

    def stage_params(self) -> dict[str, Config]:
        """Stage name → its parameters."""
        common = self._common_params()
        return {
            "ingest": IngestExamplesParams(
                **common["ingest"],
                quality=self.quality.model_copy(
                    update={"expectations": expectations_of(self.quality, "interactions")}
                ),
            ),
            "prepare": PrepareExamplesParams(
                **common["prepare"],
                kinds=self.source.kinds(),
                histories=self.source.histories(),
                history_length=self.source.history_length,
                classes=self.source.label.classes,
                missing=self.source.missing,
                expectations=expectations_of(self.quality, *EXAMPLE_TABLES),
                vocabulary=self.quality.vocabulary,
            ),
            "search": SearchForClassifierParams(**common["search"]),
            "retrain": RetrainClassifierParams(**common["retrain"]),
            "evaluate": EvaluateClassifierParams(**common["evaluate"]),
            "register": self._register_params(),
        }
