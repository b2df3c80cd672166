"""A study's figures, as SVG and PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
import pandas as pd
import pyarrow.parquet as pq
from matplotlib.figure import Figure

from components.core.columns import EPOCH
from components.core.policy import TRAJECTORY_FILE
from components.study.running import Outcome

mpl.use("Agg")
_COLOURS: Final = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#9c6b4e", "#97bbf5")
_ALPHA: Final = "alpha_"


def alpha_over_epochs(runs: Mapping[str, Outcome], names: Mapping[str, str], title: str) -> Figure:
    """Figure 4: one panel a run.

    Args:
        runs: by the panel's name.
        names: what a sampler's kind is called.
    """
    figure = Figure(figsize=(3.6 * len(runs), 3.0), layout="constrained")
    panels = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
    for panel, (name, outcome) in zip(panels, runs.items(), strict=True):
        table = pq.read_table(Path(outcome.places["policy"]) / TRAJECTORY_FILE).to_pandas()
        columns = [column for column in table if column.startswith(_ALPHA)]
        for colour, column in zip(_COLOURS, columns, strict=False):
            kind = column.removeprefix(_ALPHA)
            panel.plot(table[EPOCH], table[column], color=colour, label=names.get(kind, kind))
        panel.set(title=name, xlabel="epoch", ylim=(0, 1))
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("α")
    panels[-1].legend(frameon=False)
    figure.suptitle(title)
    return figure


def time_against_grid(seconds: Mapping[str, pd.DataFrame], candidates: Sequence[str], title: str) -> Figure:
    """Figure 3: for each model AutoSample's search and retraining beside the trainings of all candidates."""
    figure = Figure(figsize=(2.4 * len(seconds) + 1.5, 3.2), layout="constrained")
    panel = figure.subplots()
    parts = ["search", "retrain", *candidates]
    for place, (_, frame) in enumerate(seconds.items()):
        for side, stacked in ((-0.2, ["search", "retrain"]), (0.2, list(candidates))):
            below = 0.0
            for part in stacked:
                height = float(frame["seconds"].get(part, 0.0))
                colour = _COLOURS[parts.index(part) % len(_COLOURS)]
                label = part if place == 0 else None
                panel.bar(place + side, height, 0.36, bottom=below, color=colour, label=label)
                below += height
    panel.set_xticks(range(len(seconds)), list(seconds))
    panel.set(ylabel="seconds", title=title)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def save(figure: Figure, place: Path) -> None:
    """As `place`.svg and `place`.png; the same figure gives the same bytes."""
    with mpl.rc_context({"svg.hashsalt": place.name}):
        figure.savefig(place.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(place.with_suffix(".png"), dpi=150, metadata={"Software": None})
