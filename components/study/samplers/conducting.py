"""The order in which a study's cells are run: what AutoSample searches depends on how the baselines did."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Final, final

from components.core.progress import progress
from components.core.recipe import RankingRecipe
from components.study.conducting import Part, Tell, require_some, run
from components.study.results import StudyResults
from components.study.samplers.grid import Cell, Method, baselines, candidates, recipe_of, searched
from components.study.samplers.schema import SamplersStudy
from components.study.samplers.tuning import tune

_VALID: Final = "valid_"


@final
@dataclass
class Results(StudyResults[Method, RankingRecipe]):
    """What a study of samplers found so far.

    Attributes:
        chosen: by data, model and rule (`ranked 2`, `race 2`), the candidates that it chooses.
        rates: that tuning found, by data, model and sampler.
    """

    chosen: dict[tuple[str, str, str], tuple[str, ...]] = field(default_factory=dict)
    rates: dict[tuple[str, str, str], Mapping[str, float]] = field(default_factory=dict)

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


def conduct(study: SamplersStudy, part: Part, folder: Path, *, jobs: int, tell: Tell) -> Results:
    """Tune and run the baselines, choose candidates by their validation, tune and run AutoSample.

    `folder` is where trials of tuning are kept.

    Raises:
        InvalidInputError: a recipe is not valid, told before any work; or no baseline could be run.
    """
    results = Results()
    first = list(_first(study, part))
    for cell in (*first, *_possible(study, part)):
        recipe_of(study, cell, {})

    def tuned(methods: Callable[[str, str], list[Method]]) -> None:
        if study.tuning is None:
            return
        asked = {
            cell: _settled(study, results, cell)
            for data, model in part.pairs
            for method in methods(data, model)
            for cell in [Cell(data, model, method, study.tuning.seed)]
        }
        with progress("tuning", len(asked), "methods") as shown:
            for number, (cell, rates, error) in enumerate(tune(study, asked, folder, jobs=jobs), start=1):
                if rates:
                    results.rates[cell.data, cell.model, cell.method.name] = rates
                told = ", ".join(f"{name} {value:g}" for name, value in rates.items())
                tell(f"{number}/{len(asked)}  {cell.label}: tuned, {error or told}")
                shown.advance()

    tuned(lambda _, model: _tunable(study, model))
    _run(study, results, first, jobs=jobs, tell=tell)
    require_some(results)
    for data, model in part.pairs:
        _choose(study, results, data, model)
    rule = f"ranked {study.candidates.size}"
    tuned(lambda data, model: [searched(study, results.chosen[data, model, rule])])
    _run(study, results, list(_second(study, part, results)), jobs=jobs, tell=tell)
    return results


def ranked(
    study: SamplersStudy, results: Results, data: str, model: str, epochs: int | None = None
) -> list[str]:
    """The candidates, the best on validation first; ties to the one named first."""
    names = study.candidates.names
    value = {name: results.validation(data, model, Method(name, epochs=epochs)) for name in names}
    return sorted(names, key=lambda name: (-value[name], names.index(name)))


def _first(study: SamplersStudy, part: Part) -> Iterable[Cell]:
    """What depends on nothing."""
    for data, model in part.pairs:
        methods = baselines(study, model)
        for count in study.negatives:
            methods += candidates(study, num_negatives=count)
        if study.candidates.race is not None:
            methods += candidates(study, epochs=study.candidates.race.epochs)
        yield from (Cell(data, model, method, seed) for method in methods for seed in study.seeds)


def _choose(study: SamplersStudy, results: Results, data: str, model: str) -> None:
    race = study.candidates.race
    for size in sorted({study.candidates.size, *study.negatives}):
        results.chosen[data, model, f"ranked {size}"] = tuple(ranked(study, results, data, model)[:size])
    if race is not None:
        size = study.candidates.size
        fastest = ranked(study, results, data, model, race.epochs)
        results.chosen[data, model, f"race {size}"] = tuple(fastest[:size])


def _second(study: SamplersStudy, part: Part, results: Results) -> Iterable[Cell]:
    """What searches among those that were chosen."""
    for data, model in part.pairs:
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


def rates_of(study: SamplersStudy, results: Results, cell: Cell) -> Mapping[str, float]:
    """What tuning found for a cell."""
    alone = results.rates.get((cell.data, cell.model, cell.method.name), {})
    return {**alone, **_settled(study, results, cell)}


def _settled(study: SamplersStudy, results: Results, cell: Cell) -> Mapping[str, float]:
    """Rates that a cell takes over: a sampler that is not tuned from the first that is, AutoSample from the
    best of its candidates."""
    data, model, method = cell.data, cell.model, cell.method
    name = method.name
    if method.space:
        name = next(name for name in ranked(study, results, data, model) if name in method.space)
    if study.tuning and name not in {one.name for one in _tunable(study, model)}:
        name = study.tuning.methods[0]
    return {} if name == method.name else results.rates.get((data, model, name), {})


def _tunable(study: SamplersStudy, model: str) -> list[Method]:
    asked = study.tuning.methods if study.tuning else ()
    return [method for method in baselines(study, model) if not asked or method.name in asked]


def _possible(study: SamplersStudy, part: Part) -> Iterable[Cell]:
    """Whose recipes are like those of all that may be searched."""
    for data, model in part.pairs:
        for space in (study.candidates.names, *study.spaces):
            yield Cell(data, model, searched(study, space), study.seeds[0])


def _run(study: SamplersStudy, results: Results, cells: list[Cell], *, jobs: int, tell: Tell) -> None:
    recipes = {cell: recipe_of(study, cell, rates_of(study, results, cell)) for cell in cells}
    run(recipes, results, f"ndcg@{study.k}", jobs=jobs, tell=tell)
