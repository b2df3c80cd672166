"""`recloop`: the command line."""


def main() -> None:
    """The console script."""
    from components.cli.app import app
    from components.core.threads import wait_briefly

    wait_briefly()
    app(prog_name="recloop")
