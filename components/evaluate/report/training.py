"""How the model came about: the search, the curves, the configuration."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from components.core.columns import EPOCH, TRAIN_LOSS
from components.evaluate.report.charts import Chart, Points, line_chart
from components.evaluate.report.decision import metric_name
from components.evaluate.report.document import Table, flat, words
from components.evaluate.report.findings import Findings

_SEARCHED = "searched"
STARTS = {"champion": "the champion's", "search": "the search's", "none": "random"}
# prefix of the trajectory's columns → title, note, limits of the y axis
_TRAJECTORIES: Mapping[str, tuple[str, str, tuple[float, float] | None]] = {
    "alpha_": ("α of every sampler", "A distribution in every epoch; the largest α wins.", (0.0, 1.0)),
    "probability_": ("Mean Gumbel-softmax probability", "Averaged over the steps of the epoch.", (0.0, 1.0)),
    "loss_": ("Loss under every sampler", "Harder negatives give a larger loss.", None),
}


def search_summary(findings: Findings) -> str:
    """What was searched, in a sentence."""
    policy = findings.policy
    if not findings.trajectory.num_rows:
        return "Nothing was searched: the training section stands as the recipe wrote it."
    decided = "; ".join(f"{key} = {value}" for key, value in flat(policy.patch))
    return (
        f"Decided: {decided}. The policy and the weights that retraining may start from are those of epoch "
        f"{policy.best_epoch} of {policy.epochs}."
    )


def search_charts(findings: Findings) -> Iterator[Chart]:
    """The search by epoch; AutoSample's Figure 4 is the first."""
    trajectory = findings.trajectory
    if not trajectory.num_rows:
        return
    best = float(findings.policy.best_epoch)
    for prefix, (title, note, limits) in _TRAJECTORIES.items():
        series = {
            words(name.removeprefix(prefix)): _points(trajectory, name)
            for name in trajectory.column_names
            if name.startswith(prefix)
        }
        if series:
            yield line_chart(title, "epoch", series, limits=limits, rule=best, note=note)
    if "temperature" in trajectory.column_names:
        series = {"τ": _points(trajectory, "temperature")}
        yield line_chart(
            "Temperature τ", "epoch", series, rule=best, note="Of Gumbel-softmax, after each epoch."
        )


def curves(findings: Findings) -> Iterator[Chart]:
    """Validation metric and training loss of search and retraining."""
    training = findings.training
    metric = training["training"]["metric"]
    by_stage = {"search": findings.trajectory, "retrain": findings.history}
    best = {"search": float(findings.policy.best_epoch), "retrain": float(training["best_epoch"])}
    warm = STARTS[training["warm_start"]["from"]]
    for name, title, marked, note in (
        (
            metric,
            f"{metric_name(metric)} on validation",
            best,
            f"Dots: what was kept. Retraining starts from {warm} weights.",
        ),
        (TRAIN_LOSS, "Training loss", {}, "In the search: under the sampler that was drawn."),
    ):
        series = {
            stage: _points(table, name) for stage, table in by_stage.items() if name in table.column_names
        }
        series = {stage: points for stage, points in series.items() if points}
        if series:
            colors = {"search": 1, "retrain": 0}
            yield line_chart(title, "epoch", series, best=marked, colors=colors, note=note)


def start_summary(findings: Findings) -> str:
    """Where training began, and what the check against a cold start found."""
    document = findings.training
    warm, check = document["warm_start"], document["warm_check"]
    told = f"Training began from {STARTS[warm['from']]} weights."
    if warm["from"] == "champion" and document["training"]["warm_scale"] != 1:
        told += f" They were multiplied by {document['training']['warm_scale']:g}."
    if warm["from"] != "champion" and warm["champion_sha256"] is not None:
        told += " Nothing of the champion's fits."
    if check:
        found = {name: f"{run['value']:.4f} in {run['epochs']} epochs" for name, run in check.items()}
        metric = metric_name(document["training"]["metric"])
        told += f" {metric} on validation: {found['warm']}; from random weights {found['cold']}."
    return told


def start_tables(findings: Findings) -> Iterator[Table]:
    """What became of each of the champion's tensors."""
    tensors = findings.training["warm_start"]["tensors"]
    if not tensors:
        return
    rows = [
        (
            name,
            f"{became['rows']}s" if became["rows"] else "whole",
            *(f"{became[key]:,}" for key in ("carried", "fresh", "lost")),
            became["reason"],
        )
        for name, became in sorted(tensors.items())
    ]
    header = ("tensor", "rows", "carried over", "fresh", "lost", "")
    yield Table(caption="The champion's weights", header=header, rows=rows)


def settings(findings: Findings) -> Iterator[Table]:
    """The configuration, section by section; the third column marks what the search decided."""
    patched = tuple(findings.policy.patch)
    sections: dict[str, Mapping[str, Any]] = {
        "training": findings.training["training"],
        "search": findings.search_params,
        "evaluation": findings.params.evaluation.model_dump(mode="json"),
        "promotion": findings.params.promotion.model_dump(mode="json"),
    }
    for name, section in sections.items():
        rows = []
        for key, value in flat(section):
            searched = name == "training" and any(f"{key}.".startswith(f"{path}.") for path in patched)
            rows.append((key, value, _SEARCHED if searched else ""))
        yield Table(caption=name, header=(), rows=rows)


def _points(table: pa.Table, name: str) -> Points:
    pairs = zip(table[EPOCH].to_pylist(), table[name].to_pylist(), strict=True)
    return [(float(epoch), value) for epoch, value in pairs if value is not None and np.isfinite(value)]
