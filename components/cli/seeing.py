"""The commands that look: at runs, and at what came of them."""

import os
from dataclasses import asdict
from typing import Annotated

import typer

from components.cli.arguments import Json, Overrides, RecipeName, RunId, TrackingUri, read
from components.cli.errors import DEBUG

commands = typer.Typer()


@commands.command()
def runs(recipe: RecipeName, overrides: Overrides = [], json: Json = False) -> None:  # noqa: B006
    """List a recipe's runs, the newest first.

    [cyan]recloop runs demo[/cyan]
    """
    from components.cli.history import outcome_of, print_runs
    from components.cli.output import print_json
    from components.core.runs import read_runs

    checked = read(recipe, overrides)
    found = read_runs(checked)
    if json:
        print_json(
            [
                {
                    "run_id": one.run_id,
                    "status": one.status,
                    "outcome": outcome_of(checked, one),
                    "stages": [asdict(stage) for stage in one.stages],
                }
                for one in found
            ]
        )
    else:
        print_runs(checked, found)


@commands.command()
def report(
    recipe: RecipeName,
    run_id: RunId = None,
    overrides: Overrides = [],  # noqa: B006
    open_it: Annotated[bool, typer.Option("--open", "-o", help="Open the page in a browser.")] = False,
    json: Json = False,
) -> None:
    """Tell what a run came to; open its report.

    [cyan]recloop report demo --open[/cyan]
    """
    from components.cli.history import find_run, open_page
    from components.cli.outcome import Outcome
    from components.cli.output import console, print_json, print_pairs
    from components.core.runs import read_runs

    checked = read(recipe, overrides)
    found = find_run(checked, read_runs(checked), run_id)
    outcome = Outcome.of(checked, found.stages)
    if json:
        print_json({"run_id": found.run_id, **asdict(outcome)})
    else:
        console().print(outcome.headline(), style="bold", markup=False, soft_wrap=True)
        print_pairs({"run": found.run_id, **outcome.pairs()})
    if open_it and outcome.report:
        open_page(outcome.report)


@commands.command()
def diff(
    recipe: RecipeName,
    first: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]", help="A run's id, or a part that no other has; else the last but one."
        ),
    ] = None,
    second: Annotated[str | None, typer.Argument(metavar="[RUN]", help="The same; else the newest.")] = None,
    overrides: Overrides = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Tell what differs between two runs.

    [cyan]recloop diff demo[/cyan]                 the last two
    [cyan]recloop diff demo T0300 T1200[/cyan]     of 3 and of 12 o'clock

    Parameters, code, deliveries, artifacts, data, gates, what the search found, metrics, the verdict, times.
    """
    from components.cli.differing import compare, documents, print_differences
    from components.cli.history import select
    from components.cli.output import print_json
    from components.core.errors import InvalidInputError
    from components.core.runs import read_runs

    checked = read(recipe, overrides)
    found = read_runs(checked)
    if len(found) < 2:
        raise InvalidInputError(f"{checked.name}: has {len(found)} runs, need two to compare")
    one = select(checked, found, first) if first else found[1]
    two = select(checked, found, second) if second else found[0]
    sections = compare(one, two)
    if json:
        print_json({"first": one.run_id, "second": two.run_id, **documents(sections)})
    else:
        print_differences((one.run_id, two.run_id), sections)


@commands.command()
def lineage(
    artifact: Annotated[
        str,
        typer.Argument(
            metavar="ARTIFACT",
            help="An artifact's URI; or a registered model: [cyan]demo[/cyan] (its champion), "
            "[cyan]demo@challenger[/cyan], [cyan]demo/3[/cyan].",
        ),
    ],
    verify: Annotated[bool, typer.Option("--verify", help="Hash every file again.")] = False,
    tracking_uri: TrackingUri = None,
    json: Json = False,
) -> None:
    """Tell what an artifact or a champion was made from, back to the source files.

    [cyan]recloop lineage demo --verify[/cyan]

    With --verify the exit code is 5 where something is gone, or is not what it was.
    """
    from components.cli.ancestry import trace
    from components.cli.lineage import find_roots, print_tree
    from components.cli.output import Logs, print_json
    from components.core.errors import IntegrityError
    from components.core.recipe.base import default_tracking_uri, default_workspace

    Logs(quiet=True, debug=DEBUG in os.environ)
    title, roots = find_roots(artifact, lambda: tracking_uri or default_tracking_uri(default_workspace()))
    found = trace(roots, verify=verify)
    if json:
        print_json({"title": title, **found.document()})
    else:
        print_tree(title, found)
    faults = list(found.faults())
    if verify and faults:
        raise IntegrityError("\n".join(faults))
