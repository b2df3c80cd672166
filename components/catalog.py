"""The six stages, and promotion, which is asked for: the only thing that orchestrators import."""

from typing import Final

from components.core.columns import PARTS
from components.core.recipe import (
    EvaluateClassifierParams,
    EvaluateParams,
    EvaluateStreamParams,
    IngestExamplesParams,
    IngestParams,
    IngestStreamParams,
    PrepareExamplesParams,
    PrepareParams,
    PrepareStreamParams,
    PromoteParams,
    RegisterParams,
    RetrainClassifierParams,
    RetrainParams,
    RetrainStreamParams,
    SearchForClassifierParams,
    SearchForStreamParams,
    SearchParams,
)
from components.core.recipe.examples import TABLES
from components.core.stage import InputSpec, Resources, StageSpec


def found(name: str, artifact: str, default: str) -> InputSpec:
    """An input that the stage finds for itself: what there was before. See `InputSpec.keyed`."""
    return InputSpec(name=name, artifact=artifact, required=False, keyed=False, default=default)


INGEST: Final = StageSpec(
    name="ingest",
    params=(IngestParams, IngestExamplesParams, IngestStreamParams),
    inputs=(
        *(InputSpec(name=name, artifact=None, required=False) for name in ("source", *PARTS, *TABLES)),
        found("previous", "interactions", "components.data.deliveries:find_previous"),
        found("champion", "interactions", "components.registry.champion:find_interactions"),
    ),
    output="interactions",
    run="components.ingest.{task}:run",
    contract="components.data.contracts.interactions.{task}:validate",
    image="data",
)
PREPARE: Final = StageSpec(
    name="prepare",
    params=(PrepareParams, PrepareExamplesParams, PrepareStreamParams),
    inputs=(
        InputSpec(name="interactions", artifact="interactions"),
        found("champion", "dataset", "components.registry.champion:find_dataset"),
    ),
    output="dataset",
    run="components.prepare.{task}:run",
    contract="components.data.contracts.dataset.{task}:validate",
    image="data",
)
SEARCH: Final = StageSpec(
    name="search",
    params=(SearchParams, SearchForClassifierParams, SearchForStreamParams),
    inputs=(
        InputSpec(name="dataset", artifact="dataset"),
        InputSpec(name="policy", artifact="policy", required=False),  # to take instead of a search
        found("champion", "model", "components.registry.champion:find_state"),
    ),
    output="policy",
    run="components.search.run:run",
    contract="components.data.contracts.policy:validate",
    image="training",
    resources=Resources(memory_gib=8, gpu=True),
)
RETRAIN: Final = StageSpec(
    name="retrain",
    params=(RetrainParams, RetrainClassifierParams, RetrainStreamParams),
    inputs=(
        InputSpec(name="dataset", artifact="dataset"),
        InputSpec(name="policy", artifact="policy"),
        found("champion", "model", "components.registry.champion:find_start"),
    ),
    output="model",
    run="components.retrain.run:run",
    contract="components.data.contracts.model.{task}:validate",
    image="training",
    resources=Resources(memory_gib=8, gpu=True),
)
EVALUATE: Final = StageSpec(
    name="evaluate",
    params=(EvaluateParams, EvaluateClassifierParams, EvaluateStreamParams),
    inputs=(
        InputSpec(name="interactions", artifact="interactions"),
        InputSpec(name="dataset", artifact="dataset"),
        InputSpec(name="policy", artifact="policy"),
        InputSpec(name="model", artifact="model"),
        found("champion", "model", "components.registry.champion:find_artifact"),
        found("champion_dataset", "dataset", "components.registry.champion:find_training_dataset"),
        found("champion_interactions", "interactions", "components.registry.champion:find_training_examples"),
    ),
    output="evaluation",
    run="components.evaluate.{task}.run:run",
    contract="components.data.contracts.evaluation.{task}:validate",
    image="training",
    resources=Resources(memory_gib=8, gpu=True),
)
REGISTER: Final = StageSpec(
    name="register",
    params=RegisterParams,
    inputs=(
        InputSpec(name="interactions", artifact="interactions"),
        InputSpec(name="dataset", artifact="dataset"),
        InputSpec(name="policy", artifact="policy"),
        InputSpec(name="model", artifact="model"),
        InputSpec(name="evaluation", artifact="evaluation"),
    ),
    output="registration",
    run="components.register.run:run",
    contract="components.data.contracts.registration:validate",
    image="data",
)
# None of the loop's stages: someone decides that it runs.
PROMOTE: Final = StageSpec(
    name="promote",
    params=PromoteParams,
    inputs=(InputSpec(name="registration", artifact="registration", required=False),),
    output="promotion",
    run="components.promote.run:run",
    contract="components.data.contracts.promotion:validate",
    image="data",
)

STAGES: Final = (INGEST, PREPARE, SEARCH, RETRAIN, EVALUATE, REGISTER)


def position_of(spec: StageSpec) -> int:
    """Where a stage's record stands among those of its run, from 0."""
    return STAGES.index(spec) if spec in STAGES else len(STAGES)
