"""`recloop run --each`: deliveries one after the other, from old to new."""

from collections.abc import Iterator, Mapping

from rich.text import Text

from components.cli.output import Logs
from components.cli.running import run_stages
from components.core.errors import GateFailedError
from components.core.progress import error_console
from components.core.recipe import Recipe
from components.core.runs import StageRecord


def run_each(
    recipes: Mapping[str, Recipe], until: str | None, logs: Logs
) -> Iterator[tuple[Recipe, str, list[StageRecord]]]:
    """Run recipes in their order, by what tells them apart; a recipe, its run's id and what its stages did.

    A gate stops its own run, and the next one is judged by itself, as under an orchestrator. What else goes
    wrong would go wrong again.

    Raises:
        GateFailedError: at the end, when gates have stopped runs: which.
        RecloopError: at once; of any other kind.
    """
    stopped = []
    for which, recipe in recipes.items():
        error_console().print(Text(which, style="bold"))
        try:
            run_id, records = run_stages(recipe, until, logs)
        except GateFailedError as error:
            error_console().print(Text("Stopped: ", style="bold red") + Text(str(error)), soft_wrap=True)
            stopped.append(which)
        else:
            yield recipe, run_id, records
    if stopped:
        raise GateFailedError(f"gates stopped {len(stopped)} of {len(recipes)} runs: {', '.join(stopped)}")
