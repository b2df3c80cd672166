"""How a model came about that passed its data many times: the search, and the curves."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from components.core.columns import EPOCH, FIELD, OF, TRAIN_LOSS
from components.core.policy import Policy
from components.evaluate.report.architecture import Architecture, architecture
from components.evaluate.report.charts import Chart, Points, line_chart
from components.evaluate.report.course import Course
from components.evaluate.report.document import Table, flat, words
from components.evaluate.report.findings import AnyFindings
from components.metrics.decision import counted

_NUM_TOLD = 4  # settings that a sentence can hold
STARTS = {"champion": "the champion's", "search": "the search's", "none": "random"}


def course(findings: AnyFindings) -> Course:
    """What the page shows of it."""
    return Course(
        search_summary=search_summary(findings),
        search=list(search_charts(findings)),
        search_tables=list(search_tables(findings)),
        architecture=_architecture(findings),
        start_summary=start_summary(findings),
        start_tables=list(start_tables(findings)),
        curves=list(curves(findings)),
    )


def _architecture(findings: AnyFindings) -> Architecture | None:
    model = findings.training["training"]["model"]
    if not (findings.inputs["dataset"] / "fields.parquet").exists():  # of a model that ranks
        return architecture(model)
    fields = findings.table("dataset", "fields.parquet").select([FIELD, OF]).to_pylist()
    return architecture(
        model,
        [field[FIELD] for field in fields if field[OF] is None],
        [field[OF] for field in fields if field[OF] is not None],
    )


def search_summary(findings: AnyFindings) -> str:
    """What was searched, in a sentence."""
    policy = findings.policy
    decided = _decided(policy)
    if not findings.trajectory.num_rows:
        if decided:
            return f"Decided by another search, whose policy was taken as it is: {decided}."
        return "Nothing was searched: the training section stands as the recipe wrote it."
    return (
        f"Decided: {decided}. The policy and the weights that retraining may start from are those of epoch "
        f"{policy.best_epoch} of {policy.epochs}."
    )


def _decided(policy: Policy) -> str:
    """Blocks, interactions and layers that were found; else the patch, or of a long one the kinds alone."""
    found = []
    if "blocks" in policy.decision:
        found.append(f"the blocks {policy.decision['blocks']['child']}")
    if "weighed" in policy.decision:
        kept, of = len(policy.decision["weighed"]), policy.decision["of"]
        found.append(f"{kept:,} of {counted(of, 'product')}, as below")
    if "products" in policy.decision:
        found.append(f"{counted(len(policy.decision['products']), 'interaction')}, as below")
    if "child" in policy.decision:
        found.append(f"the layers {policy.decision['child']}")
    if found:
        return "; ".join(found)
    leaves = list(flat(policy.patch))
    told = leaves if len(leaves) <= _NUM_TOLD else [leaf for leaf in leaves if leaf[0].endswith("kind")]
    more = "" if told == leaves else ", with what stands under Configuration"
    return "; ".join(f"{key} = {value}" for key, value in told) + more


def search_tables(findings: AnyFindings) -> Iterator[Table]:
    """What a search for architectures liked best."""
    decision, name = findings.policy.decision, findings.training["training"]["metric"]
    metric = findings.wording.metric_name(name)
    if "blocks" in decision:
        yield _children("blocks", decision["blocks"], decision, metric)
    if "products" in decision:
        tried = ", ".join(f"{count:,}" for count in decision["tried"])
        yield Table(
            caption=f"Interactions, of {tried} that were looked at in "
            f"{counted(len(decision['tried']), 'round')}",
            header=("fields", "log loss with this one alone, on validation"),
            rows=[(" ⊙ ".join(one["fields"]), f"{one['logloss']:.6f}") for one in decision["products"]],
        )
    if "weighed" in decision:
        weighed = sorted(decision["weighed"], key=lambda one: -abs(one["weight"]))
        yield Table(
            caption=f"Products that were kept, {len(weighed):,} of {decision['of']:,}",
            header=("fields", "weight at the search's best epoch"),
            rows=[(" ⊙ ".join(one["fields"]), f"{one['weight']:.4f}") for one in weighed],
        )
    if "best" in decision:
        yield _children("layers", decision, decision, metric)


def _children(what: str, found: Mapping[str, Any], decision: Mapping[str, Any], metric: str) -> Table:
    ((unit, number),) = decision["looked_at_by"].items()
    return Table(
        caption=f"The best of {found['children']:,} children, by {metric} on validation",
        header=(
            f"{what}, from the first",
            f"on the shared weights, over {number:,} {unit}",
            "fine-tuned, over all",
        ),
        rows=[(one["child"], f"{one['shared']:.4f}", f"{one['fine_tuned']:.4f}") for one in found["best"]],
    )


def search_charts(findings: AnyFindings) -> Iterator[Chart]:
    """The search by epoch, as the task words it."""
    trajectory = findings.trajectory
    if not trajectory.num_rows:
        return
    best = float(findings.policy.best_epoch)
    for prefix, shown in findings.wording.trajectories.items():
        series = {
            words(name.removeprefix(prefix)): _points(trajectory, name)
            for name in trajectory.column_names
            if name.startswith(prefix)
        }
        if series:
            yield line_chart(shown.title, "epoch", series, limits=shown.limits, rule=best, note=shown.note)
    if "temperature" in trajectory.column_names:
        series = {"τ": _points(trajectory, "temperature")}
        yield line_chart(
            "Temperature τ", "epoch", series, rule=best, note="Of Gumbel-softmax, after each epoch."
        )


def curves(findings: AnyFindings) -> Iterator[Chart]:
    """Validation metric and training loss of search and retraining."""
    training = findings.training
    metric = training["training"]["metric"]
    by_stage = {"search": findings.trajectory, "retrain": findings.history}
    best = {"search": float(findings.policy.best_epoch), "retrain": float(training["best_epoch"])}
    warm = STARTS[training["warm_start"]["from"]]
    for name, title, marked, note in (
        (
            metric,
            f"{findings.wording.metric_name(metric)} on validation",
            best,
            f"Dots: what was kept. Retraining starts from {warm} weights.",
        ),
        (TRAIN_LOSS, "Training loss", {}, findings.wording.drawn),
    ):
        series = {
            stage: _points(table, name) for stage, table in by_stage.items() if name in table.column_names
        }
        series = {stage: points for stage, points in series.items() if points}
        if series:
            colors = {"search": 1, "retrain": 0}
            yield line_chart(title, "epoch", series, best=marked, colors=colors, note=note)


def start_summary(findings: AnyFindings) -> str:
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
        metric = findings.wording.metric_name(document["training"]["metric"])
        told += f" {metric} on validation: {found['warm']}; from random weights {found['cold']}."
    return told


def start_tables(findings: AnyFindings) -> Iterator[Table]:
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


def _points(table: pa.Table, name: str) -> Points:
    pairs = zip(table[EPOCH].to_pylist(), table[name].to_pylist(), strict=True)
    return [(float(epoch), value) for epoch, value in pairs if value is not None and np.isfinite(value)]
