"""The commands that ask the champion."""

import os
from pathlib import Path
from typing import Annotated

import typer

from components.cli.arguments import Json, Model, TrackingUri, Users
from components.cli.errors import DEBUG

commands = typer.Typer()


@commands.command()
def recommend(
    model: Model,
    users: Users,
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="Items for each user.")] = 20,
    tracking_uri: TrackingUri = None,
    json: Json = False,
) -> None:
    """Ask the champion what users would like.

    [cyan]recloop recommend demo --user u0017 --user u0042 -k 5[/cyan]

    Users whom it does not know get popular items.
    """
    from components.cli.output import Logs, print_json, print_table
    from components.core.recipe.base import default_tracking_uri, default_workspace
    from components.registry.recommend import recommend as ask

    Logs(quiet=True, debug=DEBUG in os.environ)
    answer = ask(model, tracking_uri or default_tracking_uri(default_workspace()), users, k)
    rows = answer.to_dict(orient="records")
    if json:
        print_json(rows)
    else:
        print_table(
            ("user", "rank", "item", "score"),
            [
                (str(row["user_id"]), str(row["rank"]), str(row["item_id"]), f"{row['score']:.4f}")
                for row in rows
            ],
            right=("rank", "score"),
        )


@commands.command()
def predict(
    model: Model,
    examples: Annotated[
        Path,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="Examples as .csv, .tsv, .jsonl or .parquet, with a column for each field. Several values "
            "of one field are a list, or text with | between them; a history stands in the order of time.",
        ),
    ],
    tracking_uri: TrackingUri = None,
    json: Json = False,
) -> None:
    """Ask the champion which classes examples belong to.

    [cyan]recloop predict clicks --input examples.jsonl[/cyan]

    Values that it does not know share an embedding; so do those that are missing.
    """
    from components.cli.examples import read_examples
    from components.cli.output import Logs, print_json, print_table
    from components.core.recipe.base import default_tracking_uri, default_workspace
    from components.registry.predict import predict as ask

    Logs(quiet=True, debug=DEBUG in os.environ)
    found = read_examples(examples)
    answer = ask(model, tracking_uri or default_tracking_uri(default_workspace()), found)
    rows = answer.to_dict(orient="records")
    if json:
        print_json(rows)
        return
    shares = [name for name in answer.columns if name != "class"]
    print_table(
        ("example", "class", *shares),
        [
            (str(place), str(row["class"]), *(f"{row[name]:.4f}" for name in shares))
            for place, row in enumerate(rows, start=1)
        ],
        right=("example", *shares),
    )
