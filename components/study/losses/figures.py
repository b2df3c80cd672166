"""The figures of a study of losses."""

from collections.abc import Mapping
from itertools import cycle
from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from components.study.comparing import Comparison
from components.study.figures import COLOURS, STAGE_COLOURS, bare

_LABELS: Final = {"auc": "AUC (more is better)", "logloss": "log loss (less is better)"}


def transfers(found: Mapping[str, Comparison]) -> Figure:
    """Figure 3: a column for each place that policies go to, means ± deviations over seeds.

    Args:
        found: by where policies come from and go to.
    """
    methods = list(dict.fromkeys(name for one in found.values() for name in one.methods))
    colours = dict(zip(methods, cycle(COLOURS), strict=False))
    figure = Figure(figsize=(2.6 * len(found) + 0.6, 5.0), layout="constrained")
    panels_MP = figure.subplots(len(_LABELS), len(found), squeeze=False)
    for panels, (metric, label) in zip(panels_MP, _LABELS.items(), strict=True):
        panels[0].set_ylabel(label)
        for panel, (title, one) in zip(panels, found.items(), strict=True):
            for place, name in enumerate(one.methods):
                _point(panel, place, one, name, metric, colours[name])
            panel.set_xticks(range(len(one.methods)), one.methods)
            panel.set_title(title.replace(" → ", " →\n") if metric == "auc" else "", fontsize=9)
            panel.margins(x=0.25)
            bare(panel)
    return figure


def training_time(found: Mapping[str, pd.DataFrame]) -> Figure:
    """Figure 4 (a): seconds of search and training by method, a panel for each place.

    Args:
        found: by place, the table of `tables.times`.
    """
    height = 0.32 * max(len(table) for table in found.values()) + 0.9
    figure = Figure(figsize=(4.2 * len(found), height), layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for panel, (title, table) in zip(panels, found.items(), strict=True):
        places = range(len(table))
        left = table["search_seconds"] * 0
        for stage, colour in STAGE_COLOURS.items():
            width = table[f"{stage}_seconds"]
            panel.barh(places, width, left=left, color=colour, label=stage)
            left = left + width
        panel.set_yticks(places, list(table.index))
        panel.invert_yaxis()
        panel.set(title=title, xlabel="seconds, median over seeds")
        bare(panel)
    panels[-1].legend(frameon=False, loc="lower right")
    return figure


def updates(found: Comparison, seconds: pd.DataFrame, own: int | None, title: str) -> Figure:
    """Figure 4 (b), (c) and what it saves: AUC, log loss and seconds of the search over f.

    Args:
        found: methods named by f.
        seconds: the table of `tables.times` of them.
        own: the f that the method has elsewhere, marked by a line.
    """
    fs = [int(name) for name in found.methods]
    figure = Figure(figsize=(9.6, 3.0), layout="constrained")
    panels = figure.subplots(1, 3)
    for panel, (metric, label) in zip(panels, _LABELS.items(), strict=False):
        for f, name in zip(fs, found.methods, strict=True):
            _point(panel, f, found, name, metric, COLOURS[0])
        panel.plot(fs, [found.mean(name, metric) for name in found.methods], color=COLOURS[0], linewidth=1)
        panel.set(ylabel=label)
    panels[2].plot(fs, seconds["search_seconds"], "o-", color=STAGE_COLOURS["search"], linewidth=1)
    panels[2].set(ylabel="seconds of the search", ylim=(0, 1.1 * seconds["search_seconds"].max()))
    for panel in panels:
        panel.set(xlabel="f: steps from one update to the next", xticks=fs)
        if own is not None:
            panel.axvline(own, color="#cccccc", zorder=0)
        bare(panel)
    figure.suptitle(title)
    return figure


def _point(panel: Axes, x: float, found: Comparison, method: str, metric: str, colour: str) -> None:
    spread = found.deviation(method, metric) if len(found.seeds) > 1 else None
    panel.errorbar(x, found.mean(method, metric), spread, fmt="o", color=colour, capsize=3)
