"""What the decision rests on: metrics, and how they spread over the users."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from components.core.verdict import Other
from components.evaluate.ranking.report.findings import Findings
from components.evaluate.ranking.report.wording import metric_name, metric_order
from components.evaluate.report.charts import Chart, histogram
from components.evaluate.report.decision import Fact
from components.evaluate.report.shares import Share, shares
from components.evaluate.report.wording import signed

_NUM_BINS = 20


@final
@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """One metric at one K. `difference` is the challenger's lead over the champion."""

    name: str
    k: int
    decides: bool
    challenger: float
    champion: float | None
    popularity: float
    item_knn: float
    floor: float | None
    passed: bool

    @property
    def difference(self) -> float | None:
        return None if self.champion is None else self.challenger - self.champion


def facts(findings: Findings) -> Iterator[Fact]:
    """What to look at first."""
    verdict, metric = findings.verdict, findings.metric
    yield Fact(f"{verdict.challenger:.4f}", metric_name(metric), "the challenger's mean")
    if verdict.champion is not None:
        version = verdict.champion_version
        named = f"the champion, version {version}" if version else "the other model"
        lead = verdict.challenger - verdict.champion
        relative = f"{signed(100 * lead / verdict.champion, 1)} % on " if verdict.champion else "on "
        yield Fact(signed(lead), "lead", f"{relative}{named}")
    baselines: Sequence[tuple[Other, str, str]] = (
        ("popularity", "popularity", "recommending what is popular"),
        ("item_knn", "item-kNN", "similar items to the user's"),
    )
    for other, name, how in baselines:
        mean = verdict.comparisons[other][metric].other
        if mean:
            yield Fact(f"{verdict.challenger / mean:.2f} ×", name, f"{how} reaches {mean:.4f}")
    items = findings.table("dataset", "items.parquet").num_rows
    yield Fact(f"{findings.num_users:,}", "test users", f"each over all {items:,} items")


def metric_rows(findings: Findings) -> list[MetricRow]:
    """All metrics, by K."""
    floors = findings.verdict.floors
    return [
        MetricRow(
            name=metric_name(name),
            k=int(name.partition("@")[2]),
            decides=name == findings.metric,
            challenger=float(value_U.mean()),
            champion=float(findings.champion[name].mean()) if findings.champion else None,
            popularity=float(findings.popularity[name].mean()),
            item_knn=float(findings.metrics["item_knn"][name].mean()),
            floor=floors[name].floor if name in floors else None,
            passed=name not in floors or floors[name].passed,
        )
        for name, value_U in sorted(findings.challenger.items(), key=lambda entry: metric_order(entry[0]))
    ]


def distribution(findings: Findings) -> Chart:
    """The metric that decides, over the users."""
    metric = findings.metric
    values = {"challenger": findings.challenger[metric]}
    if findings.champion:
        values["champion"] = findings.champion[metric]
    values |= {"popularity": findings.popularity[metric], "item-kNN": findings.metrics["item_knn"][metric]}
    edges = np.linspace(0, 1, _NUM_BINS + 1).round(12).tolist()
    without = ", ".join(f"{name} {100 * (value_U == 0).mean():.1f} %" for name, value_U in values.items())
    return histogram(
        f"{metric_name(metric)} of the users who got a hit",
        metric_name(metric),
        {name: _bin_shares(value_U[value_U > 0], edges, len(value_U)) for name, value_U in values.items()},
        edges,
        colors={"champion": 1, "popularity": 2, "item-kNN": 3},
        note=f"Share of all test users. Without any hit: {without}.",
    )


def against_champion(findings: Findings) -> tuple[Chart, list[Share]] | None:
    """Each user's difference, and for how many it is better, equal and worse."""
    if not findings.champion:
        return None
    metric = findings.metric
    difference_U = findings.challenger[metric] - findings.champion[metric]
    reach = math.ceil(10 * float(np.abs(difference_U).max())) / 10 or 0.1
    edges = np.linspace(-reach, reach, _NUM_BINS + 1).round(12).tolist()
    chart = histogram(
        "Challenger against champion, user by user",
        f"difference in {metric_name(metric)}",
        {"users": _bin_shares(difference_U[difference_U != 0], edges, len(difference_U))},
        edges,
        note="Share of all test users, without those for whom nothing changes.",
    )
    found = findings.verdict.comparisons["champion"][metric]
    return chart, shares({"better": found.better, "equal": found.equal, "worse": found.worse})


def _bin_shares(value_U: NDArray[np.float64], edges: Sequence[float], total: int) -> list[float]:
    counts, _ = np.histogram(value_U, bins=np.array(edges))
    return [float(count) / total for count in counts]
