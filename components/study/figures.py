"""Figures of a study, as SVG and PNG: what those of all kinds share."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from components.core.columns import ALPHA, EPOCH
from components.core.policy import TRAJECTORY_FILE
from components.study.results import read
from components.study.running import Outcome

mpl.use("Agg")
COLOURS: Final = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#9c6b4e", "#a463f2")  # of what is compared
STAGE_COLOURS: Final = {"search": "#202020", "retrain": "#9a9a9a"}
_STYLES: Final = ("-", ":")


def over_epochs(
    runs: Mapping[str, Outcome], names: Mapping[str, str], title: str, prefixes: Sequence[str] = (ALPHA,)
) -> Figure:
    """Weights of candidates over the epochs of searches, one panel a search.

    Args:
        runs: by the panel's name.
        names: what a candidate's kind is called; their order gives their colours.
        prefixes: of the trajectory's columns; the first is drawn as a line, the second dotted.
    """
    colours = dict(zip(names, cycle(COLOURS), strict=False))
    figure = Figure(figsize=(3.6 * len(runs), 3.0), layout="constrained")
    panels = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
    for panel, (name, outcome) in zip(panels, runs.items(), strict=True):
        table = read(outcome, "policy", TRAJECTORY_FILE)
        for prefix, style in zip(prefixes, _STYLES, strict=False):
            for kind in (kind for kind in names if f"{prefix}{kind}" in table):
                label = names[kind] if prefix == prefixes[0] else None
                panel.plot(table[EPOCH], table[f"{prefix}{kind}"], style, color=colours[kind], label=label)
        panel.set(title=name, xlabel="epoch", ylim=(0, 1))
        panel.xaxis.get_major_locator().set_params(integer=True)
        bare(panel)
        panel.legend(frameon=False)
    panels[0].set_ylabel("α")
    figure.suptitle(title)
    return figure


def bare(panel: Axes) -> None:
    """Without a frame."""
    panel.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, place: Path) -> None:
    """As `place`.svg and `place`.png; the same figure gives the same bytes."""
    with mpl.rc_context({"svg.hashsalt": place.name}):
        figure.savefig(place.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(place.with_suffix(".png"), dpi=150, metadata={"Software": None})
