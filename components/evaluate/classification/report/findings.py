"""What the evaluation of a classifier found, as its report needs it."""

from dataclasses import dataclass
from typing import final

from components.core.recipe import EvaluateClassifierParams, EvaluateStreamParams
from components.core.recipe.classification import ClassificationMetric
from components.core.verdict import ExampleVerdict
from components.evaluate.classification.judging import Grades
from components.evaluate.classification.report.wording import WORDING
from components.evaluate.report.findings import AnyFindings


@final
@dataclass(frozen=True, kw_only=True)
class Findings(AnyFindings):
    """One evaluation.

    Attributes:
        grades: what all models made of the test examples.
    """

    wording = WORDING
    params: EvaluateClassifierParams | EvaluateStreamParams
    verdict: ExampleVerdict
    grades: Grades

    @property
    def metric(self) -> ClassificationMetric:
        """The metric that decides."""
        return self.params.promotion.metric
