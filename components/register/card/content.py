"""What stands in the card's sections: sentences, pairs and tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, final

from components.core.gates import Gate
from components.core.recipe.card import Card as Words
from components.core.verdict import Comparison, Verdict
from components.metrics.ranking import METRICS
from components.register.card.facts import Facts
from components.register.card.limits import feedback, limits
from components.register.card.markdown import code, inline, interval, public

_STARTS: Final = {"champion": "the champion's", "search": "the search's", "none": "random"}
_OTHERS: Final = {"champion": "champion", "popularity": "popularity", "item_knn": "item-kNN"}
_SHORT: Final = 12  # digits of a hash


@final
@dataclass(frozen=True, kw_only=True)
class Table:
    """Finished cells; `numbers` tells that all but the first column are."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: bool = True


@final
@dataclass(frozen=True, kw_only=True)
class Content:
    """The template's content. What is text from elsewhere is escaped already, but for `words`."""

    title: str
    verdict: str
    about: Sequence[tuple[str, str]]
    words: Words
    data: Sequence[tuple[str, str]]
    sources: Sequence[tuple[str, str]]
    method: Sequence[tuple[str, str]]
    candidates: Table | None
    carried: Table | None
    metrics: Table
    metrics_note: str
    slices: Table | None
    beyond: Table
    gates: Table
    gates_note: str
    limits: Sequence[str]
    feedback: Sequence[str]


def build_card(facts: Facts) -> Content:
    """Facts turned into words and numbers."""
    verdict = facts.verdict
    return Content(
        title=f"{facts.params.model}, version {facts.version}",
        verdict=_decided(verdict),
        about=list(_about(facts)),
        words=facts.card,
        data=list(_data(facts)),
        sources=list(_sources(facts)),
        method=[*_method(facts), *_made_with(facts)],
        candidates=_candidates(facts.policy.decision),
        carried=_carried(facts.training["warm_start"]),
        metrics=_metrics(verdict),
        metrics_note=_metrics_note(facts),
        slices=_slices(verdict),
        beyond=_beyond(verdict),
        gates=_gates(facts),
        gates_note=_gates_note(facts),
        limits=list(limits(facts)),
        feedback=list(feedback(facts)),
    )


def _decided(verdict: Verdict) -> str:
    decided = "It passed" if verdict.promote else "It did not pass"
    return f"{decided} the recipe's rule of promotion: {inline(verdict.reason)}."


def _about(facts: Facts) -> Iterator[tuple[str, str]]:
    evaluation, model = facts.manifests["evaluation"], facts.manifests["model"]
    kind = facts.training["training"]["model"]["kind"]
    yield "recipe", code(facts.params.experiment)
    yield "task", f"ranking: raw user ids in, the best items with their scores out; {code(kind)}"
    yield "evaluated", f"{evaluation.ended:%Y-%m-%d %H:%M} UTC"
    yield "model artifact", code(f"sha256 {model.sha256}")


def _code(version: str, git_sha: str | None, image_digest: str | None) -> str:
    told = [code(version[:_SHORT])]
    if git_sha:
        told.append(f"commit {code(git_sha[:_SHORT])}")
    if image_digest:
        told.append(f"image {code(image_digest)}")
    return ", ".join(told)


def _sources(facts: Facts) -> Iterator[tuple[str, str]]:
    """Where the data came from, with the hash of what was there."""
    entries = facts.manifests["interactions"].inputs
    if not entries.keys() - {"previous", "champion"}:
        yield "made by the recipe itself", code(facts.manifests["interactions"].params["source"]["kind"])
    for name, entry in sorted(entries.items()):
        if name not in {"previous", "champion"}:
            yield code(public(entry.uri)), code(f"sha256 {entry.sha256}")


def _data(facts: Facts) -> Iterator[tuple[str, str]]:
    profile, preparation = facts.profile, facts.preparation
    unusable, repeated = profile["rejected_rows"], profile["duplicates_dropped"]
    yield (
        "delivered",
        f"{profile['rows']:,} rows, of which {unusable:,} were unusable and {repeated:,} repeated another: "
        f"{profile['interactions']:,} interactions of {profile['users']:,} users with {profile['items']:,} "
        "items",
    )
    times = profile["time_range"]
    told = f"{_time(times['first'])} to {_time(times['last'])}" if times else "the data have no timestamps"
    yield "time", told
    core = preparation["core"]
    yield (
        "kept",
        f"{preparation['users']:,} users with at least {core['users']} interactions and "
        f"{preparation['items']:,} items with at least {core['items']}",
    )
    sizes = preparation["sizes"]
    yield (
        "split",
        f"{code(preparation['split']['kind'])}: "
        + ", ".join(f"{sizes[part]:,} {part}" for part in ("train", "valid", "test")),
    )


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"


def _method(facts: Facts) -> Iterator[tuple[str, str]]:
    document = facts.training
    training = document["training"]
    yield "search", _searched(facts)
    yield "model", _settings(training["model"])
    yield "negatives", f"{training['num_negatives']} a positive, {_settings(training['sampler'])}"
    yield (
        "training",
        f"{training['loss']['kind']} loss, Adam, learning rate {training['learning_rate']:g}, l2 "
        f"{training['l2']:g}, {training['batch_size']:,} positives a step; {document['epochs']} epochs, of "
        f"which epoch {document['best_epoch']} was the best on validation ({training['metric']})",
    )
    warm = document["warm_start"]
    told = _STARTS[warm["from"]]
    if warm["from"] == "champion":
        scaled = f" × {training['warm_scale']:g}" if training["warm_scale"] != 1 else ""
        of = code(warm["champion_sha256"][:_SHORT])
        told += f" (model {of}){scaled}; new rows: {training['new_rows']}"
    yield "first weights", told
    check = document["warm_check"]
    if check:
        yield (
            "cold start",
            f"from random weights the same training reaches {check['cold']['value']:.4f} on validation in "
            f"{check['cold']['epochs']} epochs; from these {check['warm']['value']:.4f} in "
            f"{check['warm']['epochs']}",
        )


def _made_with(facts: Facts) -> Iterator[tuple[str, str]]:
    model = facts.manifests["model"]
    yield "seed", str(model.seed)
    yield "code", _code(model.code_version, model.git_sha, model.image_digest)
    yield "packages", ", ".join(f"{name} {version}" for name, version in sorted(model.packages.items()))
    yield "device", inline(model.device)


def _searched(facts: Facts) -> str:
    policy = facts.policy
    if not policy.patch:
        return "none: the recipe decides"
    decided = "; ".join(
        f"{inline(key)} = {_settings(value) if isinstance(value, Mapping) else inline(str(value))}"
        for key, value in policy.patch.items()
    )
    return f"{code(policy.kind)} decided in {policy.epochs} epochs: {decided}"


def _settings(section: Mapping[str, Any]) -> str:
    """A section with its kind in front."""
    others = ", ".join(
        f"{inline(name)} {inline(str(value))}" for name, value in section.items() if name != "kind"
    )
    return f"{code(section['kind'])}{f' ({others})' if others else ''}"


def _candidates(decision: Mapping[str, Any]) -> Table | None:
    """The search's candidates with the probability that it ended with."""
    alpha = decision.get("alpha")
    if not alpha:
        return None
    ordered = sorted(alpha.items(), key=lambda entry: -entry[1])
    return Table(
        header=("candidate", "probability α"), rows=[(code(kind), f"{p:.3f}") for kind, p in ordered]
    )


def _carried(warm: Mapping[str, Any]) -> Table | None:
    tensors = sorted(warm["tensors"].items())
    if not tensors:
        return None
    header = ["tensor", "carried over", "fresh", "lost"]
    rows = [
        [code(name), *(f"{became[key]:,}" for key in ("carried", "fresh", "lost"))]
        for name, became in tensors
    ]
    if any(became["reason"] for _, became in tensors):
        header.append("why not")
        for row, (_, became) in zip(rows, tensors, strict=True):
            row.append(inline(became["reason"]))
    return Table(header=header, rows=rows)


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


def _metrics_note(facts: Facts) -> str:
    verdict = facts.verdict
    masked = {"train": "train", "train_valid": "train and validation"}[facts.evaluation.mask]
    return (
        f"Means over {verdict.num_users:,} test users, each over all {facts.preparation['items']:,} items "
        f"without those known of the user from {masked}. Differences are paired by user, with "
        f"{100 * verdict.confidence:g} % bootstrap intervals ({verdict.resamples:,} resamples). "
        f"{verdict.metric} decides."
    )


def _slices(verdict: Verdict) -> Table | None:
    if not verdict.slices:
        return None
    rows = []
    for found in verdict.slices:
        value = "–" if found.challenger is None else f"{found.challenger:.4f}"
        against = "–"
        if found.difference is not None and found.low is not None and found.high is not None:
            against = interval(found.difference, found.low, found.high)
        rows.append((found.slice.replace("_", " "), found.metric, f"{found.users:,}", value, against))
    return Table(header=("slice", "metric", "users", "this model", "− champion"), rows=rows)


def _beyond(verdict: Verdict) -> Table:
    rows = []
    for name, found in verdict.beyond_accuracy.items():
        champion = "–" if found.champion is None else f"{found.champion:.4f}"
        values = (f"{value:.4f}" for value in (found.popularity, found.item_knn))
        rows.append((name, f"{found.challenger:.4f}", champion, *values))
    return Table(header=("measure", "this model", "champion", "popularity", "item-kNN"), rows=rows)


def _is_judged(gate: Gate) -> bool:
    return gate.low is not None or gate.high is not None or gate.value is None or not gate.passed


def _gates(facts: Facts) -> Table:
    """What was judged; what was only measured is counted in the note."""
    rows = [
        (what, f"{inline(gate.subject)}: {inline(gate.name)}", _outcome(gate), inline(gate.told))
        for what, gate in facts.gates()
        if _is_judged(gate)
    ]
    return Table(header=("over", "gate", "outcome", "what was found"), rows=rows, numbers=False)


def _outcome(gate: Gate) -> str:
    return gate.outcome if gate.passed else f"**{gate.outcome}**"


def _gates_note(facts: Facts) -> str:
    gates = [gate for _, gate in facts.gates()]
    warned = sum(gate.outcome in ("warned", "held") for gate in gates)
    measured = sum(not _is_judged(gate) for gate in gates)
    contracts = sum(int(manifest.validation.get("total", 0)) for manifest in facts.manifests.values())
    told = f"{len(gates) - measured} gates, of which {warned or 'none'} warned or held back"
    if measured:
        told += f"; {measured} more measures without a bound are in the manifests"
    if contracts:
        told += f". All {contracts:,} expectations of the data contracts were met"
    return f"{told}."
