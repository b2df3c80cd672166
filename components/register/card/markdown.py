"""Text from elsewhere, set in Markdown so that it stays text."""

import re
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

# Underscores within a word and brackets that begin no link are text already.
_MARKS = re.compile(r"[\\`*<>|~]|(?<!\w)_|_(?!\w)|\](?=[(\[:])|^[#+-](?=\s)|&(?=#?\w+;)")
_MINUS = re.compile(r"(?<!\w)-(?=\d)")


def inline(text: str) -> str:
    """One line in which nothing is markup; numbers below zero with a real minus."""
    line = _MARKS.sub(lambda mark: f"\\{mark[0]}", " ".join(text.split()))
    return _MINUS.sub("−", line)


def code(text: str) -> str:
    """One line as code; bars would end a table's cell, backticks the code."""
    return f"`{' '.join(text.split()).replace('`', chr(0x2B9)).replace('|', chr(0xA6))}`"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool) -> str:
    """A table of finished cells; `numbers`, which are all but the first column, stand on the right."""
    lines = [header, [":--", *["--:" if numbers else ":--"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def public(uri: str) -> str:
    """A URI without what may be secret in it: user, password, query and fragment."""
    if "://" not in uri:
        return uri
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def signed(value: float, digits: int = 4) -> str:
    """With its sign, and a real minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def interval(difference: float, low: float, high: float) -> str:
    return f"{signed(difference)} [{signed(low)}, {signed(high)}]"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def moment(text: str) -> str:
    """A time in ISO 8601, in UTC to the minute."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
