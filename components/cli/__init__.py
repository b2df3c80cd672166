"""`recloop`: the command line."""


def main() -> None:
    """The console script."""
    from components.cli.app import app

    app(prog_name="recloop")
