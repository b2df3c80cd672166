"""The report's content: findings turned into words, numbers and charts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from components.core.columns import EPOCH, NUM_INTERACTIONS, PARTS, TRAIN_LOSS
from components.evaluate.report.charts import Chart, Points, histogram, line_chart
from components.evaluate.report.document import Table, flat, tables, words
from components.evaluate.report.findings import Findings
from components.metrics.comparison import Comparison, compare

_METRIC_NAMES = {"recall": "Recall", "ndcg": "NDCG", "precision": "Precision", "hit_ratio": "Hit ratio"}
_RANKS = 60  # points of the popularity curve


@final
@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """One metric at one K. `difference` is the challenger's lead over the champion."""

    name: str
    decides: bool
    challenger: float
    champion: float | None
    popularity: float
    floor: float | None
    passed: bool

    @property
    def difference(self) -> float | None:
        return None if self.champion is None else self.challenger - self.champion


@final
@dataclass(frozen=True)
class Fact:
    """A number that deserves large type."""

    value: str
    name: str
    note: str = ""


@final
@dataclass(frozen=True)
class Share:
    """A part of a whole, in percent."""

    name: str
    count: int
    percent: float


@final
@dataclass(frozen=True, kw_only=True)
class Setting:
    """A configuration key; `searched` where the search decided it."""

    key: str
    value: str
    searched: bool


@final
@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything that the template shows, in its order."""

    model: str
    outcome: str  # promote | keep | refuse
    headline: str
    reason: str
    facts: Sequence[Fact]
    metrics: Sequence[MetricRow]
    mask: str
    versus: Sequence[Share]
    distribution: Chart
    search: Sequence[Chart]
    search_summary: str
    curves: Sequence[Chart]
    data: Sequence[Chart]
    profile: Sequence[Table]
    parts: Sequence[Share]
    preparation: Sequence[Table]
    settings: Sequence[Setting]
    lineage: Mapping[str, str]


def page(findings: Findings) -> Page:
    """The whole report."""
    outcome = _outcome(findings.verdict)
    versus = (
        compare(findings.challenger[findings.metric], findings.champion[findings.metric])
        if findings.champion
        else None
    )
    return Page(
        model=findings.params.model,
        outcome=outcome,
        headline=_headline(outcome, findings.verdict),
        reason=findings.verdict["reason"],
        facts=list(_facts(findings)),
        metrics=_metric_rows(findings),
        mask={"train": "train", "train_valid": "train and validation"}[findings.params.evaluation.mask],
        versus=_versus(versus) if versus else (),
        distribution=_distribution(findings),
        search=list(_search_charts(findings)),
        search_summary=_search_summary(findings),
        curves=list(_curves(findings)),
        data=list(_data_charts(findings)),
        profile=list(tables(findings.json("interactions", "profile.json"), "As delivered")),
        parts=_parts(findings),
        preparation=list(tables(findings.json("dataset", "preparation.json"), "As prepared")),
        settings=list(_settings(findings)),
        lineage=findings.lineage,
    )


# -- the decision --------------------------------------------------------------------------------------


def _outcome(verdict: Mapping[str, Any]) -> str:
    if not all(floor["passed"] for floor in verdict["floors"].values()):
        return "refuse"
    return "promote" if verdict["promote"] else "keep"


def _headline(outcome: str, verdict: Mapping[str, Any]) -> str:
    if outcome == "refuse":
        return "Refused: not good enough to be registered"
    if outcome == "keep":
        return "The champion stays"
    return "A new champion" if verdict["champion"] is not None else "The first champion"


def _facts(findings: Findings) -> Iterator[Fact]:
    verdict, metric = findings.verdict, findings.metric
    yield Fact(f"{verdict['challenger']:.4f}", _metric_name(metric), "the challenger's mean")
    if verdict["champion"] is not None:
        version = verdict["champion_version"]
        named = f"the champion, version {version}" if version else "the model it was compared with"
        lead = verdict["challenger"] - verdict["champion"]
        relative = f"{lead / verdict['champion']:+.1%} on " if verdict["champion"] else "on "
        yield Fact(f"{lead:+.4f}", "lead", f"{relative}{named}")
    popularity = float(findings.popularity[metric].mean())
    if popularity:
        yield Fact(
            f"{verdict['challenger'] / popularity:.2f}×", "of popularity", f"which reaches {popularity:.4f}"
        )
    yield Fact(
        f"{findings.num_users:,}",
        "test users",
        f"all {findings.table('dataset', 'items.parquet').num_rows:,} items ranked",
    )


def _metric_rows(findings: Findings) -> list[MetricRow]:
    floors = findings.verdict["floors"]
    return [
        MetricRow(
            name=_metric_name(name),
            decides=name == findings.metric,
            challenger=float(value_U.mean()),
            champion=float(findings.champion[name].mean()) if findings.champion else None,
            popularity=float(findings.popularity[name].mean()),
            floor=floors[name]["floor"] if name in floors else None,
            passed=name not in floors or floors[name]["passed"],
        )
        for name, value_U in sorted(findings.challenger.items(), key=lambda entry: _metric_order(entry[0]))
    ]


def _metric_order(name: str) -> tuple[int, int]:
    metric, _, k = name.partition("@")
    return int(k), list(_METRIC_NAMES).index(metric)


def _metric_name(name: str) -> str:
    metric, _, k = name.partition("@")
    return f"{_METRIC_NAMES[metric]}@{k}"


def _versus(found: Comparison) -> list[Share]:
    return _shares({"better": found.better, "equal": found.equal, "worse": found.worse})


def _shares(counts: Mapping[str, int]) -> list[Share]:
    total = sum(counts.values())
    return [Share(name, count, 100 * count / total) for name, count in counts.items()]


def _distribution(findings: Findings) -> Chart:
    metric = findings.metric
    values = {"challenger": findings.challenger[metric]}
    if findings.champion:
        values["champion"] = findings.champion[metric]
    values["popularity"] = findings.popularity[metric]
    edges = [round(step / 20, 2) for step in range(21)]
    zero = ", ".join(f"{name} {(value_U == 0).mean():.1%}" for name, value_U in values.items())
    return histogram(
        f"{_metric_name(metric)} of the users who got at least one hit",
        _metric_name(metric),
        {name: _bin_shares(value_U, edges) for name, value_U in values.items()},
        edges,
        note=f"Share of all test users. Without any hit: {zero}.",
    )


def _bin_shares(value_U: NDArray[np.float64], edges: Sequence[float]) -> list[float]:
    counts, _ = np.histogram(value_U[value_U > 0], bins=np.array(edges))
    return [float(count) / len(value_U) for count in counts]


# -- search and training -------------------------------------------------------------------------------


def _search_charts(findings: Findings) -> Iterator[Chart]:
    trajectory = findings.trajectory
    if not trajectory.num_rows:
        return
    best = findings.policy.best_epoch
    for prefix, title, note, limits in (
        ("alpha_", "α of every sampler", "A distribution in every epoch; the largest α wins.", (0.0, 1.0)),
        ("probability_", "Mean Gumbel-softmax probability", "How often each sampler was drawn.", (0.0, 1.0)),
        ("loss_", "Loss under every sampler", "Harder negatives give a larger loss.", None),
    ):
        series = {
            words(name.removeprefix(prefix)): _points(trajectory, name)
            for name in trajectory.column_names
            if name.startswith(prefix)
        }
        if series:
            marked = dict.fromkeys(series, float(best)) if prefix == "alpha_" else {}
            yield line_chart(title, "epoch", series, limits=limits, best=marked, note=note)
    if "temperature" in trajectory.column_names:
        series = {"τ": _points(trajectory, "temperature")}
        yield line_chart("Temperature", "epoch", series, note="Gumbel-softmax, at the end of the epoch.")


def _search_summary(findings: Findings) -> str:
    policy = findings.policy
    if not findings.trajectory.num_rows:
        return "Nothing was searched: the training section stands as the recipe wrote it."
    return f"{policy.epochs} epochs; the policy and the weights W′ come from epoch {policy.best_epoch}."


def _curves(findings: Findings) -> Iterator[Chart]:
    training = findings.json("model", "training.json")
    metric = training["training"]["metric"]
    tables_of = {"search": findings.trajectory, "retrain": findings.history}
    best = {"search": float(findings.policy.best_epoch), "retrain": float(training["best_epoch"])}
    warm = (
        "retraining starts from W′" if training["warm_start"] == "search" else "retraining starts at random"
    )
    for name, title, marked, note in (
        (metric, f"{_metric_name(metric)} on validation", best, f"Dots: the epochs that were kept; {warm}."),
        (TRAIN_LOSS, "Training loss", {}, "The search's is that of the sampler drawn."),
    ):
        series = {
            stage: _points(table, name) for stage, table in tables_of.items() if name in table.column_names
        }
        series = {stage: points for stage, points in series.items() if points}
        if series:
            colors = {"search": 1, "retrain": 0}
            yield line_chart(title, "epoch", series, best=marked, colors=colors, note=note)


def _points(table: Any, name: str) -> Points:
    pairs = zip(table[EPOCH].to_pylist(), table[name].to_pylist(), strict=True)
    return [(float(epoch), value) for epoch, value in pairs if value is not None and np.isfinite(value)]


# -- data ------------------------------------------------------------------------------------------------


def _data_charts(findings: Findings) -> Iterator[Chart]:
    for name, title, what in (
        ("items", "Item popularity", "items"),
        ("users", "User activity", "users"),
    ):
        count = findings.table("dataset", f"{name}.parquet")[NUM_INTERACTIONS].to_numpy()
        ordered = np.sort(count)[::-1]
        top = ordered[: max(1, len(ordered) // 100)].sum() / ordered.sum()
        rank = np.unique(np.geomspace(1, len(ordered), _RANKS).round().astype(int))
        points = [(float(r), float(ordered[r - 1])) for r in rank if ordered[r - 1] > 0]
        note = f"Interactions by rank, both axes logarithmic. The top 1 % of {what} hold {top:.0%} of all."
        yield line_chart(title, "rank", {what: points}, logarithmic=True, note=note)


def _parts(findings: Findings) -> list[Share]:
    return _shares({part: findings.table("dataset", f"{part}.parquet").num_rows for part in PARTS})


def _settings(findings: Findings) -> Iterator[Setting]:
    training = findings.json("model", "training.json")["training"]
    patched = tuple(findings.policy.patch)
    for key, value in flat(training):
        searched = any(key == prefix or key.startswith(f"{prefix}.") for prefix in patched)
        yield Setting(key=f"training.{key}", value=value, searched=searched)
    rest = {
        "search": findings.search_params(),
        **findings.params.model_dump(mode="json", exclude={"model", "tracking_uri"}),
    }
    for key, value in flat(rest):
        yield Setting(key=key, value=value, searched=False)
