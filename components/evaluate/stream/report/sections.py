"""What the page of a stream shows beside what all pages show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from components.core.columns import EMBEDDING_SIZE, PARTS, SEEN
from components.data.embedding_sizes import EmbeddingSizes
from components.evaluate.classification.report import Findings, comparison, curves, metrics
from components.evaluate.classification.report.data import delivered, told_time
from components.evaluate.classification.report.metrics import MetricRow
from components.evaluate.classification.report.slices import SliceBoard, slice_board
from components.evaluate.report.axes import number
from components.evaluate.report.charts import Chart, Points, line_chart
from components.evaluate.report.document import Table
from components.evaluate.report.forest import Forest

_MOST: Final = 50  # times that an id was seen, in Figure 5
_SIDES: Final = {"user": "users", "item": "items"}


@final
@dataclass(frozen=True, kw_only=True)
class Sections:
    """The content of `sections.html.j2`."""

    metrics: Sequence[MetricRow]
    classes: Table
    curves: Sequence[Chart]
    sizes: Table
    by_frequency: Chart | None
    forests: Sequence[Forest]
    slices: SliceBoard | None
    fields: None
    data_tables: Sequence[Table]


def build_sections(findings: Findings) -> Sections:
    """Findings turned into words, numbers and charts."""
    roc = curves.roc(findings)
    return Sections(
        metrics=metrics.metric_rows(findings),
        classes=metrics.class_table(findings),
        curves=[*([roc] if roc else []), curves.calibration(findings)],
        sizes=_sizes(findings),
        by_frequency=_by_frequency(findings),
        forests=list(comparison.forests(findings)),
        slices=slice_board(findings),
        fields=None,
        data_tables=list(_data(findings)),
    )


def _sizes(findings: Findings) -> Table:
    """How many ids have each size, and what that takes against the largest size for all (ESAPN Table 2)."""
    rows = []
    found = {side: EmbeddingSizes.of(findings.training["sides"][side]) for side in _SIDES}
    for side, sizes in found.items():
        rows.append(
            (
                _SIDES[side],
                *map(number, sizes.counts.values()),
                number(sizes.numbers),
                f"{sizes.taken / 2**20:.2f}",
                f"{100 * sizes.share:.1f} %",
            )
        )
    header = ("", *map(str, found["user"].counts), "numbers", "MiB", "of all at the largest size")
    return Table(caption="Embeddings by size", header=header, rows=rows)


def _by_frequency(findings: Findings) -> Chart | None:
    """The mean size with which an id predicted that had been seen so often (ESAPN Figure 5)."""
    table = findings.table("model", "predictions.parquet")
    series: dict[str, Points] = {}
    for side, plural in _SIDES.items():
        seen_N, size_N = (table[f"{side}_{what}"].to_numpy() for what in (SEEN, EMBEDDING_SIZE))
        few = seen_N <= _MOST
        count_F = np.bincount(seen_N[few], minlength=_MOST + 1)
        total_F = np.bincount(seen_N[few], size_N[few], minlength=_MOST + 1)
        series[plural] = [
            (float(times), float(total / count))
            for times, (count, total) in enumerate(zip(count_F, total_F, strict=True))
            if count
        ]
    if not any(series.values()):
        return None
    return line_chart(
        "Size by frequency",
        "times seen before",
        series,
        note="The mean size of the embeddings that predicted, in the tail.",
    )


def _data(findings: Findings) -> Iterator[Table]:
    """Counts from delivery to stream."""
    preparation = findings.preparation
    counts, parts = preparation["class_counts"], [part for part in PARTS if part in preparation["sizes"]]
    rows = [(name, *(number(counts[part][name]) for part in parts)) for name in preparation["classes"]]
    yield Table(caption="Classes by part", header=("class", *parts), rows=rows)
    yield from delivered(findings.profile)
    until = preparation["learned_until"]
    told = {
        "users": number(preparation["users"]),
        "items": number(preparation["items"]),
        "of the tail, of a user who is new in it": f"{100 * preparation['unknown']['user']:.2f} %",
        "of the tail, of an item that is new in it": f"{100 * preparation['unknown']['item']:.2f} %",
        "delivered out of order": number(preparation["order"]["late"]),
        **{
            f"{when} interaction": told_time(time)
            for when, time in (findings.profile["time_range"] or {}).items()
        },
    }
    if until is not None:
        told["left out, the champion has learned them"] = number(preparation["left_out"])
    yield Table(caption="Details", header=(), rows=list(told.items()))
