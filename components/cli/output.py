"""What a command shows: results on standard output, log lines on standard error."""

import json
import logging
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from components.core.progress import error_console

_UNBOUNDED = 10_000  # columns: what is not a terminal is not cut


def console() -> Console:
    """Standard output: colours and folding in a terminal only."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _UNBOUNDED)


def print_json(value: Any) -> None:
    """`value` as indented JSON on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_pairs(pairs: Mapping[str, str]) -> None:
    """Names and values, aligned. A long value stays one line, so that it can be copied."""
    width = max(map(len, pairs), default=0)
    shown = console()
    for name, value in pairs.items():
        shown.print(Text(f"{name:<{width}}  ", style="dim") + Text(value), soft_wrap=True)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """A table without lines; `right` names the columns of numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console().print(table)


def number(value: float) -> str:
    """A count without a fraction, anything else with four digits."""
    return f"{value:,.0f}" if value == int(value) else f"{value:.4g}"


@final
class Logs(logging.Filter):
    """Log lines that say which stage they come from."""

    def __init__(self, *, quiet: bool, debug: bool) -> None:
        super().__init__()
        self.stage = "recloop"
        if error_console().is_terminal:
            from rich.logging import RichHandler

            handler: logging.Handler = RichHandler(
                console=error_console(), show_path=False, show_level=False, markup=False, highlighter=None
            )
            form = "%(stage)s: %(message)s"
        else:
            handler = logging.StreamHandler()
            form = "%(asctime)s %(stage)s: %(message)s"
        handler.setFormatter(logging.Formatter(form, datefmt="%H:%M:%S"))
        handler.addFilter(self)
        logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
        logging.getLogger("components").setLevel(
            logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO
        )
        if not debug:
            warnings.simplefilter("ignore")  # libraries' advice to programmers

    def filter(self, record: logging.LogRecord) -> bool:
        record.stage = self.stage
        return True
