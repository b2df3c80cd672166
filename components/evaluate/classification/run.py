"""Evaluate: the test, once; the champion and the prior on the same examples; the decision and its report."""

from collections.abc import Mapping
from pathlib import Path

from components.core.recipe import EvaluateClassifierParams
from components.core.stage import Context
from components.evaluate.classification.concluding import conclude
from components.evaluate.classification.exam import read_exam
from components.evaluate.classification.judging import grade_all
from components.evaluate.classification.report import render
from components.evaluate.classification.slices import read_slices


def run(
    params: EvaluateClassifierParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> Mapping[str, float]:
    """Ask for the probabilities of all test examples, compare, decide, and write it down.

    Raises:
        GateFailedError: the model is outside of a limit; everything is written nevertheless.
        InvalidInputError: there is nothing to test on, the inputs do not belong together, or the champion is
            a model of something else.
    """
    exam = read_exam(inputs["dataset"])
    grades = grade_all(params, inputs, exam)
    return conclude(grades, read_slices(params, exam, inputs), inputs, output, render)
