"""A decision about the champion: whose, and why."""

import getpass
import os
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, kw_only=True)
class Decision:
    """Who wants what, and why.

    Attributes:
        key: names the decision, so that trying again does not take it twice; "": each try is a new one.
        answered: when, where somebody was asked.
        force: against the evidence.
    """

    who: str
    why: str
    key: str = ""
    answered: str | None = None
    force: bool = False


def this_user() -> str:
    """Who runs this process: $RECLOOP_USER, or the system's user."""
    try:
        return os.environ.get("RECLOOP_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"user {os.geteuid()}"
