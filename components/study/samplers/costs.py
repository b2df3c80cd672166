"""What ways to a model take: settings, epochs, trainings, seconds."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from statistics import fmean
from typing import final

import pandas as pd

from components.core.columns import EPOCH
from components.core.recipe.search import AutoSample
from components.study.results import read
from components.study.running import Outcome
from components.study.samplers.conducting import Results, ranked
from components.study.samplers.grid import Cell, Method, candidates, searched
from components.study.samplers.schema import AUTOSAMPLE, STAGES_OF_AUTOSAMPLE, SamplersStudy
from components.study.samplers.tables import decisions, joined, methods_of, p_value


def times(study: SamplersStudy, results: Results, data: str, model: str) -> dict[str, float]:
    """Figure 3: seconds of optimisation and validation, means over seeds, of AutoSample's `search` and
    `retrain`, and of training with each candidate. Empty where one of them did not run."""
    space = results.chosen.get((data, model, f"ranked {study.candidates.size}"))
    found = results.of(data, model, searched(study, space)) if space else {}
    if not found:
        return {}
    alone = {
        method.name: _seconds(results.of(data, model, method), "retrain") for method in candidates(study)
    }
    seconds = {stage: _seconds(found, stage) for stage in STAGES_OF_AUTOSAMPLE} | alone
    return {} if any(map(isnan, seconds.values())) else seconds


@final
@dataclass(frozen=True)
class Way:
    """A way to a model, and what it takes in all.

    Attributes:
        picks: a sampler, or the candidates of a search, and for how many seeds it decided for which.
        ndcg: on test, the mean over seeds.
        p_value: of its difference to the grid search's.
        trainings, short_trainings: full ones, and those of a race.
        seconds: of all of them, for one seed.
    """

    name: str
    picks: str
    ndcg: float
    p_value: float
    trainings: int
    short_trainings: int
    seconds: float


def ways(study: SamplersStudy, results: Results, data: str, model: str) -> list[Way]:
    """The grid search, which keeps the candidate that validates best, and what there is instead. The rule
    "the T best" (§2.3.1) trains every candidate before the search begins: it is a grid search already.

    Returns:
        the grid search first; nothing where a cell is missing.
    """
    size, race = study.candidates.size, study.candidates.race
    alone = {method.name: method for method in candidates(study)}
    full = [*alone.values()]
    best = alone[ranked(study, results, data, model)[0]]
    space = results.chosen.get((data, model, f"ranked {size}"), ())
    asked = [("grid search", best, full), (f"{AUTOSAMPLE}, {size} best", searched(study, space), full)]
    if race is not None:
        short = candidates(study, epochs=race.epochs)
        best = alone[ranked(study, results, data, model, race.epochs)[0]]
        space = results.chosen.get((data, model, f"race {size}"), ())
        asked.append(("race, then the winner", best, short))
        asked.append((f"{AUTOSAMPLE}, race's {size}", searched(study, space), short))
    metric = f"ndcg@{study.k}"
    grid = results.of(data, model, asked[0][1])
    found: list[Way] = []
    for name, method, before in asked:
        outcomes = results.of(data, model, method)
        if not outcomes or not grid:
            return []
        after = [] if method in before else STAGES_OF_AUTOSAMPLE if method.space else ["retrain"]
        seconds = [_seconds(results.of(data, model, one), "retrain") for one in before]
        seconds += [_seconds(outcomes, stage) for stage in after]
        if any(map(isnan, seconds)):
            return []
        num_short = sum(one.epochs is not None for one in before)
        found.append(
            Way(
                name=name,
                picks=_picks(study, results, data, model, method),
                ndcg=fmean(outcome.metrics["evaluate"][metric] for outcome in outcomes.values()),
                p_value=p_value(outcomes, grid, metric),
                trainings=len(before) - num_short + len(after),
                short_trainings=num_short,
                seconds=sum(seconds),
            )
        )
    return found


@final
@dataclass(frozen=True)
class ShortRace:
    """What a race of some epochs would have picked: the first epochs of a training are the same, whatever its
    limit.

    Attributes:
        picks: the best candidates on validation so far, the mean over seeds.
        winner_ndcg: on test, of the first of them, trained to its end.
        share: of the seconds of training all candidates to their end.
    """

    epochs: int
    picks: tuple[str, ...]
    winner_ndcg: float
    share: float


def races(study: SamplersStudy, results: Results, data: str, model: str) -> list[ShortRace]:
    """Races of ever twice as many epochs, until all candidates end; empty where one of them did not run."""
    metric = f"ndcg@{study.k}"
    histories: dict[str, list[pd.Series]] = {}
    seconds: dict[str, float] = {}  # of an epoch
    for method in candidates(study):
        outcomes = results.of(data, model, method)
        if not outcomes:
            return []
        histories[method.name] = [_history(outcome, metric) for outcome in outcomes.values()]
        epochs = fmean(outcome.metrics["retrain"]["epochs"] for outcome in outcomes.values())
        seconds[method.name] = _seconds(outcomes, "retrain") / epochs
    last = {name: fmean(int(one.index[-1]) for one in many) for name, many in histories.items()}
    whole = sum(seconds[name] * last[name] for name in last)
    found: list[ShortRace] = []
    length = int(min(one.index[0] for history in histories.values() for one in history))
    while length <= max(last.values()):
        best = {
            name: fmean(float(one.loc[:length].max()) for one in many) for name, many in histories.items()
        }
        order = sorted(best, key=lambda name: -best[name])
        winner = results.of(data, model, Method(order[0]))
        spent = sum(seconds[name] * min(length, last[name]) for name in last)
        found.append(
            ShortRace(
                epochs=length,
                picks=tuple(order[: study.candidates.size]),
                winner_ndcg=fmean(outcome.metrics["evaluate"][metric] for outcome in winner.values()),
                share=spent / whole,
            )
        )
        length *= 2
    return found


def _history(outcome: Outcome, metric: str) -> pd.Series:
    """Validations of a training by epoch."""
    table = read(outcome, "model", "history.parquet", [EPOCH, metric])
    validated: pd.Series = table.set_index(EPOCH)[metric].dropna()
    return validated


def _picks(study: SamplersStudy, results: Results, data: str, model: str, method: Method) -> str:
    if not method.space:
        return method.name
    counts = Counter(one.name for one in decisions(study, results, data, model, method.space))
    return (
        f"{joined(method.space)} → {', '.join(f'{name} {n}/{counts.total()}' for name, n in counts.items())}"
    )


def settings(study: SamplersStudy, results: Results, data: str, model: str) -> pd.DataFrame | None:
    """What the methods of Table 3 ran with, and for how long: rates, and means over seeds of epochs."""
    rows = []
    for method in methods_of(study, results, data, model).values():
        found = results.of(data, model, method)
        if not found:
            continue
        recipe = results.recipes[Cell(data, model, method, next(iter(found)))]
        row: dict[str, float | str] = {
            "method": method.name,
            "learning_rate": recipe.training.learning_rate,
            "l2": recipe.training.l2,
        }
        if isinstance(recipe.search, AutoSample):
            row["alpha_learning_rate"] = recipe.search.alpha_learning_rate
        for stage in STAGES_OF_AUTOSAMPLE if method.space else ("retrain",):
            for name in ("epochs", "best_epoch"):
                row[f"{stage}_{name}"] = fmean(one.metrics[stage][name] for one in found.values())
        rows.append(row)
    return pd.DataFrame(rows).set_index("method") if rows else None


def _seconds(outcomes: Mapping[int, Outcome], stage: str) -> float:
    found = [outcome.metrics[stage]["training_seconds"] for outcome in outcomes.values()]
    return fmean(found) if found else float("nan")
