"""A training's test metrics, epoch after epoch, beside points that somebody else published.

    python tests/benchmarks/convergence.py gowalla --set data=/where/it/is --workspace /tmp/curve
        [--curve curve.csv] [--every 5] [--minutes 60] [--published 1000=0.1824/0.1547]

The test part is read at every point, so nothing may be chosen by this curve: it shows how far a training has
come whose settings are given. Seconds are of training alone, without the tests. Printed for each point are
recall@20, ndcg@20 and precision@20, a published point (its recall and ndcg) on the same line.
"""

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib.figure import Figure

from components.core.checkpoint import Checkpoint
from components.core.columns import EPOCH, TRAIN_LOSS
from components.core.recipe.reading import read_recipe
from components.core.recipe_files import find
from components.evaluate.ranking.scoring import grade, read_exam
from components.rec.allocator import keep_large_buffers
from components.rec.data import RankingData, choose_device
from components.rec.loop import Schedule, fit
from components.rec.objective import build_model
from components.rec.ranking import rank
from components.rec.ranking_learner import RankingLearner
from tests.benchmarks.warm_start import prepared

K = 20
METRICS = (f"recall@{K}", f"ndcg@{K}", f"precision@{K}")
COLUMNS = (EPOCH, "seconds", TRAIN_LOSS, *METRICS)


class TimeIsUp(Exception):  # noqa: N818
    pass


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--every", type=int, default=5, help="epochs between two tests")
    parser.add_argument("--minutes", type=float, default=60.0, help="of training and tests together")
    parser.add_argument("--published", action="append", default=[], metavar="EPOCH=RECALL/NDCG")
    parser.add_argument("--curve", type=Path, default=Path("curve.csv"))
    options = parser.parse_args()
    published = {int(epoch): told for epoch, _, told in (text.partition("=") for text in options.published)}
    recipe = read_recipe(find(options.recipe), [*options.overrides, f"workspace={options.workspace}"])
    training, dataset = recipe.training, Path(prepared(recipe))

    keep_large_buffers()
    device = choose_device(training.device)
    data, exam = RankingData.load(dataset, device), read_exam(dataset, recipe.evaluation.mask, device)
    model = build_model(training, data, recipe.training_seed)
    endless = dict.fromkeys(("epochs", "patience", "validate_every"), sys.maxsize)
    schedule = Schedule.of(training, **endless)
    began, tested = time.monotonic(), 0.0
    lines: list[Mapping[str, float]] = []

    def watch(record: Mapping[str, float]) -> None:
        nonlocal tested
        epoch, now = int(record[EPOCH]), time.monotonic()
        last = now - began > 60 * options.minutes
        if last or epoch % options.every == 0 or epoch in published:
            with torch.no_grad():
                tables = model.tables()
                ranked = rank(tables.users[exam.users], tables.items, exam.seen, K)
            found = {name: float(value.mean()) for name, value in grade(ranked, exam, (K,)).items()}
            seconds = round(now - began - tested, 1)
            lines.append({EPOCH: epoch, "seconds": seconds, TRAIN_LOSS: record[TRAIN_LOSS], **found})
            write(options.curve, lines)
            told = "  ".join(f"{name} {found[name]:.4f}" for name in METRICS)
            beside = f"  published {published[epoch]}" if epoch in published else ""
            print(
                f"epoch {epoch}  {seconds:.0f} s  loss {record[TRAIN_LOSS]:.4f}  {told}{beside}", flush=True
            )
            tested += time.monotonic() - now
        if last:
            raise TimeIsUp

    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Checkpoint(f"{scratch}/model", Path(scratch), "")
        try:
            learner = RankingLearner(training, data, model, recipe.training_seed)
            fit(
                learner,
                data,
                schedule,
                seed=recipe.training_seed,
                checkpoint=checkpoint,
                name="curve",
                watch=watch,
            )
        except TimeIsUp:
            pass
    draw(options.curve, published)
    return 0


def draw(curve: Path, published: Mapping[int, str]) -> None:
    """As an SVG of the same name."""
    with curve.open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    figure = Figure(figsize=(6.0, 3.6), layout="constrained")
    panel = figure.subplots()
    for place, (name, colour) in enumerate(((METRICS[0], "#4269d0"), (METRICS[1], "#efb118"))):
        panel.plot(
            [int(line[EPOCH]) for line in lines],
            [float(line[name]) for line in lines],
            color=colour,
            label=name,
        )
        points = {epoch: float(told.split("/")[place]) for epoch, told in published.items()}
        panel.plot(
            [*points], [*points.values()], "o", color=colour, fillstyle="none", label=f"{name}, published"
        )
    panel.set(xlabel="epoch", xscale="log")
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False)
    with mpl.rc_context({"svg.hashsalt": curve.stem}):
        figure.savefig(curve.with_suffix(".svg"), metadata={"Date": None})


def write(place: Path, lines: list[Mapping[str, float]]) -> None:
    with place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)


if __name__ == "__main__":
    sys.exit(main())
