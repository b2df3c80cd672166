"""The figures of a study of samplers."""

from collections.abc import Mapping
from itertools import cycle

from matplotlib.figure import Figure

from components.study.figures import COLOURS, STAGE_COLOURS, bare


def time_against_grid(seconds: Mapping[str, Mapping[str, float]], title: str) -> Figure:
    """Figure 3: for each model AutoSample's search and retraining beside the trainings of all candidates.

    Args:
        seconds: by model, of `search`, `retrain` and each candidate.
    """
    figure = Figure(figsize=(2.2 * len(seconds) + 2.0, 3.4), layout="constrained")
    panel = figure.subplots()
    for place, times in enumerate(seconds.values()):
        candidates = [name for name in times if name not in STAGE_COLOURS]
        colours = STAGE_COLOURS | dict(zip(candidates, cycle(COLOURS), strict=False))
        for side, told, stacked in ((-0.2, "AutoSample", STAGE_COLOURS), (0.2, "grid", candidates)):
            below = 0.0
            for part in stacked:
                label = part if place == 0 else None
                panel.bar(place + side, times[part], 0.36, bottom=below, color=colours[part], label=label)
                below += times[part]
            panel.text(place + side, below, f"{told}\n{below:.1f} s", ha="center", va="bottom", fontsize=8)
    panel.set_xticks(range(len(seconds)), list(seconds))
    panel.set(ylabel="seconds of training", title=title)
    panel.margins(y=0.18)
    bare(panel)
    panel.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
