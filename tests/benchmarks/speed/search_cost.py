"""What AutoSample costs: a search step with T samplers against a step with one, and search + retrain against
training with every candidate.

python -m tests.benchmarks.speed.search_cost [--model mf|lightgcn|ngcf]
python -m tests.benchmarks.speed.search_cost --recipe FILE --dataset DIR [--set KEY=VALUE …]

Steps are measured on a set like Alibaba's. With a recipe and the dataset artifact that it led to, both ways
of finding a sampler are run on it until they stop by themselves: the recipe's search with its retraining, and
one training from random weights with each of the search's candidates.
"""

import argparse
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch

from components.core.checkpoint import Checkpoint
from components.core.recipe import Recipe
from components.core.recipe.ranking import RankingTraining
from components.core.recipe.reading import read_recipe
from components.core.recipe.search import AutoSample
from components.rec.allocator import keep_large_buffers
from components.rec.data import RankingData
from components.rec.learner import Learner
from components.rec.loop import Fit, Schedule, fit
from components.rec.objective import build_model
from components.rec.ranking_learner import RankingLearner
from components.rec.searchers.autosample import AutoSampleLearner, search
from tests.benchmarks.speed import agreement, generated, machine
from tests.benchmarks.speed.peers.base import BATCH_SIZE
from tests.benchmarks.speed.side_by_side import Competitor, Work, number, rates, table
from tests.benchmarks.speed.training import epochs

# AOBPR by factor ranks; else as a recipe has them where it says no more
SAMPLERS: tuple[dict[str, object], ...] = (
    {"kind": "uniform"},
    {"kind": "popularity"},
    {"kind": "dns"},
    {"kind": "aobpr", "ranks": "factors"},
)
_EXACT: dict[str, object] = {"kind": "aobpr"}
_AIM = 0.25  # of a step with one sampler, for each further one


class _NoCheckpoint(Checkpoint):
    """Nothing is saved: only the training is measured."""

    def __init__(self) -> None:
        pass

    def load(self) -> None:
        return None

    def save(self, write: object) -> None:
        pass


def one_step(kind: str, sampler: Mapping[str, object]) -> Work:
    """Plain training with a single sampler."""
    data, section = _prepare(kind)
    section = _with_sampler(section, sampler)
    return _stepping(RankingLearner(section, data, build_model(section, data, seed=0), seed=0), data)


def search_step(kind: str, count: int) -> Work:
    """AutoSample with the first `count` samplers."""
    data, section = _prepare(kind)
    config = _autosample(count)
    return _stepping(AutoSampleLearner(config, section, data, build_model(section, data, 0), 0), data)


def cost_of_steps(kind: str, *, seconds: float, rounds: int) -> str:
    """A table: steps with one sampler, and search steps with 1 … T."""
    field = {
        f"training with {sampler['kind']}": Competitor(partial(one_step, kind, sampler), tuned=True)
        for sampler in SAMPLERS
    }
    field["training with aobpr, exact"] = Competitor(partial(one_step, kind, _EXACT), tuned=True)
    field |= {
        f"search, T = {count}": Competitor(partial(search_step, kind, count), tuned=True)
        for count in range(1, len(SAMPLERS) + 1)
    }
    measured = rates(field, rounds=rounds, seconds=seconds)
    one, alone = measured["training with uniform"], measured["search, T = 1"]
    rows = []
    for name, rate in measured.items():
        count = int(name[-1]) if name.startswith("search") else 1
        aim = f"{1 + _AIM * (count - 1):.2f}" if name.startswith("search") else ""
        step = f"{BATCH_SIZE / rate * 1e3:.2f}"
        rows.append((name, number(rate), step, f"{one / rate:.2f}", f"{alone / rate:.2f}", aim))
    return table(("", "positives/s", "ms a step", "× uniform alone", "× search with T = 1", "aim"), rows)


def cost_in_all(recipe: Recipe, dataset: Path) -> str:
    """A table: seconds of search and retrain, and of training with each candidate."""
    config, training = recipe.search, recipe.training
    assert isinstance(config, AutoSample)
    keep_large_buffers()
    data = RankingData.load(dataset, torch.device("cpu"))
    for sampler in config.samplers:  # compiles what compiles
        _train(training.model_copy(update={"sampler": sampler, "epochs": 1}), data)

    start = time.perf_counter()
    found = search(config, training, data, seed=recipe.training_seed, checkpoint=_NoCheckpoint())
    searched = time.perf_counter() - start
    chosen = RankingTraining.model_validate(training.model_dump(by_alias=True) | found.policy.patch)
    retrained, retraining = _train(chosen, data, found.weights)
    total = searched + retraining
    outcome = _outcome(found.trajectory)
    rows = [
        ("search", f"{searched:.1f}", *outcome),
        (f"retrain with {chosen.sampler.kind}", f"{retraining:.1f}", *_outcome(retrained)),
    ]
    every = 0.0
    for sampler in config.samplers:
        result, seconds = _train(training.model_copy(update={"sampler": sampler}), data)
        every += seconds
        rows.append((f"from random weights with {sampler.kind}", f"{seconds:.1f}", *_outcome(result)))
    title = f"\nsearch + retrain {total:.1f} s, every candidate {every:.1f} s: {total / every:.2f} ×\n\n"
    return title + table(("", "seconds", "epochs", f"best {training.metric}", "in epoch"), rows)


def _prepare(kind: str) -> tuple[RankingData, RankingTraining]:
    return generated.alibaba().ranking_data(), agreement.training(kind, batch_size=BATCH_SIZE)


def _autosample(count: int) -> AutoSample:
    whole = AutoSample.model_validate({"samplers": SAMPLERS})
    return whole.model_copy(update={"samplers": whole.samplers[:count]})  # one alone is no valid recipe


def _with_sampler(section: RankingTraining, sampler: Mapping[str, object]) -> RankingTraining:
    return RankingTraining.model_validate(section.model_dump(by_alias=True) | {"sampler": sampler})


def _stepping(learner: Learner, data: RankingData) -> Work:
    batches = epochs(learner, data)

    def step() -> int:
        batch = next(batches)
        learner.step(batch)
        return len(batch)

    return step


def _train(
    section: RankingTraining, data: RankingData, weights: Mapping[str, torch.Tensor] | None = None
) -> tuple[Fit, float]:
    start = time.perf_counter()
    model = build_model(section, data, seed=0)
    if weights is not None:
        model.load_state_dict(weights)
    schedule = Schedule.of(section, from_start=weights is not None)
    learner = RankingLearner(section, data, model, seed=0)
    result = fit(learner, data, schedule, seed=0, checkpoint=_NoCheckpoint(), name="train")
    return result, time.perf_counter() - start


def _outcome(result: Fit) -> tuple[str, str, str]:
    return str(result.epochs), f"{result.best_value:.4f}", str(result.best_epoch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", choices=["mf", "lightgcn", "ngcf"], default="mf")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--recipe", type=Path, help="both ways in all, as this recipe has them")
    parser.add_argument("--dataset", type=Path, help="the dataset artifact that the recipe led to")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of `recloop run`")
    arguments = parser.parse_args()
    print(machine.measure(), "\n", flush=True)
    if arguments.recipe:
        recipe = read_recipe(arguments.recipe, arguments.set)
        print(cost_in_all(recipe, arguments.dataset))
    else:
        print(cost_of_steps(arguments.model, seconds=arguments.seconds, rounds=arguments.rounds))


if __name__ == "__main__":
    main()
