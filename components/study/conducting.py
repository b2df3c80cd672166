"""Running cells of a study, and telling of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

from components.core.errors import InvalidInputError
from components.core.progress import progress
from components.study.cells import AnyMethod, AnyRecipe, Cell
from components.study.results import StudyResults
from components.study.running import Outcome, run_cells

Tell = Callable[[str], None]


@final
@dataclass(frozen=True)
class Part:
    """The part of a study that is run; the names are the study's."""

    data: tuple[str, ...]
    models: tuple[str, ...]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Of data and model."""
        return [(data, model) for data in self.data for model in self.models]


def run(
    recipes: Mapping[Cell[AnyMethod], AnyRecipe],
    results: StudyResults[AnyMethod, AnyRecipe],
    metric: str,
    *,
    jobs: int,
    tell: Tell,
) -> None:
    """Run cells and enter what they left.

    Args:
        metric: told of each.
    """
    results.recipes |= recipes
    with progress("cells", len(recipes), "cells") as shown:
        for number, (cell, outcome) in enumerate(run_cells(recipes, jobs=jobs), start=1):
            results.outcomes[cell] = outcome
            tell(f"{number}/{len(recipes)}  {cell.label}: {outcome.error or _told(outcome, metric)}")
            shown.advance()


def run_with_policies(
    recipes: Mapping[Cell[AnyMethod], AnyRecipe],
    sources: Mapping[Cell[AnyMethod], Cell[AnyMethod]],
    taking: Callable[[Cell[AnyMethod], str], AnyRecipe],
    results: StudyResults[AnyMethod, AnyRecipe],
    metric: str,
    *,
    jobs: int,
    tell: Tell,
) -> None:
    """Run everything that depends on nothing, and then what takes its policies over.

    Args:
        sources: of the cells that take one over, the cell that finds it.
        taking: such a cell's recipe, by the policy's URI.

    Raises:
        InvalidInputError: all cells that depend on nothing failed.
    """
    alone = {cell: recipe for cell, recipe in recipes.items() if cell not in sources}
    run(alone, results, metric, jobs=jobs, tell=tell)
    require_some(results)
    found: dict[Cell[AnyMethod], AnyRecipe] = {}
    for cell, source in sources.items():
        policy = results.outcomes[source].places.get("policy")
        if policy:
            found[cell] = taking(cell, policy)
        else:
            told = f"{source.label}: left no policy: {results.outcomes[source].error}"
            results.outcomes[cell] = Outcome({}, {}, error=told)
    run(found, results, metric, jobs=jobs, tell=tell)


def require_some(results: StudyResults[AnyMethod, AnyRecipe]) -> None:
    """Go on only where there is something to go on with.

    Raises:
        InvalidInputError: all cells failed.
    """
    if all(outcome.error for outcome in results.outcomes.values()):
        cell, outcome = next(iter(results.outcomes.items()))
        raise InvalidInputError(f"every cell failed; {cell.label}: {outcome.error}")


def _told(outcome: Outcome, metric: str) -> str:
    *_, last = outcome.metrics.values()
    name = metric if metric in last else next(name for name in last if name.endswith(metric))
    took = "done before" if outcome.skipped else f"{outcome.seconds:.0f} s"
    return f"{name} {last[name]:.4f}, {took}"
