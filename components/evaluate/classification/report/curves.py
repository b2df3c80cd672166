"""Probabilities as curves: whom they put first, and what happens to those of whom they say so."""

from typing import Final

import numpy as np

from components.evaluate.ancestry import CHALLENGER, CHAMPION
from components.evaluate.classification.report.findings import Findings
from components.evaluate.report.charts import Chart, Points, square_chart
from components.metrics.classification import Floats, judged_classes, tie_starts

COLORS: Final = {CHALLENGER: 0, CHAMPION: 1}
_NUM_POINTS: Final = 120  # of a ROC curve
_NUM_BINS: Final = 20  # of a reliability diagram


def roc(findings: Findings) -> Chart | None:
    """The ROC curve of the second class; None where there are several classes."""
    exam = findings.grades.exam
    if len(exam.classes) > 2:
        return None
    series: dict[str, Points] = {
        name: _roc_points(probability_NC[:, 1], exam.label_N == 1)
        for name, probability_NC in findings.grades.probabilities.items()
        if name in COLORS
    }
    return square_chart(
        "ROC curve",
        f"share of {exam.classes[0]} that is taken for {exam.classes[1]}",
        series,
        colors=COLORS,
        note=f"Upwards: the share of {exam.classes[1]} that is found. AUC is the area below.",
    )


def calibration(findings: Findings) -> Chart:
    """The reliability diagram: of equally many examples each, what was said and what happened; over all
    classes if there are several."""
    bins: dict[str, Points] = {
        name: _bins(findings, probability_NC)
        for name, probability_NC in findings.grades.probabilities.items()
        if name in COLORS
    }
    reach = max(max(max(x, y) for x, y in points) for points in bins.values())
    classes = findings.grades.exam.classes
    said, happened = ("a class", "right") if len(classes) > 2 else (classes[1], classes[1])
    return square_chart(
        "Calibration",
        f"mean probability of {said}",
        bins,
        colors=COLORS,
        reach=min(1.0, np.ceil(20 * reach) / 20),
        dotted=True,
        note=f"Upwards: how often it was {happened}. Each dot stands for a {_NUM_BINS}th of the examples; "
        "on the diagonal what is said is what happens.",
    )


def _bins(findings: Findings, probability_NC: Floats) -> Points:
    exam = findings.grades.exam
    judged = list(judged_classes(len(exam.classes)))
    said = probability_NC[:, judged].ravel()
    happened = (exam.label_N[:, None] == judged).ravel()
    order = np.argsort(said, kind="stable")
    parts = np.array_split(order, min(_NUM_BINS, len(order)))
    return [(float(said[part].mean()), float(happened[part].mean())) for part in parts]


def _roc_points(score_N: Floats, positive_N: np.ndarray) -> Points:
    """Corners of the curve, evenly thinned along it."""
    order_N = np.argsort(-score_N)
    last_G = np.append(tie_starts(-score_N[order_N])[1:], len(score_N)) - 1
    found_G = positive_N[order_N].cumsum()[last_G]
    taken_G = last_G + 1 - found_G
    x_G, y_G = np.append(0, taken_G / taken_G[-1]), np.append(0, found_G / found_G[-1])
    chosen = np.unique(np.searchsorted(x_G + y_G, np.linspace(0, 2, _NUM_POINTS)).clip(max=len(x_G) - 1))
    return list(zip(x_G[chosen].tolist(), y_G[chosen].tolist(), strict=True))
