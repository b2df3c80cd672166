"""The deliveries that a recipe has accepted: its finished interactions artifacts."""

import glob
from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any, Final

from components.core.manifest import MANIFEST, InputEntry, Manifest, read_manifest
from components.core.recipe import IngestExamplesParams, IngestParams, IngestStreamParams
from components.core.store import open_store

AnyIngest = IngestParams | IngestExamplesParams | IngestStreamParams
_MAKING: Final = ("kind", "max_session_length", "min_count")  # what a source makes interactions by
Raw = tuple[tuple[str, str | int | None], ...]


def find_previous(params: AnyIngest, named: Mapping[str, InputEntry]) -> str | None:
    """URI of the delivery that was accepted last before this one, or None.

    A delivery is its raw data; one that a gate stopped is none. If this one was accepted already and is
    read again, it is compared with what came before it then, never with itself or what followed. What
    was made into interactions in another way, say with another `min_count`, or for another task, is no
    measure for it.
    """
    readings: dict[Raw, str | None] = {}  # in the order in which deliveries were first accepted
    for place, manifest in sorted(_accepted(params.deliveries), key=lambda found: found[1].ended):
        raw = _raw(manifest.inputs, manifest.seed, manifest.params["source"])
        readings.setdefault(raw, None)
        if _made_alike(params, manifest.params):
            readings[raw] = place
    this = _raw(named, params.seed, params.source.identity())
    earlier = [readings[raw] for raw in takewhile(lambda raw: raw != this, readings)]
    return next((place for place in reversed(earlier) if place), None)


def _accepted(deliveries: str) -> Iterator[tuple[str, Manifest]]:
    if not deliveries:
        return
    for place in open_store(deliveries).list_files(f"{glob.escape(deliveries)}/*/{MANIFEST}"):
        artifact = place.removesuffix(f"/{MANIFEST}")
        yield artifact, read_manifest(artifact)


def _raw(inputs: Mapping[str, InputEntry], seed: int | None, source: Mapping[str, Any]) -> Raw:
    """What tells one delivery from another: the content of its files; of made-up data, seed and number."""
    files = sorted((name, entry.sha256) for name, entry in inputs.items() if entry.files)
    return tuple(files) or (("seed", seed), ("delivery", source.get("delivery")))


def _made_alike(params: AnyIngest, earlier: Mapping[str, Any]) -> bool:
    """Whether equal rows became equal interactions. With another format, other columns or fields or another
    type of ids they should too; where they do not, the gates shall speak."""
    source = params.source.identity()
    return params.task == earlier.get("task") and all(
        source.get(name) == earlier["source"].get(name) for name in _MAKING
    )
