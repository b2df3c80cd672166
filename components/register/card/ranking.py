"""The card of a model that ranks."""

from collections.abc import Iterator
from typing import Final

from components.core.recipe.ranking_judgement import RankingEvaluation
from components.core.verdict import Comparison, Verdict
from components.metrics.ranking import METRICS
from components.register.card.data import split, times
from components.register.card.facts import Facts
from components.register.card.markdown import interval
from components.register.card.method import settings, trained
from components.register.card.parts import Measures, Pair, Subject, Table
from components.register.card.ranking_limits import feedback, limits

_OTHERS: Final = {"champion": "champion", "popularity": "popularity", "item_knn": "item-kNN"}
_MASKS: Final = {"train": "train", "train_valid": "train and validation"}


def subject(facts: Facts) -> Subject:
    """Facts of a ranking turned into words and numbers."""
    verdict = facts.verdict
    assert isinstance(verdict, Verdict)
    return Subject(
        task="ranking: raw user ids in, the best items with their scores out",
        data=list(_data(facts)),
        method=list(_method(facts)),
        metrics=_metrics(verdict),
        metrics_note=_metrics_note(facts, verdict),
        slices=_slices(verdict),
        measures=_beyond(verdict),
        fields=None,
        limits=list(limits(facts, verdict)),
        feedback=list(feedback(verdict)),
    )


def _data(facts: Facts) -> Iterator[Pair]:
    profile, preparation = facts.profile, facts.preparation
    unusable, repeated = profile["rejected_rows"], profile["duplicates_dropped"]
    yield (
        "delivered",
        f"{profile['rows']:,} rows, of which {unusable:,} were unusable and {repeated:,} repeated another: "
        f"{profile['interactions']:,} interactions of {profile['users']:,} users with {profile['items']:,} "
        "items",
    )
    yield times(facts)
    core = preparation["core"]
    yield (
        "kept",
        f"{preparation['users']:,} users with at least {core['users']} interactions and "
        f"{preparation['items']:,} items with at least {core['items']}",
    )
    yield split(facts)


def _method(facts: Facts) -> Iterator[Pair]:
    training = facts.training["training"]
    yield "model", settings(training["model"])
    yield "negatives", f"{training['num_negatives']} a positive, {settings(training['sampler'])}"
    yield from trained(facts, loss=training["loss"]["kind"], unit="positives")


def _metrics(verdict: Verdict) -> Table:
    """Every metric, with its difference to each other model."""
    others = [name for name in _OTHERS if name in verdict.comparisons]
    rows = []
    for name in sorted(verdict.comparisons[others[0]], key=lambda name: _place(name, verdict.metric)):
        against = [verdict.comparisons[other][name] for other in others]
        mark = f"**{name}**" if name == verdict.metric else name
        rows.append((mark, f"{against[0].challenger:.4f}", *map(_against, against)))
    named = [f"− {_named(verdict, other)}" for other in others]
    return Table(header=("metric", "this model", *named), rows=rows)


def _place(name: str, deciding: str) -> tuple[bool, bool, int, int]:
    """The metric that decides first, then those at its K, then the others."""
    (metric, _, k), at = name.partition("@"), deciding.partition("@")[2]
    return name != deciding, k != at, int(k), METRICS.index(metric)


def _against(found: Comparison) -> str:
    return interval(found.difference, found.low, found.high)


def _named(verdict: Verdict, other: str) -> str:
    version = verdict.champion_version
    return f"champion (version {version})" if other == "champion" and version else _OTHERS[other]


def _metrics_note(facts: Facts, verdict: Verdict) -> str:
    evaluation = RankingEvaluation.model_validate(facts.evaluated["evaluation"])
    return (
        f"Means over {verdict.num_users:,} test users, each over all {facts.preparation['items']:,} items "
        f"without those known of the user from {_MASKS[evaluation.mask]}. Differences are paired by user, "
        f"with {100 * verdict.confidence:g} % bootstrap intervals ({verdict.resamples:,} resamples). "
        f"{verdict.metric} decides."
    )


def _slices(verdict: Verdict) -> Measures | None:
    if not verdict.slices:
        return None
    rows = []
    for found in verdict.slices:
        value = "–" if found.challenger is None else f"{found.challenger:.4f}"
        against = "–"
        if found.difference is not None and found.low is not None and found.high is not None:
            against = interval(found.difference, found.low, found.high)
        rows.append((found.slice.replace("_", " "), found.metric, f"{found.users:,}", value, against))
    header = ("slice", "metric", "users", "this model", "− champion")
    return Measures(title="Slices", note="", table=Table(header=header, rows=rows))


def _beyond(verdict: Verdict) -> Measures:
    rows = []
    for name, found in verdict.beyond_accuracy.items():
        champion = "–" if found.champion is None else f"{found.champion:.4f}"
        values = (f"{value:.4f}" for value in (found.popularity, found.item_knn))
        rows.append((name, f"{found.challenger:.4f}", champion, *values))
    return Measures(
        title="Beyond accuracy",
        note="coverage: share of the items that somebody is shown. gini: how unequally they are shown, 0 to "
        "1. popularity: how many of the users have what is shown.",
        table=Table(header=("measure", "this model", "champion", "popularity", "item-kNN"), rows=rows),
    )
