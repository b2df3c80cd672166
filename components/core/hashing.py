"""Canonical JSON and content hashes: what makes two pieces of work "the same"."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_CHUNK_BYTES = 1 << 20
_NO_RESULTS = {"cli", "study", "telemetry"}


def canonical_json(value: Any) -> str:
    """`value` as JSON with sorted keys and no spaces; refuses NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_json(value: Any) -> str:
    return sha256_text(canonical_json(value))


def sha256_file(path: Path) -> str:
    """Hash of a file's bytes, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@cache
def code_version() -> str:
    """Hash of the source files that shape results: the same on a laptop and in an image, with or without
    git. The command line and what is told to others are none of them."""
    root = Path(__file__).resolve().parents[1]
    files = {
        path.relative_to(root).as_posix(): sha256_file(path)
        for path in sorted(root.rglob("*"))
        if path.suffix in {".py", ".j2", ".css"} and path.relative_to(root).parts[0] not in _NO_RESULTS
    }
    return sha256_json(files)


def derive_seed(seed: int, *path: str) -> int:
    """A seed for one use of randomness, independent of the other uses: 63 bits of a hash of its path."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{'/'.join(path)}".encode()).digest()[:8]) >> 1


def cache_key(stage: str, params: Mapping[str, Any], code: str, inputs: Mapping[str, str]) -> str:
    """What identifies a piece of work: the stage, its parameters, the code and its inputs' hashes."""
    return sha256_json({"stage": stage, "params": params, "code": code, "inputs": dict(inputs)})
