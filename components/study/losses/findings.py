"""What a study's tables say, in sentences: each claim of AutoLoss's §3.4 to §3.7 with the number of cases
where it holds. A case is a metric, AUC or log loss, of a model on a data set."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

from components.core.columns import EPOCH, LOSS
from components.core.policy import TRAJECTORY_FILE, Policy
from components.core.recipe import ClassificationRecipe
from components.core.recipe.search import AutoLoss
from components.metrics.direction import lead
from components.study.comparing import SIGNIFICANT, Comparison
from components.study.conducting import Part
from components.study.losses import tables
from components.study.losses.conducting import Results
from components.study.losses.grid import Method, pairs, updated
from components.study.losses.schema import LossesStudy
from components.study.results import read

_NAMES: Final = {"auc": "AUC", "logloss": "log loss"}
_NOTABLE: Final = 0.001  # a difference that counts, by §3.2


def findings(study: LossesStudy, results: Results, part: Part) -> Iterator[str]:
    """A sentence or two for each claim that there are cells for."""
    overall = tables.overall(study, results, part)
    yield from _groups(study, list(overall.values()))
    yield from _leads(study, list(overall.values()))
    yield from _seeds(study, list(overall.values()))
    yield from _transfers(study, list(tables.by_transfer(study, results, part).values()))
    yield from _ablations(study, results, part)
    yield from _times(study, list(overall.values()))
    yield from _updates(study, tables.by_updates(study, results, part))
    yield from _weights(study, results, part)
    yield from _limits(results)


# -- §3.4 ------------------------------------------------------------------------------------------------


def _groups(study: LossesStudy, compared: Sequence[Comparison]) -> Iterator[str]:
    """(i) to (iv): which group of methods is better than which."""
    fixed, shared = study.grouped("fixed"), study.grouped("shared")
    examples = study.grouped("per example")
    searching = [*shared, *examples, study.ours]
    for told, better, worse in (
        ("(i) All that search beat every fixed loss", searching, fixed),
        ("(ii) Weights that all examples share beat every fixed loss", shared, fixed),
        ("(iii) Weights for each example beat all that are shared", examples, shared),
        (f"(iv) {study.ours} beats {', '.join(examples)}", [study.ours], examples),
    ):
        yield from _claim(told, compared, better, worse)


def _claim(
    told: str, compared: Iterable[Comparison], better: Sequence[str], worse: Sequence[str]
) -> Iterator[str]:
    """In how many cases every one of `better` is better than every one of `worse`, and how many pairs of them
    are in that order."""
    held: list[list[bool]] = []
    for one in compared:
        for metric in tables.RANKED:
            order = [
                lead(metric, one.mean(left, metric), one.mean(right, metric)) > 0
                for left in better
                for right in worse
                if {left, right} <= set(one.methods)
            ]
            held += [order] if order else []
    if held:
        in_order, all_pairs = sum(map(sum, held)), sum(map(len, held))
        by_pairs = f", {in_order} of {all_pairs} pairs" if all_pairs > len(held) else ""
        yield f"{told}: in {sum(map(all, held))} of {len(held)} cases{by_pairs}."


def _leads(study: LossesStudy, compared: Sequence[Comparison]) -> Iterator[str]:
    rows = [row for one in compared for _, row in tables.leads(study, one).iterrows()]
    if not rows:
        return
    ahead = [float(row["lead"]) for row in rows]
    sure = {
        over: [row["lead"] for row in rows if row[f"p_{over}"] < SIGNIFICANT]
        for over in ("seeds", "examples")
    }
    tests = ", ".join(
        f"over {over} in {sum(value > 0 for value in values)} (worse in {sum(value < 0 for value in values)})"
        for over, values in sure.items()
    )
    yield (
        f"{study.ours} is better than the best baseline in {sum(value > 0 for value in ahead)} of "
        f"{len(rows)} cases; with p < {SIGNIFICANT} {tests}. The lead is {_signed(ahead)}; it is {_NOTABLE} "
        f"or more, which §3.2 calls significant, in {sum(value >= _NOTABLE for value in ahead)}, and as far "
        f"behind in {sum(value <= -_NOTABLE for value in ahead)}."
    )


def _seeds(study: LossesStudy, compared: Sequence[Comparison]) -> Iterator[str]:
    found = {
        metric: [
            one.deviation(name, metric) for one in compared for name in one.methods if len(one.seeds) > 1
        ]
        for metric in tables.RANKED
    }
    if all(found.values()):
        told = ", ".join(f"{_NAMES[metric]} by {fmean(values):.4f}" for metric, values in found.items())
        yield (
            f"Another seed alone changes {told} (standard deviation, the mean over methods): {_NOTABLE} says "
            f"something only where that is far smaller."
        )


# -- §3.5, §3.6 ------------------------------------------------------------------------------------------


def _transfers(study: LossesStudy, compared: Sequence[Comparison]) -> Iterator[str]:
    methods = list(dict.fromkeys(name for transfer in study.transfers for name in transfer.methods))
    carried = [name for name in methods if study.searches(name)]
    for name in carried:
        alone = [other for other in methods if other not in carried]
        yield from _claim(
            f"A policy of {name} trains others better than {_or(alone)}", compared, [name], alone
        )
    others = [name for name in carried if name != study.ours]
    if study.ours in carried:
        told = f"A policy of {study.ours} trains others better than one of {_or(others)}"
        yield from _claim(told, compared, [study.ours], others)


def _ablations(study: LossesStudy, results: Results, part: Part) -> Iterator[str]:
    compared = list(tables.ablated(study, results, part).values())
    together = list(tables.all_methods(study, results, part).values())
    for name in study.ablations.methods if study.ablations else ():
        if name == study.ours:
            continue
        yield from _claim(f"{name} is worse than {study.ours}", compared, [study.ours], [name])
        if study.methods[name].group == "combined":
            searching = [other for other in study.comparison.methods if study.searches(other)]
            yield from _claim(f"{name} is worse than all that search", together, searching, [name])
            if study.cross_entropy:
                plain = study.cross_entropy
                yield from _claim(f"{name} is worse than even {plain}", together, [plain], [name])


# -- §3.7 ------------------------------------------------------------------------------------------------


def _times(study: LossesStudy, compared: Sequence[Comparison]) -> Iterator[str]:
    found = [tables.times(study, one) for one in compared if study.ours in one.methods]
    for column, told in (("search_seconds", "search"), ("seconds", "search and training together")):
        held = [
            table[column].idxmin() == study.ours
            for table in (table[table["search_epochs"] > 0] for table in found)
            if len(table) > 1
        ]
        if held:
            yield (
                f"{study.ours}'s {told} is the fastest of all that search in {sum(held)} of {len(held)} "
                "pairs of data and model."
            )
    relative = [float(table["relative"][study.ours]) for table in found if study.cross_entropy in table.index]
    if relative:
        yield f"Search and training take {_span(relative)} times as long as {study.cross_entropy}'s training."


def _updates(study: LossesStudy, found: Mapping[tuple[str, str], Comparison]) -> Iterator[str]:
    own = next((str(f) for f, method in updated(study).items() if method.every is None), None)
    for (data, model), one in found.items():
        best = ", ".join(f"f = {one.best(metric)} by {_NAMES[metric]}" for metric in tables.RANKED)
        yield f"{data}, {model}: best is {best}."
        table = tables.times(study, one)
        if own in one.methods and "1" in one.methods and own != "1":
            often, seldom = table.loc["1"], table.loc[own]
            saved, rate = (
                1 - seldom[column] / often[column] for column in ("search_seconds", "search_epoch_seconds")
            )
            yield (
                f"{data}, {model}: against f = 1, f = {own} saves {saved:.0%} of the search's time, "
                f"{rate:.0%} of an epoch's; the paper has about 60 %."
            )


def _weights(study: LossesStudy, results: Results, part: Part) -> Iterator[str]:
    """What controllers prefer, as of the epoch that is kept of them, and whether it is what costs least."""
    alphas: list[Mapping[str, float]] = []  # of `ours`
    cheapest: list[bool] = []
    methods = [name for name in study.comparison.methods if isinstance(study.methods[name].search, AutoLoss)]
    for pair in pairs(study, study.comparison, part):
        for name in methods:
            for outcome in results.of(*pair, Method(name)).values():
                policy = Policy.read(Path(outcome.places["policy"]))
                alpha: Mapping[str, float] = policy.decision["alpha"]
                epochs = read(outcome, "policy", TRAJECTORY_FILE).set_index(EPOCH).to_dict("index")
                smallest = min((epochs[policy.best_epoch][LOSS + kind], kind) for kind in alpha)[1]
                cheapest.append(_largest(alpha) == smallest)
                alphas += [alpha] if name == study.ours else []
    if alphas:
        preferred = ", ".join(f"{kind} in {n}" for kind, n in Counter(map(_largest, alphas)).most_common())
        means = ", ".join(f"{kind} {fmean(alpha[kind] for alpha in alphas):.2f}" for kind in alphas[0])
        yield (
            f"The controllers of {study.ours} give most weight to {preferred} of {len(alphas)} "
            f"searches; mean "
            f"α of train examples: {means}."
        )
    if cheapest:
        yield (
            f"{sum(cheapest)} of {len(cheapest)} searches by {', '.join(methods)} gave most weight "
            f"to the loss "
            "that was smallest in that epoch: weights descend on the weighted sum, whatever each "
            "loss is worth."
        )


def _largest(alpha: Mapping[str, float]) -> str:
    return max(alpha, key=lambda kind: alpha[kind])


def _limits(results: Results) -> Iterator[str]:
    """Searches and trainings that had no more epochs are not trained to their end."""
    ended = [
        outcome.metrics[stage]["epochs"] == limit
        for cell, outcome in results.outcomes.items()
        if not outcome.error
        for stage, limit in _epochs(results.recipes[cell]).items()
    ]
    if any(ended):
        yield f"{sum(ended)} of {len(ended)} searches and trainings ended at their limit of epochs."


def _epochs(recipe: ClassificationRecipe) -> dict[str, int]:
    """At most so many of each stage that trains."""
    limits = {"retrain": recipe.training.epochs}
    return limits | ({"search": recipe.search.epochs} if isinstance(recipe.search, AutoLoss) else {})


def _or(names: Sequence[str]) -> str:
    return " or ".join(names)


def _span(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def _signed(values: Sequence[float]) -> str:
    low, high = f"{min(values):+.4f}", f"{max(values):+.4f}"
    return low if low == high else f"{low} to {high}, {fmean(values):+.4f} in the mean"
