"""`recloop promote`, `rollback` and `history`: who is champion, and why."""

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from components.cli.arguments import Json, Model, TrackingUri
from components.cli.errors import DEBUG

if TYPE_CHECKING:
    from components.registry.ledger import Entry
    from components.registry.promotion import Succession

commands = typer.Typer()
Why = Annotated[str, typer.Option("--why", "-w", metavar="TEXT", help="The reason, for the ledger.")]


@commands.command()
def promote(
    model: Model,
    why: Why,
    version: Annotated[
        str | None, typer.Option("--version", metavar="NUMBER", show_default="the challenger", help="Which.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Against the evidence; the ledger says so.")] = False,
    tracking_uri: TrackingUri = None,
    json: Json = False,
) -> None:
    """Make a version champion.

    [cyan]recloop promote demo --why "looks good in the staging shop"[/cyan]

    Its evaluation must speak for it, against today's champion, and it must answer in a fresh process.
    The ledger names $RECLOOP_USER, or the system's user.
    """
    succession = _succession(model, tracking_uri)
    entry = succession.promote(_number(version) or succession.challenger(), _decision(why, force))
    _tell(model, entry, json)


@commands.command()
def rollback(
    model: Model,
    why: Why,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="NUMBER", show_default="the champion before", help="A former champion."),
    ] = None,
    tracking_uri: TrackingUri = None,
    json: Json = False,
) -> None:
    """Make a former champion champion again, for the next load.

    [cyan]recloop rollback demo --why "complaints since Monday"[/cyan]

    Once more goes back one more.
    """
    entry = _succession(model, tracking_uri).rollback(_number(to), _decision(why))
    _tell(model, entry, json)


@commands.command()
def history(model: Model, tracking_uri: TrackingUri = None, json: Json = False) -> None:
    """Show a model's ledger: who made which version champion, when and why.

    [cyan]recloop history demo[/cyan]

    Every entry holds the hash of the one before it; where that chain breaks, this says so and exits with 5.
    """
    from components.cli.output import console, print_json, print_table
    from components.core.errors import IntegrityError

    succession = _succession(model, tracking_uri)
    entries, problems, standing = succession.history()
    if json:
        told = [{**entry.model_dump(mode="json"), "sha256": entry.sha256} for entry in entries]
        print_json(
            {"ledger": succession.ledger.place, "entries": told, "problems": problems, "standing": standing}
        )
    else:
        print_table(
            ("", "when (UTC)", "what", "version", "who", "why", "evidence"),
            [_row(entry) for entry in entries],
        )
        console().print(f"{standing}\nledger: {succession.ledger.place}", soft_wrap=True, markup=False)
    if problems:
        raise IntegrityError(f"ledger {succession.ledger.place}: " + "; ".join(problems))


def _row(entry: "Entry") -> tuple[str, ...]:
    forced = " (forced)" if entry.evidence.get("forced") else ""
    refused = entry.evidence.get("version", "?")
    return (
        str(entry.sequence),
        f"{entry.when:%Y-%m-%d %H:%M:%S}",
        entry.action + forced,
        f"{refused} refused" if entry.action == "reject" else entry.move,
        entry.who,
        entry.why,
        entry.evidence_sha256[:12],
    )


def _succession(model: str, tracking_uri: str | None) -> "Succession":
    from components.cli.output import Logs
    from components.core.recipe.base import default_tracking_uri, default_workspace, ledgers_in
    from components.registry.promotion import Succession

    Logs(quiet=True, debug=DEBUG in os.environ)
    workspace = default_workspace()
    return Succession(model, tracking_uri or default_tracking_uri(workspace), ledgers_in(workspace))


def _decision(why: str, force: bool = False) -> Any:
    from components.core.errors import InvalidInputError
    from components.registry.decision import Decision, this_user

    if not why.strip():
        raise InvalidInputError("--why: is empty; the ledger keeps the reason")
    return Decision(who=this_user(), why=why.strip(), force=force)


def _number(version: str | None) -> str | None:
    from components.core.errors import InvalidInputError

    if version is not None and not (version.isdecimal() and version.isascii() and version[0] != "0"):
        raise InvalidInputError(f"got version {version!r}, need a number such as 3")
    return version


def _tell(model: str, entry: "Entry", json: bool) -> None:
    from components.cli.output import console, print_json

    if json:
        print_json({**entry.model_dump(mode="json"), "sha256": entry.sha256})
        return
    before = f" (before: version {entry.from_version})" if entry.from_version else ""
    became = f"Version {entry.to_version} of {model} is champion now{before}"
    console().print(f"{became}; entry {entry.sequence} of the ledger.", soft_wrap=True, markup=False)
