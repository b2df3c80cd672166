"""A study's figures, as SVG and PNG."""

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Final

import matplotlib as mpl
import pyarrow.parquet as pq
from matplotlib.figure import Figure

from components.core.columns import EPOCH
from components.core.policy import TRAJECTORY_FILE
from components.study.running import Outcome

mpl.use("Agg")
_COLOURS: Final = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#9c6b4e", "#a463f2")  # of samplers
_OWN_COLOURS: Final = {"search": "#202020", "retrain": "#9a9a9a"}  # of AutoSample's stages
_ALPHA: Final = "alpha_"


def alpha_over_epochs(runs: Mapping[str, Outcome], names: Mapping[str, str], title: str) -> Figure:
    """Figure 4: one panel a run.

    Args:
        runs: by the panel's name.
        names: what a candidate's kind is called; their order gives their colours.
    """
    colours = dict(zip(names, cycle(_COLOURS), strict=False))
    figure = Figure(figsize=(3.6 * len(runs), 3.0), layout="constrained")
    panels = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
    for panel, (name, outcome) in zip(panels, runs.items(), strict=True):
        table = pq.read_table(Path(outcome.places["policy"]) / TRAJECTORY_FILE).to_pandas()
        for column in (column for column in table if column.startswith(_ALPHA)):
            kind = column.removeprefix(_ALPHA)
            panel.plot(table[EPOCH], table[column], color=colours[kind], label=names[kind])
        panel.set(title=name, xlabel="epoch", ylim=(0, 1))
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False)
    panels[0].set_ylabel("α")
    figure.suptitle(title)
    return figure


def time_against_grid(seconds: Mapping[str, Mapping[str, float]], title: str) -> Figure:
    """Figure 3: for each model AutoSample's search and retraining beside the trainings of all candidates.

    Args:
        seconds: by model, of `search`, `retrain` and each candidate.
    """
    figure = Figure(figsize=(2.2 * len(seconds) + 2.0, 3.4), layout="constrained")
    panel = figure.subplots()
    for place, times in enumerate(seconds.values()):
        candidates = [name for name in times if name not in _OWN_COLOURS]
        colours = _OWN_COLOURS | dict(zip(candidates, cycle(_COLOURS), strict=False))
        for side, told, stacked in ((-0.2, "AutoSample", _OWN_COLOURS), (0.2, "grid", candidates)):
            below = 0.0
            for part in stacked:
                label = part if place == 0 else None
                panel.bar(place + side, times[part], 0.36, bottom=below, color=colours[part], label=label)
                below += times[part]
            panel.text(place + side, below, f"{told}\n{below:.1f} s", ha="center", va="bottom", fontsize=8)
    panel.set_xticks(range(len(seconds)), list(seconds))
    panel.set(ylabel="seconds of training", title=title)
    panel.margins(y=0.18)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def save(figure: Figure, place: Path) -> None:
    """As `place`.svg and `place`.png; the same figure gives the same bytes."""
    with mpl.rc_context({"svg.hashsalt": place.name}):
        figure.savefig(place.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(place.with_suffix(".png"), dpi=150, metadata={"Software": None})
