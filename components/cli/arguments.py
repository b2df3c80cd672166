"""What commands take: arguments and options that several share."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from components.core.recipe_files import complete, find

if TYPE_CHECKING:
    from components.core.recipe import Recipe

StageName = Literal["ingest", "prepare", "search", "retrain", "evaluate", "register"]
RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE", help="A YAML file, or the name of an included recipe.", autocompletion=complete
    ),
]
RecipeNames = Annotated[
    list[str],
    typer.Argument(
        metavar="RECIPE...", help="YAML files, or names of included recipes.", autocompletion=complete
    ),
]
RunId = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="A run's id; else the newest run with a report.")
]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="Name of a registered model.")]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="A parameter of the recipe or a dotted path: [cyan]epochs=5[/cyan], "
        "[cyan]training.model.dim=32[/cyan], [cyan]search.samplers.0.kind=dns[/cyan]. The value is YAML.",
    ),
]
Each = Annotated[
    str | None,
    typer.Option(
        "--each",
        metavar="KEY=VALUES",
        help="A run for each value, in order: [cyan]period=00..05[/cyan] or [cyan]period=00,02,05[/cyan].",
    ),
]
Until = Annotated[StageName | None, typer.Option("--until", "-u", help="Stop after this stage.")]
Users = Annotated[
    list[str], typer.Option("--user", "-u", metavar="ID", help="A user's id; give it again for more.")
]


def _without_password(uri: str | None) -> str | None:
    from components.core.errors import InvalidInputError
    from components.core.recipe.judgement import holds_password

    if uri is not None and holds_password(uri):
        raise InvalidInputError(
            "--tracking-uri, or MLFLOW_TRACKING_URI: holds a password, which messages would show; put it "
            "into MLFLOW_TRACKING_PASSWORD instead"
        )
    return uri


TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        callback=_without_password,
        metavar="URI",
        envvar="MLFLOW_TRACKING_URI",
        show_default="SQLite in the workspace",
        help="The MLflow server.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def read(named: str, overrides: list[str]) -> "Recipe":
    """The recipe at a path, or the included one of that name.

    Raises:
        InvalidInputError: there is none, or it has mistakes.
    """
    from components.core.recipe.reading import read_recipe

    return read_recipe(find(named), overrides)
