"""A search while a stream goes by: the sizes of all users and items at the end of the train part."""

from collections.abc import Mapping
from pathlib import Path

from components.core import columns
from components.core.policy import CONTROLLER_FILE, TRAJECTORY_FILE, WEIGHTS_FILE, Policy
from components.core.recipe import SearchForStreamParams
from components.core.recipe.search import FromPolicy, NoSearch
from components.core.stage import Context
from components.data.parquet import write_table
from components.rec.streaming.beginning import begin_with_champion
from components.rec.streaming.data import StreamData
from components.rec.streaming.following import follow
from components.rec.streaming.sizes import size_tables
from components.rec.weights import save_tensors


def search_stream(
    params: SearchForStreamParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> dict[str, float]:
    """Follow the train part, from the champion on where there is one; write the policy, its sizes, its course
    and the state W′."""
    config = params.search
    assert not isinstance(config, NoSearch | FromPolicy)
    patch = {"embedding": config.model_dump(mode="json")}
    training = params.training.model_copy(update={"embedding": config})
    beginning = begin_with_champion(training, inputs.get("champion"), inputs["dataset"])
    stream = StreamData.load(inputs["dataset"], ["train"], beginning.ids)
    learner = beginning.learner(training, stream, params.seed)
    checkpoint = beginning.checkpoint(context.checkpoint)
    found = follow(
        learner, stream.batch, batch_size=training.batch_size, checkpoint=checkpoint, name="search"
    )
    tables = size_tables(learner.model, stream.ids)
    for side, table in tables.items():
        write_table(table, output / f"{side}s.parquet")
    save_tensors(learner.state(), output / WEIGHTS_FILE)
    controller = learner.policies()
    if controller:
        save_tensors(controller, output / CONTROLLER_FILE)
    write_table(found.table(), output / TRAJECTORY_FILE)
    policy = Policy(
        kind=config.kind,
        patch=patch,
        decision={
            "sizes": {side: _counted(learner.model.side(side).counts()) for side in tables},
            "began": beginning.document(),
            "interactions": len(stream),
        },
        best_epoch=1,
        epochs=1,
    )
    policy.write(output)
    last = found.course[-1]
    return {
        "interactions": float(len(stream)),
        "training_seconds": found.seconds,
        "accuracy": last["accuracy"],
        **{f"mean_size_{side}": last[columns.MEAN_SIZE + side] for side in tables},
    }


def _counted(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(size): count for size, count in counts.items()}
