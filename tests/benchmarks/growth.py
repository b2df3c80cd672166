"""What there is to win by growing embeddings: ESAPN against networks that always, or never, say that an
embedding should grow, and against one size for all, on one stream.

python -m tests.benchmarks.growth DIR [--seeds 1 2 3] [--sizes 2 8 64 128]

DIR is the dataset artifact of a recipe that follows a stream. Accuracy and loss are those of the tail (the
squared error of two classes, the cross-entropy of several).
"""

import argparse
import tempfile
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Final

import torch

from components.core.checkpoint import Checkpoint
from components.core.recipe import StreamTraining
from components.rec.streaming.building import build_learner
from components.rec.streaming.data import NO_IDS, StreamData
from components.rec.streaming.esapn import EsapnLearner
from components.rec.streaming.following import follow
from components.rec.streaming.learner import StreamLearner
from tests.benchmarks.speed.side_by_side import table

_SURE: Final = 20.0  # a logit
_FROZEN: Final = 1e-12  # a learning rate


def learner_of(way: str, num_classes: int, seed: int) -> StreamLearner:
    """`ESAPN`, `always`, `never`, or a size for all."""
    embedding: dict[str, Any] = {"kind": "esapn"}
    if way.isdecimal():
        embedding = {"kind": "fixed", "size": int(way)}
    elif way != "ESAPN":
        embedding["policy_learning_rate"] = _FROZEN
    training = StreamTraining.model_validate({"embedding": embedding})
    learner = build_learner(training, num_classes, seed)
    if way in {"always", "never"}:
        assert isinstance(learner, EsapnLearner)
        policies = learner.policies()
        for side in ("user", "item"):
            policies[f"{side}.output.weight"] = torch.zeros_like(policies[f"{side}.output.weight"])
            policies[f"{side}.output.bias"] = torch.tensor([0.0, _SURE if way == "always" else -_SURE])
        none = torch.empty(0, dtype=torch.int64)
        learner.adopt(policies, {"user": none, "item": none})
    return learner


def measure(way: str, stream: StreamData, tail: int, seed: int) -> tuple[float, float, float]:
    """Accuracy and loss of the tail, and all numbers as a share of those of the largest size for all."""
    learner = learner_of(way, len(stream.classes), seed)
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Checkpoint(f"{scratch}/artifact", Path(scratch), "key")
        found = follow(learner, stream.batch, batch_size=500, checkpoint=checkpoint, name=way, tail=tail)
    right_N = found.said["probability"].argmax(dim=1) == stream.batch.label_B[-tail:]
    numbers = ids = 0
    for side in ("user", "item"):
        embeddings = learner.model.side(side)
        numbers += sum(size * count for size, count in embeddings.counts().items())
        ids += len(embeddings)
    return float(right_N.double().mean()), float(found.said["loss"].mean()), numbers / (128 * ids)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 8, 64, 128])
    arguments = parser.parse_args()
    whole = StreamData.load(arguments.dataset, ["train", "test"], NO_IDS)
    tail = len(StreamData.load(arguments.dataset, ["test"], NO_IDS))
    rows = []
    for way in (*map(str, arguments.sizes), "ESAPN", "always", "never"):
        runs = [measure(way, whole, tail, seed) for seed in arguments.seeds]
        accuracy, loss, share = zip(*runs, strict=True)
        spread = f" ± {stdev(accuracy):.4f}" if len(runs) > 1 else ""
        rows.append((way, f"{fmean(accuracy):.4f}{spread}", f"{fmean(loss):.4f}", f"{fmean(share):.1%}"))
        print(rows[-1], flush=True)
    print(f"\n{table(('grows', 'accuracy', 'loss', 'numbers'), rows)}")


if __name__ == "__main__":
    main()
