"""What a workspace holds when all is over, as far as it must be the same every time."""

import json
from pathlib import Path
from typing import Any

from components.core.manifest import MANIFEST, fetch_artifact
from components.core.store import is_hidden
from components.registry.champion import MODEL_SHA256, aliases_of
from components.registry.connection import connect
from components.registry.ledger import Ledger

_OF_THE_RUN = {"run_id", "ledger"}  # what MLflow draws at random, and where the workspace lies


def aftermath(place: Path) -> dict[str, Any]:
    """Artifacts by their contents, versions, aliases and the ledger of a night's workspace.

    Raises:
        RecloopError: a manifest is not true.
    """
    workspace = place / "workspace"
    client = connect(f"sqlite:///{workspace / 'mlflow.db'}")
    versions = client.search_model_versions("name = 'night'")
    entries = Ledger(str(workspace / "ledgers" / "night")).read()
    return {
        "artifacts": _artifacts(workspace / "night"),
        "versions": sorted((version.version, version.tags[MODEL_SHA256]) for version in versions),
        "aliases": aliases_of(client, "night"),
        "ledger": [(entry.action, entry.from_version, entry.to_version) for entry in entries],
    }


def _artifacts(root: Path) -> dict[str, list[Any]]:
    """By kind, not by name: those of the last two follow from where the workspace lies. A run that is killed
    after the manifest leaves a scratch directory or a checkpoint: nobody reads it again."""
    found: dict[str, list[Any]] = {}
    for directory in sorted(root.glob("*/*")):
        beside = directory.suffix in {".lock", ".checks", ".checkpoint"} or is_hidden(Path(directory.name))
        if directory.parent.name != "runs" and not beside:
            found.setdefault(directory.parent.name, []).append(_artifact(directory))
    return found


def _artifact(directory: Path) -> Any:
    if not (directory / MANIFEST).exists():
        return f"{directory.name} has no manifest"
    _, manifest = fetch_artifact(str(directory), directory)
    lying = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    if more := lying - {MANIFEST, *manifest.files}:
        return f"{directory.name} holds {sorted(more)} besides"
    if manifest.artifact != "registration":
        return manifest.sha256
    document = json.loads((directory / "registration.json").read_text())
    return {name: value for name, value in document.items() if name not in _OF_THE_RUN}
