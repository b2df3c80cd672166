"""Evaluate a stream: what was said of its tail, each interaction before it was learned from; the champion, as
it is served, and the prior on the same interactions."""

from collections.abc import Mapping
from pathlib import Path

from components.core.recipe import EvaluateStreamParams
from components.core.stage import Context
from components.evaluate.classification.concluding import conclude
from components.evaluate.classification.exam import read_exam
from components.evaluate.stream.grading import grade_tail
from components.evaluate.stream.report import render
from components.evaluate.stream.slices import read_slices


def run(
    params: EvaluateStreamParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> Mapping[str, float]:
    """Read what was said of the tail, ask the champion, compare, decide, and write it down.

    Raises:
        GateFailedError: the model is outside of a limit; everything is written nevertheless.
        InvalidInputError: there is nothing to test on, the inputs do not belong together, or the champion is
            a model of something else.
    """
    exam = read_exam(inputs["dataset"])
    return conclude(grade_tail(params, inputs, exam), read_slices(inputs), inputs, output, render)
