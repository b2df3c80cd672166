"""Training examples per second of classifiers, and what AutoLoss costs: on a generated set like Criteo's,
with 39 fields, embeddings of 16, two layers of 128, batches of 2,000 (AutoLoss §3.3).

python -m tests.benchmarks.speed.classifiers [--model deepfm …] [--values 1000000] [--seconds S] [--rounds N]
python -m tests.benchmarks.speed.classifiers --sizes [--model deepfm]

Values of a field come by a power law. With --sizes, one model is trained on tables from ten thousand to a
million values: a step should cost what its batch costs.
"""

import argparse
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import torch

from components.core.recipe import ClassificationTraining
from components.core.recipe.search import AutoLoss
from components.rec.classification import ClassificationLearner, build_classifier, build_loss
from components.rec.data import choose_device
from components.rec.fields import ExampleBatch, Examples, FieldData, FieldTable, Layout
from components.rec.learner import Learner
from components.rec.searchers.autoloss import AutoLossLearner
from tests.benchmarks.speed import machine
from tests.benchmarks.speed.side_by_side import Competitor, Work, number, rates, table

MODELS: Final = ("deepfm", "ipnn", "nfm", "autoint", "wide_deep", "dcn", "xdeepfm")
_NUM_FIELDS: Final = 39
_NUM_EXAMPLES: Final = 200_000
_BATCH_SIZE: Final = 2000
_EXPONENT: Final = 1.05  # of the power law by which values come
_SIZES: Final = (10_000, 100_000, 1_000_000)


def examples(num_values: int, num_examples: int, seed: int, device: torch.device) -> Examples:
    """Examples whose fields have the same number of values, and together `num_values`."""
    size = num_values // _NUM_FIELDS
    layout = Layout(tuple(FieldTable(f"f{n}", "categorical", None, size) for n in range(_NUM_FIELDS)))
    generator = torch.Generator().manual_seed(seed)
    uniform_NF = torch.rand(num_examples, _NUM_FIELDS, generator=generator)
    # the inverse of a truncated power law's distribution function
    rank_NF = ((size ** (1 - _EXPONENT) - 1) * uniform_NF + 1) ** (1 / (1 - _EXPONENT))
    code_NF = rank_NF.clamp(0, size - 1).int()
    label_N = (torch.rand(num_examples, generator=generator) < 0.25).long()
    return Examples(layout, code_NF.to(device), (), label_N.to(device))


def data_of(num_values: int, device: torch.device) -> FieldData:
    """Train and validation examples."""
    train = examples(num_values, _NUM_EXAMPLES, 1, device)
    return FieldData(train.layout, ("0", "1"), train, examples(num_values, _NUM_EXAMPLES // 8, 2, device))


def training(kind: str, num_values: int, device: str, search: dict[str, Any] | None = None) -> Work:
    """One step at a time, with a fixed loss or with AutoLoss."""
    place = choose_device(device)
    data = data_of(num_values, place)
    section = ClassificationTraining.model_validate(
        {"model": {"kind": kind}, "batch_size": _BATCH_SIZE, "device": device}
    )
    model = build_classifier(section, data, seed=0)
    learner: Learner
    if search is None:
        learner = ClassificationLearner(section, data, model, build_loss(section.loss, data, None, 0), 0)
    else:
        learner = AutoLossLearner(AutoLoss.model_validate(search), section, data, model, 0)
    batches = _epochs(learner, data)

    def step() -> int:
        batch = next(batches)
        learner.step(batch)
        if place.type == "cuda":
            torch.cuda.synchronize()
        return len(batch)

    return step


def _epochs(learner: Learner, data: FieldData) -> Iterator[ExampleBatch]:
    """Batches without end, closing an epoch before the next begins."""
    order = torch.Generator().manual_seed(0)
    while True:
        yield from data.batches(_BATCH_SIZE, order)
        learner.end_epoch()


WAYS: Final[dict[str, dict[str, Any] | None]] = {
    "cross-entropy": None,
    "AutoLoss, f = 7": {"every": 7},
    "AutoLoss, f = 1": {"every": 1},
    "AutoLoss, f = 7, eq. 13": {"every": 7, "lookahead": 1e-3},
    "AutoLoss, f = 1, eq. 13": {"every": 1, "lookahead": 1e-3},
}


def by_way(kind: str, num_values: int, device: str, *, seconds: float, rounds: int) -> str:
    """A table: what each way of training takes."""
    field = {
        name: Competitor(partial(training, kind, num_values, device, search), tuned=True)
        for name, search in WAYS.items()
    }
    measured = rates(field, rounds=rounds, seconds=seconds)
    plain, each = measured["cross-entropy"], measured["AutoLoss, f = 1"]
    rows = [
        (name, number(rate), f"{plain / rate:.2f}", f"{each / rate:.2f}") for name, rate in measured.items()
    ]
    return table((kind, "examples/s", "× time of cross-entropy", "× time of f = 1"), rows)


def by_size(kind: str, device: str, *, seconds: float, rounds: int) -> str:
    """A table: what a step takes with larger and larger tables."""
    field = {f"{size:,}": Competitor(partial(training, kind, size, device), tuned=True) for size in _SIZES}
    measured = rates(field, rounds=rounds, seconds=seconds)
    first = measured[f"{_SIZES[0]:,}"]
    rows = [(name, number(rate), f"{first / rate:.2f}") for name, rate in measured.items()]
    return table((f"{kind}, values", "examples/s", "× time of the smallest"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--values", type=int, default=1_000_000, help="of all fields together")
    parser.add_argument("--sizes", action="store_true", help="compare tables instead of ways")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a turn")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(machine.measure(), flush=True)
    how = {"seconds": arguments.seconds, "rounds": arguments.rounds}
    for kind in arguments.model:
        found = (
            by_size(kind, arguments.device, **how)
            if arguments.sizes
            else by_way(kind, arguments.values, arguments.device, **how)
        )
        print(f"\n{found}", flush=True)


if __name__ == "__main__":
    main()
