"""Artifacts that are used together must descend from one another."""

from collections.abc import Mapping
from pathlib import Path

from components.core.errors import InvalidInputError
from components.core.manifest import MANIFEST, Manifest


def read_lineage(inputs: Mapping[str, Path]) -> dict[str, Manifest]:
    """The manifests of a stage's input artifacts, by artifact name. A policy that was taken from another one
    does not have to be that one.

    Args:
        inputs: artifact name → local directory.

    Raises:
        InvalidInputError: one of them was made from another version of a second one; names both.
    """
    manifests = {
        name: Manifest.from_json((path / MANIFEST).read_bytes(), place=str(path / MANIFEST))
        for name, path in inputs.items()
    }
    strangers = [
        f"{name}: was made from {parent} {entry.sha256[:12]}, "
        f"but the {parent} given is {manifests[parent].sha256[:12]}"
        for name, manifest in manifests.items()
        for parent, entry in manifest.inputs.items()
        if parent in manifests and parent != name and entry.sha256 != manifests[parent].sha256
    ]
    if strangers:
        raise InvalidInputError("\n".join(strangers))
    return manifests
