"""What a study of sizes found, as tables in the form of ESAPN's."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any, Final

import numpy as np
import pandas as pd

from components.core.columns import EMBEDDING_SIZE, INTERACTIONS, LABEL, PROBABILITIES, SEEN
from components.core.policy import TRAJECTORY_FILE
from components.data.document import read_document
from components.data.embedding_sizes import EmbeddingSizes
from components.metrics.classification import per_example
from components.study import leading
from components.study.comparing import Comparison, Outcomes, compare
from components.study.conducting import Part
from components.study.results import read
from components.study.running import Outcome
from components.study.sizes.conducting import Results
from components.study.sizes.grid import Method
from components.study.sizes.schema import SizesStudy

Pair = tuple[str, str]  # of data and model
Tables = dict[Pair, Comparison]
SIDES: Final = {"user": "users", "item": "items"}
BINS: Final = (0, 1, 2, 4, 8, 16, 32, 64, 128)  # times that an id was seen: where the bins of Figure 4 begin
MOST: Final = 50  # times, in Figure 5
_PARTS: Final = 100  # of a course
_HEADS: Final = {"accuracy": "accuracy ↑", "mse": "MSE ↓", "logloss": "cross-entropy ↓", "auc": "AUC ↑"}
_TWO_CLASSES: Final = ("accuracy", "mse", "auc")
_SEVERAL: Final = ("accuracy", "logloss", "auc")


def overall(study: SizesStudy, results: Results, part: Part) -> Tables:
    """Table 1, by data and model: of two classes accuracy and MSE, of several accuracy and cross-entropy; and
    AUC."""
    methods = {name: Method(name) for name in study.methods}
    found = {}
    for data, model in part.pairs:
        ran = [cell for cell in results.outcomes if (cell.data, cell.model) == (data, model)]
        classes = {len(results.recipes[cell].source.label.classes) for cell in ran}
        metrics = _TWO_CLASSES if classes == {2} else _SEVERAL
        one = compare(results, data, model, methods, metrics)
        if one is not None:
            found[data, model] = one
    return found


def leads(study: SizesStudy, found: Comparison) -> pd.DataFrame:
    """`ours` against the best baseline, one row a metric; empty where it did not run."""
    return leading.leads(found, study.ours, found.metrics)


def markdown(study: SizesStudy, found: Comparison) -> Iterator[str]:
    """Means, deviations and ranks, with the marks of `ours`."""
    return leading.markdown(found, study.ours, _HEADS, leads(study, found))


def memory(study: SizesStudy, found: Comparison) -> pd.DataFrame:
    """Table 2: of each method and side the embeddings of each size, all their numbers and their bytes, means
    over seeds; `numbers_ratio` and `bytes_ratio` are of those of `fixed`."""
    rows = []
    for method, outcomes in found.outcomes.items():
        for side in SIDES:
            sizes = [_sizes(outcome, side) for outcome in outcomes.values()]
            counts = {size: fmean(one.counts[size] for one in sizes) for size in sizes[0].counts}
            row = {"method": method, "side": side, **{f"size_{size}": n for size, n in counts.items()}}
            row["numbers"] = fmean(one.numbers for one in sizes)
            row["bytes"] = fmean(one.taken for one in sizes)
            rows.append(row)
    table = pd.DataFrame(rows, columns=list(_memory_columns(rows)))
    for name in ("numbers", "bytes"):
        fixed = table[table["method"] == study.fixed].set_index("side")[name]
        table[f"{name}_ratio"] = table[name] / table["side"].map(fixed)
    return table


def _memory_columns(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Sizes ascending, though some methods have them all and others one."""
    sizes = {int(name.removeprefix("size_")) for row in rows for name in row if name.startswith("size_")}
    yield from ("method", "side", *(f"size_{size}" for size in sorted(sizes)), "numbers", "bytes")


def _sizes(outcome: Outcome, side: str) -> EmbeddingSizes:
    training = read_document(Path(outcome.places["model"]) / "training.json")
    return EmbeddingSizes.of(training["sides"][side])


def speed(study: SizesStudy, found: Comparison) -> pd.DataFrame:
    """Interactions in a second over the whole stream, medians over seeds, by method; `ratio` is of that of
    `fixed`."""
    rates = {name: median(map(_rate, outcomes.values())) for name, outcomes in found.outcomes.items()}
    table = pd.DataFrame({"method": list(rates), "rate": list(rates.values())})
    return table.assign(ratio=table["rate"] / rates.get(study.fixed, float("nan")))


def _rate(outcome: Outcome) -> float:
    stages = [outcome.metrics[stage] for stage in ("search", "retrain")]
    passed = sum(one.get("interactions", 0.0) for one in stages)
    return passed / sum(one["training_seconds"] for one in stages)


def by_frequency(found: Comparison, metric: str) -> pd.DataFrame:
    """Figure 4: a metric over the interactions of the tail whose user, or item, was seen so often before;
    means over seeds. Columns method, side, seen (where the bin begins), value, interactions."""
    rows = []
    for method, outcomes in found.outcomes.items():
        for side in SIDES:
            total, count = _binned(outcomes, side, metric)
            rows += [
                {
                    "method": method,
                    "side": side,
                    "seen": low,
                    "value": total[place] / count[place],
                    "interactions": int(count[place]) // len(outcomes),
                }
                for place, low in enumerate(BINS)
                if count[place]
            ]
    return pd.DataFrame(rows)


def _binned(outcomes: Outcomes, side: str, metric: str) -> tuple[np.ndarray, np.ndarray]:
    total, count = np.zeros(len(BINS)), np.zeros(len(BINS))
    for outcome in outcomes.values():
        answers = read(outcome, "evaluation", "per_example.parquet", [LABEL, PROBABILITIES])
        values = per_example(np.stack(answers[PROBABILITIES].tolist()), answers[LABEL].to_numpy())[metric]
        seen = read(outcome, "model", "predictions.parquet", [f"{side}_{SEEN}"])[f"{side}_{SEEN}"].to_numpy()
        place = np.searchsorted(BINS, seen, side="right") - 1
        total += np.bincount(place, values, minlength=len(BINS))
        count += np.bincount(place, minlength=len(BINS))
    return total, count


def sizes_by_frequency(outcomes: Outcomes) -> pd.DataFrame:
    """Figure 5: the mean size of the embeddings of ids that had been seen so often, in the tail; means over
    seeds. Columns side, seen, size."""
    rows = []
    for side in SIDES:
        columns = [f"{side}_{SEEN}", f"{side}_{EMBEDDING_SIZE}"]
        frame = pd.concat(
            [read(outcome, "model", "predictions.parquet", columns) for outcome in outcomes.values()]
        )
        few = frame[frame[columns[0]] <= MOST]
        means = few.groupby(columns[0])[columns[1]].mean()
        pairs = zip(means.index.to_list(), means.to_list(), strict=True)
        rows += [{"side": side, "seen": times, "size": size} for times, size in pairs]
    return pd.DataFrame(rows)


def course(outcomes: Outcomes) -> pd.DataFrame:
    """Accuracy of each hundredth of the whole stream, mean over seeds, by the interactions up to its end."""
    frames = []
    for outcome in outcomes.values():
        before, after = read(outcome, "policy", TRAJECTORY_FILE), read(outcome, "model", "history.parquet")
        first = before[INTERACTIONS].iloc[-1] if len(before) else 0
        parts = [before, after.assign(**{INTERACTIONS: after[INTERACTIONS] + first})]
        one = pd.concat([part[[INTERACTIONS, "accuracy"]] for part in parts if len(part)])
        weight = np.diff(one[INTERACTIONS], prepend=0)
        part = -(-one[INTERACTIONS].to_numpy() * _PARTS // one[INTERACTIONS].iloc[-1])
        right = pd.Series(one["accuracy"].to_numpy() * weight).groupby(part).sum()
        frames.append(right / pd.Series(weight).groupby(part).sum())
    num = int(one[INTERACTIONS].iloc[-1])
    together = pd.concat(frames, axis=1).mean(axis=1)
    ends = [num * int(place) // _PARTS for place in together.index]
    return pd.DataFrame({INTERACTIONS: ends, "accuracy": together.to_numpy()})
