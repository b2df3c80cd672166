"""The six stages, and promotion, which is asked for: the only thing that orchestrators import."""

from typing import Final

from components.core.recipe import (
    EvaluateParams,
    IngestParams,
    PrepareParams,
    PromoteParams,
    RegisterParams,
    RetrainParams,
    SearchParams,
)
from components.core.stage import InputSpec, Resources, StageSpec


def found(name: str, artifact: str, default: str) -> InputSpec:
    """An input that the stage finds for itself: what there was before. See `InputSpec.keyed`."""
    return InputSpec(name=name, artifact=artifact, required=False, keyed=False, default=default)


INGEST: Final = StageSpec(
    name="ingest",
    params=IngestParams,
    inputs=(
        *(
            InputSpec(name=name, artifact=None, required=False)
            for name in ("source", "train", "valid", "test")
        ),
        found("previous", "interactions", "components.data.deliveries:find_previous"),
        found("champion", "interactions", "components.registry.champion:find_interactions"),
    ),
    output="interactions",
    run="components.ingest.run:run",
    contract="components.data.contracts.interactions:validate",
    image="data",
)
PREPARE: Final = StageSpec(
    name="prepare",
    params=PrepareParams,
    inputs=(
        InputSpec(name="interactions", artifact="interactions"),
        found("champion", "dataset", "components.registry.champion:find_dataset"),
    ),
    output="dataset",
    run="components.prepare.run:run",
    contract="components.data.contracts.dataset:validate",
    image="data",
)
SEARCH: Final = StageSpec(
    name="search",
    params=SearchParams,
    inputs=(InputSpec(name="dataset", artifact="dataset"),),
    output="policy",
    run="components.search.run:run",
    contract="components.data.contracts.policy:validate",
    image="training",
    resources=Resources(memory_gib=8, gpu=True),
)
RETRAIN: Final = StageSpec(
    name="retrain",
    params=RetrainParams,
    inputs=(
        InputSpec(name="dataset", artifact="dataset"),
        InputSpec(name="policy", artifact="policy"),
        found("champion", "model", "components.registry.champion:find_start"),
    ),
    output="model",
    run="components.retrain.run:run",
    contract="components.data.contracts.model:validate",
    image="training",
    resources=Resources(memory_gib=8, gpu=True),
)
EVALUATE: Final = StageSpec(
    name="evaluate",
    params=EvaluateParams,
    inputs=(
        InputSpec(name="interactions", artifact="interactions"),
        InputSpec(name="dataset", artifact="dataset"),
        InputSpec(name="policy", artifact="policy"),
        InputSpec(name="model", artifact="model"),
        found("champion", "model", "components.registry.champion:find_artifact"),
        found("champion_dataset", "dataset", "components.registry.champion:find_training_dataset"),
    ),
    output="evaluation",
    run="components.evaluate.run:run",
    contract="components.data.contracts.evaluation:validate",
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
