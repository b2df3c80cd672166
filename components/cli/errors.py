"""How a command ends that cannot go on: one message on standard error, and an exit code with a meaning."""

import os
import tempfile
import traceback
from typing import Final, final

import typer
from typer.core import TyperGroup

from components.core.errors import RecloopError
from components.core.progress import error_console

DEBUG: Final = "RECLOOP_DEBUG"
EXIT_CODES: Final = """\
[bold]Exit codes[/bold]
0    done
1    a bug
2    the recipe, the command or the data cannot be used as given
3    a gate stopped the run
4    someone else is writing the same
5    an artifact was changed or damaged
6    disk, network or a server failed; try again
130  Ctrl-C
"""


@final
class Commands(TyperGroup):
    """The commands; what they raise is told here."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # its own context, vendored
        try:
            return super().invoke(ctx)
        except RecloopError as error:
            if os.environ.get(DEBUG):
                _show(traceback.format_exc())
            _show("Error: ", str(error))
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            _show("Interrupted.")
            raise typer.Exit(130) from error
        except SystemExit:  # a signal's
            _show("Stopped.")
            raise
        except (typer.TyperException, typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            _show("Unexpected error: ", f"{type(error).__name__}: {error}".strip().partition("\n")[0])
            if os.environ.get(DEBUG):
                _show(traceback.format_exc())
            else:
                _show(f"This is a bug; its traceback is in {_keep_traceback()} (--debug shows it here).")
            raise typer.Exit(1) from error


def _show(heading: str, text: str = "") -> None:
    from rich.text import Text

    error_console().print(Text(heading, style="bold red") + Text(text), soft_wrap=True)


def _keep_traceback() -> str:
    with tempfile.NamedTemporaryFile(
        "w", prefix="recloop-traceback-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        traceback.print_exc(file=file)
    return file.name
