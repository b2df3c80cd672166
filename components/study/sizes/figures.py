"""The figures of a study of sizes."""

from collections.abc import Mapping
from itertools import cycle
from typing import Final

import pandas as pd
from matplotlib.figure import Figure

from components.study.figures import COLOURS, bare
from components.study.sizes.tables import BINS, SIDES

_SMOOTHED: Final = 5  # points of a course that are averaged


def by_frequency(found: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """Figure 4: a row for each metric, a column for each side; a line for each method.

    Args:
        found: by metric, tables of `tables.by_frequency`.
    """
    figure = Figure(figsize=(9.0, 3.0 * len(found)), layout="constrained")
    panels_MS = figure.subplots(len(found), len(SIDES), squeeze=False)
    for panels, (metric, table) in zip(panels_MS, found.items(), strict=True):
        panels[0].set_ylabel(metric)
        for panel, (side, plural) in zip(panels, SIDES.items(), strict=True):
            colours = cycle(COLOURS)
            for method, rows in table[table["side"] == side].groupby("method", sort=False):
                places = [BINS.index(low) for low in rows["seen"]]
                panel.plot(places, rows["value"], "o-", markersize=3, color=next(colours), label=method)
            panel.set(xlabel=f"times that {plural} had been seen, at least")
            panel.set_xticks(range(len(BINS)), list(map(str, BINS)))
            bare(panel)
    panels_MS[0][0].legend(frameon=False)
    figure.suptitle(title)
    return figure


def sizes_by_frequency(found: Mapping[str, pd.DataFrame]) -> Figure:
    """Figure 5: a panel for each stream, a line for each side."""
    figure = Figure(figsize=(4.2 * len(found), 3.0), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for panel, (title, table) in zip(panels, found.items(), strict=True):
        for (side, plural), colour in zip(SIDES.items(), COLOURS, strict=False):
            rows = table[table["side"] == side]
            panel.plot(rows["seen"], rows["size"], color=colour, label=plural)
        panel.set(title=title, xlabel="times seen before")
        bare(panel)
    panels[0].set_ylabel("mean size")
    panels[0].legend(frameon=False)
    return figure


def courses(found: Mapping[str, pd.DataFrame], tail: int, title: str) -> Figure:
    """Accuracy over the stream, smoothed; a line for each method, and one where the tail begins."""
    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    panel = figure.subplots()
    for (method, table), colour in zip(found.items(), cycle(COLOURS), strict=False):
        smooth = table["accuracy"].rolling(_SMOOTHED, min_periods=1, center=True).mean()
        panel.plot(table["interactions"], smooth, color=colour, linewidth=1, label=method)
    panel.axvline(tail, color="#cccccc", zorder=0)
    panel.set(title=title, xlabel="interactions", ylabel="accuracy")
    panel.legend(frameon=False, ncols=len(found))
    bare(panel)
    return figure
