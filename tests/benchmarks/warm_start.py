"""Cold against warm, delivery after delivery: quality, epochs and training time of the same settings.

    python tests/benchmarks/warm_start.py yoochoose --parameter period --value 00 --value 01 …
        --set data=/where/it/is --workspace /tmp/warm
        [--variant 'halved rate={"warm_start": "champion", "learning_rate": 0.0025}']

Every variant is a patch of the recipe's training section. On the first delivery only the first variant
trains; from then on those with `warm_start: champion` start from their own model of the delivery before. All
variants train one after the other in one process on the same dataset, and seconds are of CPU time, so that
they may be compared with each other.

Printed for each delivery: test metrics over all test pairs, and over those alone that no earlier delivery
held ("new pairs": what a model cannot remember); epochs (the best one) and training seconds; rows carried,
fresh and lost. The differences to the first variant come with paired bootstrap intervals.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from rich.console import Console
from rich.table import Table

from components.catalog import INGEST, PREPARE
from components.core.checkpoint import Checkpoint
from components.core.recipe import RankingTraining, Recipe
from components.core.recipe.reading import read_recipe
from components.core.recipe_files import find
from components.core.stage import StageSpec, execute
from components.data.matching import positions
from components.data.parquet import read_table
from components.evaluate.ranking.scoring import Exam, grade, read_exam
from components.rec import loop
from components.rec.csr import Csr
from components.rec.data import RankingData
from components.rec.loop import Fit, Schedule, fit
from components.rec.objective import build_model
from components.rec.ranking import rank
from components.rec.ranking_learner import RankingLearner
from components.rec.warm_start import Carried, OldModel, carry_over, dataset_ids

VARIANTS = {
    "cold": {"warm_start": "none"},
    "warm": {"warm_start": "champion", "new_rows": "random"},
    "warm, mean": {"warm_start": "champion", "new_rows": "mean"},
    "warm × 0.5": {"warm_start": "champion", "warm_scale": 0.5},
    "warm × 0.3": {"warm_start": "champion", "warm_scale": 0.3},
    "warm × 0.3, mean": {"warm_start": "champion", "warm_scale": 0.3, "new_rows": "mean"},
}
METRICS = ("ndcg@20", "recall@20")
CPU = torch.device("cpu")


@dataclass
class Outcome:
    """One variant on one delivery; metrics are those of each test user."""

    metrics: Mapping[str, np.ndarray]
    new_metrics: Mapping[str, np.ndarray]
    result: Fit
    carried: Mapping[str, Carried]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe")
    parser.add_argument("--parameter", required=True)
    parser.add_argument("--value", action="append", required=True, dest="values")
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--variant", action="append", default=[], dest="variants")
    parser.add_argument("--only", action="append", default=[], help="of the variants that are known")
    options = parser.parse_args()
    loop.time = SimpleNamespace(monotonic=time.process_time)  # other load must not count
    known = {name: VARIANTS[name] for name in options.only} if options.only else VARIANTS
    added = {name: json.loads(patch) for name, _, patch in (text.partition("=") for text in options.variants)}
    variants = known | added
    models: dict[str, OldModel] = {}
    pairs: list[pa.Table] = []
    totals: dict[str, list[Outcome]] = {name: [] for name in variants}
    for value in options.values:
        recipe = read_recipe(
            find(options.recipe),
            [*options.overrides, f"{options.parameter}={value}", f"workspace={options.workspace}"],
        )
        dataset = Path(prepared(recipe))
        seed = recipe.training_seed
        exam = read_exam(dataset, recipe.evaluation.mask, CPU)
        novel = only_new(exam, pairs)
        outcomes = {}
        for name, patch in variants.items():
            if not pairs and outcomes:
                models[name] = models[next(iter(variants))]
                continue
            training = RankingTraining.model_validate({**recipe.training.model_dump(mode="json"), **patch})
            ks = recipe.evaluation.ks
            outcomes[name], models[name] = train(training, dataset, models.get(name), seed, exam, novel, ks)
            if pairs:
                totals[name].append(outcomes[name])
        pairs.append(raw_pairs(dataset))
        show(value, exam, novel, outcomes)
    if len(pairs) > 1:
        summary(totals)
    return 0


def run(recipe: Recipe, spec: StageSpec, params: Any, inputs: Mapping[str, str], below: str) -> str:
    output = f"{recipe.workspace_uri}/{below}/{{key}}"
    return execute(spec, params, inputs, output).uri


def prepared(recipe: Recipe) -> str:
    params = recipe.stage_params()
    raw = run(recipe, INGEST, params["ingest"], recipe.source.locations(), "interactions")
    return run(recipe, PREPARE, params["prepare"], {"interactions": raw}, "dataset")


def train(
    training: RankingTraining,
    dataset: Path,
    before: OldModel | None,
    seed: int,
    exam: Exam,
    novel: Exam,
    ks: Sequence[int],
) -> tuple[Outcome, OldModel]:
    """As the retrain stage does it, without its files."""
    data = RankingData.load(dataset, CPU)
    model, ids = build_model(training, data, seed), dataset_ids(dataset)
    warm = before is not None and training.warm_start == "champion"
    carried = carry_over(model, ids, before, training.new_rows, training.warm_scale) if warm else {}
    schedule = Schedule.of(training, from_start=warm)
    learner = RankingLearner(training, data, model, seed)
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Checkpoint(f"{scratch}/model", Path(scratch), "")
        result = fit(learner, data, schedule, seed=seed, checkpoint=checkpoint, name="train")
    model.load_state_dict(result.weights)
    with torch.no_grad():
        tables = model.tables()
    found = [
        grade(rank(tables.users[asked.users], tables.items, asked.seen, max(ks)), asked, ks)
        for asked in (exam, novel)
    ]
    return Outcome(*found, result, carried), OldModel(weights=result.weights, ids=ids)


def raw_pairs(dataset: Path) -> pa.Table:
    """Every pair of a delivery as raw ids."""
    ids = {
        side: read_table(dataset / f"{side}s.parquet")[f"{side}_id"].combine_chunks()
        for side in ("user", "item")
    }
    parts = [
        read_table(dataset / f"{part}.parquet").select(["user", "item"])
        for part in ("train", "valid", "test")
    ]
    table = pa.concat_tables(parts)
    return pa.table({side: ids[side].take(table[side].combine_chunks()) for side in ids})


def only_new(exam: Exam, earlier: Sequence[pa.Table]) -> Exam:
    """The exam without what an earlier delivery held, and without users of whom nothing is left."""
    known = np.zeros(len(exam.relevant.values), bool)
    user = exam.users[exam.relevant.rows].numpy()
    code = user * len(exam.item_ids) + exam.relevant.values.numpy()
    for pairs in earlier:
        place = [
            positions(pairs[side].combine_chunks(), ids)
            for side, ids in (("user", exam.user_ids), ("item", exam.item_ids))
        ]
        both = (place[0] >= 0) & (place[1] >= 0)
        known |= np.isin(code, place[0][both] * len(exam.item_ids) + place[1][both])
    kept = torch.from_numpy(~known)
    relevant = Csr.from_pairs(exam.relevant.rows[kept], exam.relevant.values[kept], len(exam.users))
    row = torch.nonzero(relevant.counts).flatten()
    return replace(exam, users=exam.users[row], relevant=relevant.select(row), seen=exam.seen.select(row))


def interval(difference_Q: np.ndarray, resamples: int = 2000) -> tuple[float, float]:
    generator = np.random.default_rng(1)
    counts = generator.multinomial(
        len(difference_Q), np.full(len(difference_Q), 1 / len(difference_Q)), resamples
    )
    low, high = np.quantile(counts @ difference_Q / len(difference_Q), [0.025, 0.975])
    return float(low), float(high)


def show(value: str, exam: Exam, novel: Exam, outcomes: Mapping[str, Outcome]) -> None:
    first = next(iter(outcomes.values()))
    title = (
        f"{value}: {len(exam.user_ids):,} users, {len(exam.item_ids):,} items; {len(exam.users):,} test "
        f"users, {len(exam.relevant.values):,} test pairs, {len(novel.relevant.values):,} of them new"
    )
    table = Table(
        "variant", *METRICS, "ndcg@20 − first", *(f"{name}, new pairs" for name in METRICS), "epochs (best)",
        "seconds", "ratio", "users c/f/l", "items c/f/l", title=title,
    )  # fmt: skip
    for name, outcome in outcomes.items():
        difference = outcome.metrics[METRICS[0]] - first.metrics[METRICS[0]]
        low, high = interval(difference)
        carried = [
            f"{became.carried}/{became.fresh}/{became.lost}"
            for became in (outcome.carried.get(name) for name in ("users", "items"))
            if became
        ]
        table.add_row(
            name,
            *(f"{outcome.metrics[metric].mean():.4f}" for metric in METRICS),
            "" if outcome is first else f"{difference.mean():+.4f} [{low:+.4f}, {high:+.4f}]",
            *(f"{outcome.new_metrics[metric].mean():.4f}" for metric in METRICS),
            f"{outcome.result.epochs} ({outcome.result.best_epoch})",
            f"{outcome.result.seconds:.1f}",
            f"{outcome.result.seconds / first.result.seconds:.2f}",
            *carried,
        )
    Console(width=190).print(table)


def summary(totals: Mapping[str, Sequence[Outcome]]) -> None:
    """Means over the deliveries that came after another."""
    first = next(iter(totals.values()))
    table = Table(
        "variant",
        *METRICS,
        *(f"{name}, new pairs" for name in METRICS),
        "epochs",
        "seconds",
        "ratio",
        title="means over all but the first",
    )
    for name, outcomes in totals.items():
        table.add_row(
            name,
            *(f"{np.mean([o.metrics[metric].mean() for o in outcomes]):.4f}" for metric in METRICS),
            *(f"{np.mean([o.new_metrics[metric].mean() for o in outcomes]):.4f}" for metric in METRICS),
            f"{np.mean([o.result.epochs for o in outcomes]):.1f}",
            f"{sum(o.result.seconds for o in outcomes):.1f}",
            f"{sum(o.result.seconds for o in outcomes) / sum(o.result.seconds for o in first):.2f}",
        )
    Console(width=190).print(table)


if __name__ == "__main__":
    sys.exit(main())
