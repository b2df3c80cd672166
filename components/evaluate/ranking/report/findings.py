"""What the evaluation of a ranking found, as its report needs it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from components.core.recipe import EvaluateParams
from components.core.verdict import Verdict
from components.evaluate.ranking.judging import Name
from components.evaluate.ranking.report.wording import WORDING
from components.evaluate.report.findings import AnyFindings
from components.metrics.comparison import Metrics


@final
@dataclass(frozen=True, kw_only=True)
class Findings(AnyFindings):
    """One evaluation.

    Attributes:
        metrics: model → metric name → value of each test user.
        sampled: model → metric name → mean among sampled items; empty where the recipe does not ask for it.
    """

    wording = WORDING
    params: EvaluateParams
    verdict: Verdict
    metrics: Mapping[Name, Metrics]
    sampled: Mapping[str, Mapping[str, float]]

    @property
    def challenger(self) -> Metrics:
        return self.metrics["challenger"]

    @property
    def champion(self) -> Metrics | None:
        return self.metrics.get("champion")

    @property
    def popularity(self) -> Metrics:
        return self.metrics["popularity"]

    @property
    def num_users(self) -> int:
        """Test users."""
        return len(self.challenger[self.metric])
