"""The card of a model that classifies."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from components.core.verdict import ExampleComparison, ExampleVerdict
from components.register.card.classification_limits import feedback, least, limits, worst_first
from components.register.card.data import split, times
from components.register.card.facts import Facts
from components.register.card.markdown import code, inline, interval, percent
from components.register.card.method import settings, trained
from components.register.card.parts import Measures, Pair, Subject, Table

_NUM_SLICES: Final = 12
_NOTES: Final = {
    "accuracy": "accuracy: share of the examples whose most probable class is theirs.",
    "mse": "mse: mean square of probability − what happened; less is better.",
    "ece": "ece: how far probabilities are from what happens, on average over 15 bins; 0 is best.",
    "calibration": "calibration: {predicted}, as a multiple of what was observed; 1 is best.",
}
_OTHERS: Final = {"champion": "champion", "prior": "prior"}


def subject(facts: Facts) -> Subject:
    """Facts of a classification turned into words and numbers."""
    verdict = facts.verdict
    assert isinstance(verdict, ExampleVerdict)
    return Subject(
        task="classification: raw values of fields in, the probability of every class out",
        data=[*delivered(facts), split(facts)],
        method=list(_method(facts)),
        metrics=metrics(verdict),
        metrics_note=metrics_note(verdict),
        slices=slices(facts, verdict),
        measures=measures(verdict),
        fields=_fields(facts),
        limits=list(limits(facts, verdict)),
        feedback=list(feedback(facts, verdict)),
    )


def delivered(facts: Facts) -> Iterator[Pair]:
    """What was delivered, when it happened, and how often each class came."""
    profile = facts.profile
    yield (
        "delivered",
        f"{profile['rows']:,} rows, of which {profile['rejected_rows']:,} were unusable: "
        f"{profile['examples']:,} examples, of which {profile['duplicates']:,} repeat another",
    )
    yield times(facts)
    classes = (
        f"{code(name)} {percent(count / profile['examples'])}" for name, count in profile["classes"].items()
    )
    yield "classes", ", ".join(classes)


def _method(facts: Facts) -> Iterator[Pair]:
    training = facts.training["training"]
    yield "model", settings(training["model"])
    loss = training["loss"]
    decided = "loss" in facts.policy.patch  # and told already
    yield from trained(facts, loss=code(loss["kind"]) if decided else settings(loss), unit="examples")


def metrics(verdict: ExampleVerdict) -> Table:
    """Every metric, with its difference to each other model."""
    others = [name for name in _OTHERS if name in verdict.comparisons]
    compared: Mapping[Any, Mapping[Any, ExampleComparison]] = verdict.comparisons
    rows = []
    for name in sorted(compared[others[0]], key=lambda name: (name != verdict.metric, name)):
        against = [compared[other][name] for other in others]
        mark = f"**{name}**" if name == verdict.metric else name
        differences = (interval(found.difference, found.low, found.high) for found in against)
        rows.append((mark, f"{against[0].challenger:.4f}", *differences))
    named = [f"− {_named(verdict, other)}" for other in others]
    return Table(header=("metric", "this model", *named), rows=rows)


def _named(verdict: ExampleVerdict, other: str) -> str:
    version = verdict.champion_version
    return f"champion (version {version})" if other == "champion" and version else _OTHERS[other]


def metrics_note(verdict: ExampleVerdict) -> str:
    """What the metrics are, and over what."""
    return (
        f"Over {verdict.num_examples:,} test examples. auc: chance that an example of "
        f"{_told_class(verdict)} has a higher probability of it than one "
        "without. logloss: mean −ln p of the label's class; less is better. prior: the shares of train's "
        f"classes. Differences are paired by example, with {100 * verdict.confidence:g} % bootstrap "
        f"intervals ({verdict.resamples:,} resamples). {verdict.metric} decides."
    )


def _told_class(verdict: ExampleVerdict) -> str:
    return f"class {code(verdict.classes[1])}" if len(verdict.classes) == 2 else "a class"


def slices(facts: Facts, verdict: ExampleVerdict) -> Measures | None:
    """Those in which the model is worst."""
    metric, rows = verdict.metric, []
    for found in worst_first(facts, verdict, metric)[:_NUM_SLICES]:
        against = "–"
        if found.difference is not None and found.low is not None and found.high is not None:
            against = interval(found.difference, found.low, found.high)
        named = f"{inline(found.field)}: {inline(found.value)}"
        rows.append((named, f"{found.examples:,}", number(found.challenger), against))
    if not rows:
        return None
    return Measures(
        title="Slices",
        note=f"The values of fields for which {metric} is worst, among those with {least(facts):,} examples "
        "or more. The report has all.",
        table=Table(header=("slice", "examples", metric, "− champion"), rows=rows),
    )


def measures(verdict: ExampleVerdict) -> Measures:
    """Those that nothing is decided by."""
    rows = [
        (name, *map(number, (found.challenger, found.champion, found.prior)))
        for name, found in verdict.metrics.items()
        if name in _NOTES
    ]
    note = " ".join(told for name, told in _NOTES.items() if name in verdict.metrics)
    if "calibration" in verdict.metrics:
        predicted = f"what was predicted of {_told_class(verdict)} in sum"
        note = note.replace("{predicted}", predicted)
    return Measures(
        title="Other measures",
        note=note,
        table=Table(header=("measure", "this model", "champion", "prior"), rows=rows),
    )


def _fields(facts: Facts) -> Table:
    """What became of the values of each field."""
    rows = []
    for name, field in facts.preparation["fields"].items():
        delivered = facts.profile["fields"][name]
        counts = (f"{delivered['distinct']:,}", f"{field['size']:,}")
        shares = (percent(field["missing"]), percent(field["unknown"]["test"]))
        rows.append(
            (code(name), delivered["kind"].replace("_", "-"), code(field["encoding"]), *counts, *shares)
        )
    header = ("field", "kind", "encoding", "values", "rows", "missing", "unknown in test")
    return Table(header=header, rows=rows)


def number(value: float | None) -> str:
    """Or a dash."""
    return "–" if value is None else f"{value:.4f}"
