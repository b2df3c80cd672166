"""What a study's tables say, in sentences: each claim of AutoSample's §3 with the number of cells where it
holds."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from components.study.comparing import SIGNIFICANT, Comparison
from components.study.samplers import costs, tables
from components.study.samplers.conducting import Results, ranked
from components.study.samplers.grid import searched
from components.study.samplers.schema import AUTOSAMPLE, SamplersStudy

Pairs = Sequence[tuple[str, str]]


def findings(study: SamplersStudy, results: Results, pairs: Pairs) -> Iterator[str]:
    """A sentence or two for each claim that there are cells for."""
    yield from _ranks(study, results, pairs)
    yield from _negatives(study, results, pairs)
    yield from _start(study, results, pairs)
    yield from _spaces(study, results, pairs)
    yield from _decisions(study, results, pairs)
    yield from _ways(study, results, pairs)
    yield from _limits(study, results)


def _ranks(study: SamplersStudy, results: Results, pairs: Pairs) -> Iterator[str]:
    found = {pair: tables.overall(study, results, *pair) for pair in pairs}
    compared = {pair: one for pair, one in found.items() if one is not None and AUTOSAMPLE in one.methods}
    if not compared:
        return
    yield f"AutoSample has {_told([_place(one) for one in compared.values()])} by average rank."
    metric = f"ndcg@{study.k}"
    better: list[str] = []
    worse: list[str] = []
    for (data, model), one in compared.items():
        best = one.best(metric, without=AUTOSAMPLE)
        if tables.p_value(one.outcomes[AUTOSAMPLE], one.outcomes[best], metric) < SIGNIFICANT:
            side = better if one.mean(AUTOSAMPLE, metric) > one.mean(best, metric) else worse
            side.append(f"{data}, {model} ({best})")
    yield (
        f"Against the baseline that is best on test by {metric} it is better with p < {SIGNIFICANT} in "
        f"{_listed(better)}, worse in {_listed(worse)}, of {len(compared)}."
    )


def _negatives(study: SamplersStudy, results: Results, pairs: Pairs) -> Iterator[str]:
    found = [tables.by_negatives(study, results, *pair, count) for count in study.negatives for pair in pairs]
    compared = [one for one in found if one is not None and AUTOSAMPLE in one.methods]
    if compared:
        yield (
            f"Among candidates with as many negatives as it has candidates it has "
            f"{_told([_place(one) for one in compared])}."
        )


def _start(study: SamplersStudy, results: Results, pairs: Pairs) -> Iterator[str]:
    metric = f"ndcg@{study.k}"
    found = {pair: tables.by_start(study, results, *pair) for pair in pairs}
    compared = {pair: one for pair, one in found.items() if one is not None}
    if not compared:
        return
    gain = {pair: one.mean("custom", metric) - one.mean("random", metric) for pair, one in compared.items()}
    sure = [pair for pair, one in compared.items() if tables.p_values(one)[metric] < SIGNIFICANT]
    helps = [", ".join(pair) for pair in sure if gain[pair] > 0]
    harms = [", ".join(pair) for pair in sure if gain[pair] < 0]
    yield (
        f"Retraining from W′ instead of random weights changes {metric} by {_signed([*gain.values()])}: "
        f"better with p < {SIGNIFICANT} in {_listed(helps)}, worse in {_listed(harms)}, of {len(compared)}."
    )


def _spaces(study: SamplersStudy, results: Results, pairs: Pairs) -> Iterator[str]:
    correlation = {}
    for pair in pairs:
        both = tables.by_space(study, results, *pair)
        if both is not None and len(both[1]) > 2:
            correlation[pair] = both[0].average_rank.corr(both[1], method="spearman")
    if correlation:
        told = "; ".join(f"{', '.join(pair)} {value:+.2f}" for pair, value in correlation.items())
        yield (
            f"Rank correlation (Spearman) of a search space's S.S.A.R. with AutoSample's rank over it, "
            f"positive where better candidates make a better search: {told}."
        )


def _decisions(study: SamplersStudy, results: Results, pairs: Pairs) -> Iterator[str]:
    found: list[tuple[tables.Decision, str]] = []  # and which candidate validates best
    for data, model in pairs:
        order = ranked(study, results, data, model)
        spaces = {space for (d, m, _), space in results.chosen.items() if (d, m) == (data, model)}
        for space in {searched(study, one).space for one in (*spaces, *study.spaces)}:
            best = next(name for name in order if name in space)
            found += [(one, best) for one in tables.decisions(study, results, data, model, space)]
    if found:
        right = sum(one.name == best for one, best in found)
        easy = sum(one.name == one.easiest for one, _ in found)
        yield (
            f"{right} of {len(found)} searches decided for the candidate that validates best alone, {easy} "
            "for the one whose negatives were easiest for the model then: α descends on the training loss."
        )


def _limits(study: SamplersStudy, results: Results) -> Iterator[str]:
    trained = [
        outcome.metrics["retrain"]["epochs"] == results.recipes[cell].training.epochs
        for cell, outcome in results.outcomes.items()
        if not outcome.error and cell.method.epochs is None
    ]
    if any(trained):
        yield f"{sum(trained)} of {len(trained)} trainings ended at their limit of epochs, not before."
    if study.tuning is None:
        return
    for name, told, grid in (
        ("learning_rate", "learning rate", study.tuning.learning_rates),
        ("l2", "L2", study.tuning.l2),
        ("alpha_learning_rate", "learning rate of α", study.tuning.alpha_learning_rates),
    ):
        tunes_alpha = name == "alpha_learning_rate"
        found = [
            rates[name]
            for (_, _, method), rates in results.rates.items()
            if (method == AUTOSAMPLE) == tunes_alpha
        ]
        edge = sum(value in (min(grid), max(grid)) for value in found)
        if edge and len(grid) > 1:
            yield f"The best {told} lies at the edge of its grid in {edge} of {len(found)} tunings."


def _ways(study: SamplersStudy, results: Results, pairs: Pairs) -> Iterator[str]:
    own = []
    for pair in pairs:
        times = costs.times(study, results, *pair)
        if times:
            both = times["search"] + times["retrain"]
            own.append(both / sum(times[name] for name in study.candidates.names))
    if own:
        yield (
            f"Search and retraining take {_span(own)} of the time of training all "
            f"{len(study.candidates.names)} candidates, once the {study.candidates.size} best are known; to "
            "know them takes that time once more."
        )
    share: dict[str, list[float]] = {}
    change: dict[str, list[float]] = {}
    for pair in pairs:
        found = costs.ways(study, results, *pair)
        for way in found[1:]:
            share.setdefault(way.name, []).append(way.seconds / found[0].seconds)
            change.setdefault(way.name, []).append(way.ndcg - found[0].ndcg)
    for name, shares in share.items():
        yield (
            f"“{name}” takes {_span(shares)} of a grid search's time; its ndcg@{study.k} differs from the "
            f"grid search's by {_signed(change[name])}."
        )


def _place(found: Comparison) -> int:
    """AutoSample's place by average rank; equals share the better one."""
    return int(found.average_rank.rank(method="min")[AUTOSAMPLE])


def _told(places: Sequence[int]) -> str:
    counts = {place: places.count(place) for place in sorted(set(places))}
    return (
        f"{', '.join(f'place {place} in {count}' for place, count in counts.items())} of {len(places)} cases"
    )


def _listed(names: Sequence[str]) -> str:
    return f"{len(names)} ({'; '.join(names)})" if names else "none"


def _span(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def _signed(values: Sequence[float]) -> str:
    low, high = f"{min(values):+.4f}", f"{max(values):+.4f}"
    return low if low == high else f"{low} to {high}, {fmean(values):+.4f} in the mean"
