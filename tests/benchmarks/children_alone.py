"""What sharing weights saves, and what it costs: the children that an AMER search fine-tuned, each trained
alone from random weights as the recipe trains.

python -m tests.benchmarks.children_alone RECIPE POLICY DATASET [--set KEY=VALUE …] [--seed 1]

POLICY and DATASET are the artifacts of a run of the recipe. Seconds of the search are those of everything
that it trained and looked at. Of a search in several steps the children are the last step's.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch

from components.core.checkpoint import Checkpoint
from components.core.manifest import read_manifest
from components.core.policy import Policy
from components.core.recipe import ClassificationTraining, RankingTraining
from components.core.recipe.reading import read_recipe
from components.metrics.direction import gain
from components.rec.classification import ClassificationLearner, build_classifier, build_loss
from components.rec.data import RankingData
from components.rec.fields import FieldData
from components.rec.learner import Learner
from components.rec.loop import Fit, Schedule, TrainingData, fit
from components.rec.objective import build_model, passes_of
from components.rec.ranking_learner import RankingLearner
from tests.benchmarks.speed.side_by_side import table

CPU = torch.device("cpu")


def alone(training: Any, dataset: Path, seed: int) -> Fit:
    """A child from random weights."""
    learner: Learner
    data: TrainingData
    if isinstance(training, RankingTraining):
        pairs = RankingData.load(dataset, CPU, in_time=True)
        learner = RankingLearner(training, pairs, build_model(training, pairs, seed), seed)
        data = passes_of(training, pairs)
    else:
        assert isinstance(training, ClassificationTraining)
        data = fields = FieldData.load(dataset, CPU)
        model, loss = build_classifier(training, fields, seed), build_loss(training.loss, fields, None, seed)
        learner = ClassificationLearner(training, fields, model, loss, seed)
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Checkpoint(f"{scratch}/model", Path(scratch), "key")
        return fit(learner, data, Schedule.of(training), seed=seed, checkpoint=checkpoint, name="alone")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("policy", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    training: Any = read_recipe(arguments.recipe, arguments.overrides).training
    policy = Policy.read(arguments.policy)
    training = policy.apply(training)
    best = policy.decision.get("best") or policy.decision["blocks"]["best"]
    rows, total, values = [], 0.0, []
    for child in best:
        patch = Policy(kind="amer", patch=child["patch"], decision={}, best_epoch=0, epochs=0)
        found = alone(patch.apply(training), arguments.dataset, arguments.seed)
        total += found.seconds
        values.append(gain(training.metric, found.best_value))
        measured = child["shared"], child["fine_tuned"], found.best_value
        rows.append((child["child"], *(f"{value:.4f}" for value in measured), f"{found.seconds:,.0f}"))
        print(" | ".join(rows[-1]), flush=True)
    searched = read_manifest(str(arguments.policy)).metrics["training_seconds"]
    print(f"\n{table(('child', 'shared', 'fine-tuned', 'alone', 's'), rows)}\n")
    print(
        f"search {searched:,.0f} s; all {len(rows)} alone {total:,.0f} s, {total / searched:.2f} times that; "
        f"the best alone is number {values.index(max(values)) + 1} of the search's order"
    )


if __name__ == "__main__":
    main()
