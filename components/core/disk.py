"""What of this machine's disk a stage's container sees, under the same paths, and as which user."""

import itertools
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from components.core.errors import InvalidInputError
from components.core.recipe import Recipe


@dataclass(frozen=True)
class Bind:
    """A file or directory that a container sees at its own path."""

    place: Path
    read_only: bool


def binds(recipe: Recipe, raw: Iterable[str]) -> list[Bind]:
    """The workspace, if it is a directory, and read-only what stands at the raw inputs' URIs outside it.

    Raises:
        InvalidInputError: as `workspace_directory`.
    """
    workspace = workspace_directory(recipe)
    found = [] if workspace is None else [Bind(workspace, read_only=False)]
    for uri in raw:
        place = None if "://" in uri else _existing(Path(uri))
        if place is not None and (workspace is None or not place.is_relative_to(workspace)):
            found.append(Bind(place, read_only=True))
    return found


def workspace_directory(recipe: Recipe) -> Path | None:
    """The workspace, if it is a directory; made if it is missing.

    Raises:
        InvalidInputError: it cannot be made, or the registry's database file lies elsewhere.
    """
    uri = recipe.workspace_uri
    workspace = None if "://" in uri else Path(uri)
    if workspace is not None:
        try:
            workspace.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInputError(f"workspace {uri}: cannot be made: {error.strerror}") from error
    scheme, _, database = recipe.tracking_uri.partition(":///")
    if scheme.startswith("sqlite") and (workspace is None or not Path(database).is_relative_to(workspace)):
        raise InvalidInputError(
            f"registry.tracking_uri: got {recipe.tracking_uri!r}, which containers cannot reach; "
            "need a file in the workspace or an MLflow server"
        )
    return workspace


def user_on_disk(recipe: Recipe, image_user: str) -> str | None:
    """The user to run as: the workspace's owner, unless that is root; None for the image's own.

    Raises:
        InvalidInputError: the image's user cannot write to the workspace.
    """
    workspace = workspace_directory(recipe)
    if workspace is None:
        return None
    found = workspace.stat()
    if found.st_uid != 0:
        return f"{found.st_uid}:{found.st_gid}"
    if image_user not in {"0", "root"} and not found.st_mode & stat.S_IWOTH:
        raise InvalidInputError(
            f"workspace {workspace}: belongs to root, and stages run as the image's user {image_user}; "
            f"`chown -R {image_user} {workspace}`, or set orchestration.docker.user"
        )
    return None


def hand_over(recipe: Recipe, places: Iterable[str]) -> None:
    """What we, where we are root, make on the way to `places` in the workspace is to be its owner's."""
    workspace = workspace_directory(recipe)
    if workspace is None or os.geteuid() != 0:
        return
    owner = workspace.stat()
    for place in places:
        assert Path(place).is_relative_to(workspace)
        above = [*itertools.takewhile(workspace.__ne__, Path(place).parents)]
        for directory in reversed(above):
            if directory.is_symlink():  # a stage may write here, and must not lead us elsewhere
                raise InvalidInputError(f"{directory}: is a link, need a directory")
            directory.mkdir(exist_ok=True)
            os.chown(directory, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _existing(place: Path) -> Path | None:
    """What stands at `place`, or for a glob the directory below which it looks."""
    if not place.exists():
        fixed = itertools.takewhile(lambda part: not set("*?[") & set(part), place.parts)
        place = Path(*fixed)
    return place if place.exists() else None
