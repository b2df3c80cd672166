"""`recloop lineage`: from a champion back to the source files."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from rich.text import Text
from rich.tree import Tree

from components.cli.ancestry import Ancestor, Ancestry, Link, key_of
from components.cli.output import console
from components.core.errors import InvalidInputError
from components.core.manifest import MANIFEST, InputEntry, read_manifest
from components.core.recipe import absolute_uri

_VERSION: Final = re.compile(r"(?:models:/)?(?P<model>[^/@:]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))?")
_SHORT: Final = 12
_SHORTER: Final = 7
_SIDE: Final = {"retrain": "started from"}  # else: compared with


def find_roots(named: str, tracking_uri: Callable[[], str]) -> tuple[str, dict[str, InputEntry]]:
    """What to call an artifact or a version of a model, and what to trace for it.

    Args:
        named: an artifact's URI; or a registered model as `demo`, `demo@challenger` or `demo/3`.
        tracking_uri: asked for only where a model is meant.

    Raises:
        InvalidInputError: there is no such thing.
    """
    place = absolute_uri(named).rstrip("/")
    match = _VERSION.fullmatch(named)
    if match is None or ("://" not in place and Path(place, MANIFEST).exists()):
        try:
            manifest = read_manifest(place)
        except FileNotFoundError as error:
            raise InvalidInputError(
                f"lineage: got {named!r}, need the URI of a finished artifact, or a registered model as "
                "demo, demo@challenger or demo/3"
            ) from error
        return manifest.artifact, {manifest.artifact: InputEntry(uri=place, sha256=manifest.sha256)}
    title, tags = _version(match["model"], match["alias"], match["version"], tracking_uri())
    missing = [name for name in ("model", "evaluation") if f"recloop.{name}_uri" not in tags]
    if missing:
        raise InvalidInputError(f"{title}: no run has registered it: it has no tag recloop.{missing[0]}_uri")
    return title, {
        name: InputEntry(uri=tags[f"recloop.{name}_uri"], sha256=tags[f"recloop.{name}_sha256"])
        for name in ("model", "evaluation")
    }


def print_tree(title: str, ancestry: Ancestry) -> None:
    """Every ancestor below what was made from it; one that several things were made from, once in full."""
    tree, told = Tree(Text(title, style="bold")), set[str]()
    for name, key in ancestry.roots.items():
        _grow(tree, name, key, ancestry.ancestors, told)
    console().print(tree, soft_wrap=True)


def _version(model: str, alias: str | None, number: str | None, uri: str) -> tuple[str, Mapping[str, Any]]:
    from components.registry.connection import connect, is_new, reaching

    alias = None if number else alias or "champion"
    which = f"{model}/{number}" if number else f"{model}@{alias}"
    if not is_new(uri):
        from mlflow.exceptions import MlflowException

        client = connect(uri)
        with reaching(uri):
            try:
                found = (
                    client.get_model_version(model, number)
                    if number
                    else client.get_model_version_by_alias(model, alias)
                )
            except MlflowException as error:
                if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    raise
            else:
                return f"{model} version {found.version}" + (f" ({alias})" if alias else ""), found.tags
    raise InvalidInputError(f"lineage: there is no {which} in MLflow at {uri}, and no artifact of that name")


def _grow(tree: Tree, name: str, key: str, ancestors: Mapping[str, Ancestor], told: set[str]) -> None:
    found = ancestors[key]
    again = key in told
    told.add(key)
    branch = tree.add(_label(name, found, again=again))
    if again:
        return
    if found.stage == "ingest" and not found.inputs:
        branch.add(Text("no files: a synthetic world, made from the stage's parameters", style="dim"))
    for file in found.files:
        line = Text(file.uri) + Text(f"  {file.hash}", style="dim")
        branch.add(_marked(line, file.state))
    for link in found.inputs:
        if link.side:
            branch.add(_side(found.stage or "", link))
        else:
            _grow(branch, link.name, key_of(link.uri, link.sha256), ancestors, told)


def _label(name: str, found: Ancestor, *, again: bool) -> Text:
    head = Text(name, style="bold") + Text(f" {found.sha256[:_SHORT]}")
    if again:
        return head + Text("  see above", style="dim")
    if found.stage and found.made:
        head += Text(f"  {found.stage}, {found.made.replace('T', ' ')[:16]}", style="dim")
        head += Text(f", code {(found.git_sha or found.code_version or '')[:_SHORTER]}", style="dim")
    if found.told:
        head = _marked(head, found.told)
    return head + Text(f"\n{found.uri}", style="dim")


def _side(stage: str, link: Link) -> Text:
    how = _SIDE.get(stage, "compared with")
    line = Text(f"{link.name} {link.sha256[:_SHORT]}", style="italic") + Text(f"  {how}", style="dim")
    return _marked(line, link.state) + Text(f"\n{link.uri}", style="dim")


def _marked(line: Text, state: str) -> Text:
    return line if state == "there" else line + Text(f"  {state}", style="bold red")
