"""JSON files in artifacts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_document(document: Mapping[str, Any], path: Path) -> None:
    """Write JSON for people and programs: sorted keys, indented; NaN and infinities are refused."""
    text = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_document(path: Path) -> dict[str, Any]:
    """A document that `write_document` wrote."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def read_keys(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """A document that has at least these keys; dots lead into sections.

    Raises:
        KeyError: one is missing.
    """
    document = read_document(path)
    for key in keys:
        section: Any = document
        for name in key.split("."):
            if not isinstance(section, Mapping) or name not in section:
                raise KeyError(key)
            section = section[name]
    return document
