"""Keys: what a URI names, and which objects a prefix or a glob means."""

import fnmatch
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from botocore.exceptions import ClientError

from components.core.errors import InvalidInputError
from components.core.store import is_hidden

_GLOB = re.compile(r"[*?\[]")


def split(uri: str) -> tuple[str, str]:
    """Bucket and key. A key may hold any character: nothing in it is decoded or stripped."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket or not uri.startswith("s3://"):
        raise InvalidInputError(f"{uri}: need s3://bucket/key")
    return bucket, key


def find(client: Any, bucket: str, key: str) -> list[str]:
    """The keys at `key`: its own, those below `key/`, or where there are none those that it matches as a
    glob. Sorted here: a server may answer in any order."""
    below = f"{key.rstrip('/')}/" if key else ""
    found = {
        name
        for name in _list(client, bucket, below)
        if not is_hidden(PurePosixPath(name.removeprefix(below)))
    }
    if key and not key.endswith("/") and _is_object(client, bucket, key):
        found.add(key)
    if not found and _GLOB.search(key):
        prefix = _GLOB.split(key, maxsplit=1)[0]
        found = {name for name in _list(client, bucket, prefix) if matches(name.split("/"), key.split("/"))}
    return sorted(name for name in found if not name.endswith("/"))  # such are consoles' directory markers


def _list(client: Any, bucket: str, prefix: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def _is_object(client: Any, bucket: str, key: str) -> bool:
    try:
        client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return True


def matches(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Glob matching as on a disk: `*` stays within one part, `**` spans any number of them."""
    if not patterns or not parts:
        return not parts and all(pattern == "**" for pattern in patterns)
    if patterns[0] == "**" and matches(parts, patterns[1:]):
        return True
    if parts[0].startswith(".") and not patterns[0].startswith("."):
        return False
    if patterns[0] == "**":
        return matches(parts[1:], patterns)
    return fnmatch.fnmatchcase(parts[0], patterns[0]) and matches(parts[1:], patterns[1:])
