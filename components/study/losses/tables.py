"""What a study of losses found, as tables in the form of AutoLoss's."""

import math
from collections.abc import Iterator, Mapping
from statistics import fmean, median
from typing import Final

import pandas as pd

from components.study import leading
from components.study.comparing import Comparison, Outcomes, compare
from components.study.conducting import Part
from components.study.losses.conducting import Results
from components.study.losses.grid import Method, Pair, pairs, targets, transferred, updated
from components.study.losses.schema import LossesStudy, Where

RANKED: Final = ("auc", "logloss")  # the paper's
METRICS: Final = (*RANKED, "ece")
_HEADS: Final = {"auc": "AUC ↑", "logloss": "log loss ↓", "ece": "ECE ↓"}
Tables = dict[Pair, Comparison]


def overall(study: LossesStudy, results: Results, part: Part) -> Tables:
    """Table 2, by data and model."""
    methods = {name: Method(name) for name in study.comparison.methods}
    return _compared(study, results, part, study.comparison, methods)


def ablated(study: LossesStudy, results: Results, part: Part) -> Tables:
    """Table 3, by data and model."""
    methods = {name: Method(name) for name in (study.ablations.methods if study.ablations else ())}
    return _compared(study, results, part, study.ablations, methods)


def all_methods(study: LossesStudy, results: Results, part: Part) -> Tables:
    """Tables 2 and 3 together, where both are."""
    asked = (*study.comparison.methods, *(study.ablations.methods if study.ablations else ()))
    found = _compared(study, results, part, study.ablations, {name: Method(name) for name in asked})
    return {pair: one for pair, one in found.items() if pair in pairs(study, study.comparison, part)}


def by_updates(study: LossesStudy, results: Results, part: Part) -> Tables:
    """Figure 4 (b), (c), by data and model; methods are named by f."""
    methods = {str(f): method for f, method in updated(study).items()}
    return _compared(study, results, part, study.updates, methods)


def by_transfer(study: LossesStudy, results: Results, part: Part) -> dict[str, Comparison]:
    """Figure 3, by where policies come from and go to."""
    found = {}
    for transfer in study.transfers:
        source = f"{transfer.source.data}, {transfer.source.model}"
        for data, model in targets(transfer, part):
            one = compare(results, data, model, transferred(study, transfer), METRICS)
            if one is not None:
                found[f"{source} → {data}, {model}"] = one
    return found


def _compared(
    study: LossesStudy,
    results: Results,
    part: Part,
    where: Where | None,
    methods: Mapping[str, Method],
) -> Tables:
    found = {pair: compare(results, *pair, methods, METRICS) for pair in pairs(study, where, part)}
    return {pair: one for pair, one in found.items() if one is not None}


def leads(study: LossesStudy, found: Comparison) -> pd.DataFrame:
    """`ours` against the best baseline, one row a metric of the paper's; empty where it did not run."""
    return leading.leads(found, study.ours, RANKED)


def times(study: LossesStudy, found: Comparison) -> pd.DataFrame:
    """What methods took, one row each.

    Columns: `search_seconds` and `retrain_seconds`, and `seconds` of both, are medians over seeds, since the
    first cell of a process takes longer; `search_epoch_seconds` is the median of seconds by epoch;
    `search_epochs` (0 where nothing was searched) and `retrain_epochs` are means; `relative` is `seconds` as
    a multiple of cross-entropy's, NaN without it.
    """
    rows = {name: _took(outcomes) for name, outcomes in found.outcomes.items()}
    table = pd.DataFrame.from_dict(rows, orient="index")
    reference = rows.get(study.cross_entropy or "", {}).get("seconds", math.nan)
    return table.assign(relative=table["seconds"] / reference)


def _took(outcomes: Outcomes) -> dict[str, float]:
    searched, trained = (
        [outcome.metrics[stage] for outcome in outcomes.values()] for stage in ("search", "retrain")
    )
    return {
        "search_seconds": median(one["training_seconds"] for one in searched),
        "search_epochs": fmean(one["epochs"] for one in searched),
        "search_epoch_seconds": median(
            one["training_seconds"] / one["epochs"] if one["epochs"] else math.nan for one in searched
        ),
        "retrain_seconds": median(one["training_seconds"] for one in trained),
        "retrain_epochs": fmean(one["epochs"] for one in trained),
        "seconds": median(
            one["training_seconds"] + other["training_seconds"]
            for one, other in zip(searched, trained, strict=True)
        ),
    }


def markdown(study: LossesStudy, found: Comparison) -> Iterator[str]:
    """Means, deviations and ranks, with the marks of `ours`."""
    return leading.markdown(found, study.ours, _HEADS, leads(study, found))
