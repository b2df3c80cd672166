"""The order in which a study's cells are run: what AutoSample searches depends on how the baselines did."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Final, final

from components.core.errors import GateFailedError
from components.study.grid import Cell, Method, baselines, candidates, recipe_of, searched
from components.study.running import Outcome, run_cells
from components.study.schema import Study
from components.study.tuning import tune

Tell = Callable[[str], None]
_VALID: Final = "valid_"


@final
@dataclass(frozen=True)
class Part:
    """The part of a study that is run; the names are the study's."""

    data: tuple[str, ...]
    models: tuple[str, ...]


@final
@dataclass
class Results:
    """What a study found so far.

    Attributes:
        outcomes: of every cell that was run.
        chosen: by data, model and rule (`ranked 2`, `race 2`), the candidates that it chooses.
        rates: that tuning found, by data, model and sampler.
    """

    outcomes: dict[Cell, Outcome] = field(default_factory=dict)
    chosen: dict[tuple[str, str, str], tuple[str, ...]] = field(default_factory=dict)
    rates: dict[tuple[str, str, str], Mapping[str, float]] = field(default_factory=dict)

    def of(self, data: str, model: str, method: Method) -> dict[int, Outcome]:
        """By seed, those that succeeded."""
        return {
            cell.seed: outcome
            for cell, outcome in self.outcomes.items()
            if (cell.data, cell.model, cell.method) == (data, model, method) and not outcome.error
        }

    def validation(self, data: str, model: str, method: Method) -> float:
        """The mean over seeds of the best validation."""
        found = self.of(data, model, method).values()
        values = [
            value
            for one in found
            for name, value in one.metrics["retrain"].items()
            if name.startswith(_VALID)
        ]
        return fmean(values) if values else float("-inf")


def conduct(study: Study, part: Part, journal: Path, *, jobs: int, tell: Tell) -> Results:
    """Tune and run the baselines, choose candidates by their validation, tune and run AutoSample.

    `journal` is where trials of tuning are kept.
    """
    results = Results()

    def do(methods: Callable[[str, str], list[Method]], cells: Callable[[], Iterable[Cell]]) -> None:
        tunable = [
            Cell(data, model, method, study.tuning.seed)
            for data, model in _pairs(part)
            for method in methods(data, model)
            if study.tuning and method.sampler in (study.tuning.methods or (method.sampler,))
        ]
        for number, (cell, values) in enumerate(tune(study, tunable, journal, jobs=jobs), start=1):
            results.rates[cell.data, cell.model, cell.method.sampler] = values
            told = ", ".join(f"{name} {value:g}" for name, value in values.items())
            tell(f"{number}/{len(tunable)}  {cell.label}: tuned, {told}")
        _run(study, results, list(cells()), jobs=jobs, tell=tell)

    do(lambda _, model: baselines(study, model), lambda: _first(study, part))
    for data, model in _pairs(part):
        _choose(study, results, data, model)
    rule = f"ranked {study.candidates.size}"
    do(
        lambda data, model: [searched(study, results.chosen[data, model, rule])],
        lambda: _second(study, part, results),
    )
    return results


def ranked(study: Study, results: Results, data: str, model: str, epochs: int | None = None) -> list[str]:
    """The candidates, the best on validation first; ties to the one named first."""
    names = study.candidates.names
    value = {name: results.validation(data, model, Method(name, epochs=epochs)) for name in names}
    return sorted(names, key=lambda name: (-value[name], names.index(name)))


def _first(study: Study, part: Part) -> Iterable[Cell]:
    """What depends on nothing."""
    for data, model in _pairs(part):
        methods = baselines(study, model)
        for count in study.negatives:
            methods += candidates(study, num_negatives=count)
        if study.candidates.race is not None:
            methods += candidates(study, epochs=study.candidates.race.epochs)
        yield from (Cell(data, model, method, seed) for method in methods for seed in study.seeds)


def _choose(study: Study, results: Results, data: str, model: str) -> None:
    race = study.candidates.race
    for size in sorted({study.candidates.size, *study.negatives}):
        results.chosen[data, model, f"ranked {size}"] = tuple(ranked(study, results, data, model)[:size])
    if race is not None:
        size = study.candidates.size
        fastest = ranked(study, results, data, model, race.epochs)
        results.chosen[data, model, f"race {size}"] = tuple(fastest[:size])


def _second(study: Study, part: Part, results: Results) -> Iterable[Cell]:
    """What searches among those that were chosen."""
    for data, model in _pairs(part):
        methods = [
            searched(study, space) for (d, m, _), space in results.chosen.items() if (d, m) == (data, model)
        ]
        if study.random_start:
            methods.append(
                searched(study, results.chosen[data, model, f"ranked {study.candidates.size}"], "none")
            )
        methods += [searched(study, space) for space in study.spaces]
        unique = dict.fromkeys(methods)
        yield from (Cell(data, model, method, seed) for method in unique for seed in study.seeds)


def rates_of(study: Study, results: Results, cell: Cell) -> Mapping[str, float]:
    """What tuning found for a cell: for its own sampler, or else for the first that was tuned."""
    first = study.tuning.methods[:1] if study.tuning else ()
    found = (results.rates.get((cell.data, cell.model, name)) for name in (cell.method.sampler, *first))
    return next((rates for rates in found if rates is not None), {})


def _run(study: Study, results: Results, cells: list[Cell], *, jobs: int, tell: Tell) -> None:
    recipes = {cell: recipe_of(study, cell, rates_of(study, results, cell)) for cell in cells}
    for number, (cell, outcome) in enumerate(run_cells(recipes, jobs=jobs), start=1):
        results.outcomes[cell] = outcome
        tell(f"{number}/{len(cells)}  {cell.label}: {outcome.error or _told(outcome)}")
    if cells and all(results.outcomes[cell].error for cell in cells):
        first = cells[0]
        raise GateFailedError(f"every cell failed; the first, {first.label}: {results.outcomes[first].error}")


def _told(outcome: Outcome) -> str:
    *_, last = outcome.metrics.values()
    name = next((name for name in last if name.startswith("ndcg@")), None)
    return f"{name} {last[name]:.4f}" if name else "done"


def _pairs(part: Part) -> list[tuple[str, str]]:
    return [(data, model) for data in part.data for model in part.models]
