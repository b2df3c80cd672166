"""The curves of the report against what they stand for."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from components.evaluate.classification.report.curves import calibration, roc
from components.evaluate.report.charts import Chart
from components.metrics.classification import auc


def findings(probability: np.ndarray, label: np.ndarray) -> SimpleNamespace:
    classes = tuple(str(place) for place in range(probability.shape[1]))
    exam = SimpleNamespace(classes=classes, label_N=label)
    return SimpleNamespace(grades=SimpleNamespace(exam=exam, probabilities={"challenger": probability}))


def corners(chart: Chart) -> np.ndarray:
    """x and y of the only line, in shares of the square."""
    (line,) = chart.lines
    numbers = np.array(re.findall(r"[\d.e+-]+", line.path), dtype=float).reshape(-1, 2)
    return np.column_stack([numbers[:, 0], 100 - numbers[:, 1]]) / 100


def world(num_examples: int, rounded: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(2)
    label = (generator.random(num_examples) < 0.3).astype(int)
    chance = np.round(1 / (1 + np.exp(1 - 1.5 * label - generator.normal(size=num_examples))), rounded)
    return np.column_stack([1 - chance, chance]), label


@pytest.mark.parametrize(("num_examples", "rounded"), [(40, 9), (5000, 9), (5000, 1)])
def test_the_area_below_the_roc_curve_is_the_auc(num_examples, rounded):
    probability, label = world(num_examples, rounded)
    chart = roc(findings(probability, label))
    assert chart is not None
    points = corners(chart)
    assert points[[0, -1]].tolist() == [[0, 0], [1, 1]]
    assert (np.diff(points, axis=0) >= 0).all()
    assert len(points) <= 121
    assert np.trapezoid(points[:, 1], points[:, 0]) == pytest.approx(
        auc(probability[:, 1], label == 1), abs=1e-3
    )


def test_each_dot_of_the_calibration_stands_for_as_many_examples():
    probability, label = world(2000, 9)
    points = corners(calibration(findings(probability, label)))
    order = np.argsort(probability[:, 1])
    reach = np.ceil(20 * max(probability[order[-100:], 1].mean(), label[order[-100:]].mean())) / 20
    for dot, part in zip(points * reach, order.reshape(20, 100), strict=True):
        assert dot == pytest.approx([probability[part, 1].mean(), label[part].mean()], abs=1e-3)


def test_of_several_classes_there_is_no_roc_curve_and_all_are_calibrated_together():
    generator = np.random.default_rng(0)
    probability = generator.dirichlet([1, 1, 1], 300)
    label = (probability.cumsum(axis=1) > generator.random((300, 1))).argmax(axis=1)
    assert roc(findings(probability, label)) is None
    said, happened = corners(calibration(findings(probability, label))).T
    assert said.mean() == pytest.approx(happened.mean(), abs=1e-3)  # a third of three classes
    assert np.corrcoef(said, happened)[0, 1] > 0.9
