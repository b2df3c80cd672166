"""The commands. Each imports what it needs when it runs: `--help` costs no pydantic, torch or mlflow."""

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from components.cli.arguments import (
    Each,
    Json,
    Overrides,
    RecipeName,
    RecipeNames,
    Until,
    read,
)
from components.cli.asking import commands as asking
from components.cli.errors import DEBUG, EXIT_CODES, Commands
from components.cli.promoting import commands as promoting
from components.cli.seeing import commands as seeing
from components.core.recipe_files import find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.core.recipe import Recipe
    from components.core.runs import StageRecord

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES,
)


def _version(wanted: bool) -> None:
    if wanted:
        from components import __version__

        print(f"recloop {__version__}")
        raise typer.Exit


@app.callback()
def recloop(
    debug: Annotated[
        bool, typer.Option("--debug", envvar=DEBUG, help="Show tracebacks and more log lines.")
    ] = False,
    _: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Keep a recommender fresh: one YAML recipe in, a registered champion out.

    [bold]Start with[/bold]

    [cyan]recloop run demo[/cyan]                  the whole loop on synthetic data
    [cyan]recloop report demo --open[/cyan]        read what came out
    [cyan]recloop recommend demo -u u0017[/cyan]   ask the champion, if it ranks
    [cyan]recloop predict clicks -i a.csv[/cyan]   the same, if it classifies
    """
    if debug:
        os.environ[DEBUG] = "1"


@app.command()
def validate(recipes: RecipeNames, overrides: Overrides = []) -> None:  # noqa: B006  # Typer reads it
    """Check recipes; tells all mistakes at once.

    [cyan]recloop validate demo my/recipe.yaml --set epochs=5[/cyan]
    """
    from components.core.errors import InvalidInputError

    problems = []
    for named in recipes:
        try:
            recipe = read(named, overrides)
        except InvalidInputError as error:
            problems.append(str(error))
        else:
            print(
                f"{named}: valid (source {recipe.source.kind}, search {recipe.search.kind}, "
                f"model {recipe.training.model.kind}, workspace {recipe.workspace_uri})"
            )
    if problems:
        raise InvalidInputError("\n".join(problems))


@app.command()
def compile(  # noqa: A001  # the command's name
    recipe: RecipeName,
    overrides: Overrides = [],  # noqa: B006
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            show_default="<recipe>.pipeline.yaml here",
            help="Where the pipeline goes; - is standard output.",
        ),
    ] = None,
) -> None:
    """Write a recipe's Kubeflow pipeline.

    [cyan]recloop compile ml-100k --output ml-100k.pipeline.yaml[/cyan]

    Needs an environment with recloop\\[kubeflow].
    """
    from components.cli.compiling import compile_to
    from components.core.progress import error_console

    place = output or f"{read(recipe, overrides).name}.pipeline.yaml"
    compile_to(find(recipe), overrides, place)
    if place != "-":
        error_console().print(f"wrote {place}", markup=False, soft_wrap=True)


@app.command()
def schema(
    what: Annotated[Literal["recipe", "study"], typer.Argument(help="What is to be written.")] = "recipe",
) -> None:
    """Print the JSON Schema of recipes or studies, for editors.

    [cyan]recloop schema > recipe.schema.json[/cyan]

    An editor with a YAML language server completes and checks a recipe that begins with
    [cyan]# yaml-language-server: $schema=recipe.schema.json[/cyan]
    """
    from components.cli.output import print_json
    from components.core.recipe.schema import recipe_schema
    from components.study.reading import study_schema

    print_json(recipe_schema() if what == "recipe" else study_schema())


@app.command()
def run(
    recipe: RecipeName,
    overrides: Overrides = [],  # noqa: B006
    each: Each = None,
    until: Until = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No log lines of the stages.")] = False,
    json: Json = False,
) -> None:
    """Run a recipe's stages; what is done is skipped.

    [cyan]recloop run demo --set epochs=5 --until prepare[/cyan]

    Artifacts go to the recipe's workspace; $RECLOOP_WORKSPACE names another.
    A run that was stopped goes on where it was when it is started again.
    [cyan]--each period=00..05[/cyan] makes a run of each delivery, in this order; a gate stops only its own.
    """
    from components.cli.backfill import run_each
    from components.cli.outcome import Outcome
    from components.cli.output import Logs, console, print_json, print_pairs
    from components.cli.running import run_stages
    from components.core.each import read_each

    def tell(one: "Recipe", run_id: str, records: "Sequence[StageRecord]") -> None:
        outcome = Outcome.of(one, records)
        if json:
            stages = [asdict(record) for record in records]
            print_json({"run_id": run_id, "stages": stages, "outcome": asdict(outcome)})
        elif until in {None, "register"}:
            console().print(outcome.headline(), style="bold", markup=False, soft_wrap=True)
            print_pairs(outcome.pairs())
        else:
            print_pairs({"artifact": records[-1].uri})

    logs = Logs(quiet=quiet, debug=DEBUG in os.environ)
    if each is None:
        checked = read(recipe, overrides)
        tell(checked, *run_stages(checked, until, logs))
        return
    key, values = read_each(each)
    several = [f"{key}={value}" for value in values]
    recipes = {which: read(recipe, [*overrides, which]) for which in several}  # mistakes before any work
    for run_of_one in run_each(recipes, until, logs):
        tell(*run_of_one)


@app.command()
def study(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A YAML file, or the name of an included study.")
    ],
    overrides: Annotated[
        list[str],
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUE",
            help="A dotted path: [cyan]data.ml-100k.parameters.data=/where/it/is[/cyan]. The value is YAML.",
        ),
    ] = [],  # noqa: B006
    data: Annotated[list[str], typer.Option("--data", metavar="NAME", help="Only these data sets.")] = [],  # noqa: B006
    model: Annotated[list[str], typer.Option("--model", metavar="NAME", help="Only these models.")] = [],  # noqa: B006
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Cells at a time; they share the cores.")
    ] = 1,
) -> None:
    """Compare samplers or losses, and searches, over data, models and seeds, in tables and figures.

    [cyan]recloop study autosample-ml-100k --model MF --jobs 2[/cyan]
    [cyan]recloop study autoloss-criteo-10k --jobs 2[/cyan]

    What is done is skipped: a study that was stopped goes on where it was.
    """
    from components.cli.studying import run_study

    print(run_study(study, overrides, data=data, models=model, jobs=jobs))


app.add_typer(asking)
app.add_typer(promoting)
app.add_typer(seeing)
