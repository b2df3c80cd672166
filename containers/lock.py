"""Writes the lock of each image: every package with its exact version and the hash of its file.

    python containers/lock.py [IMAGE …]

What an image holds are extras of pyproject.toml (`EXTRAS`); pip resolves them. A version in the present
lock is kept if it still fits; delete the lock to have everything resolved anew. The hashes are those of
the wheels for this machine's platform: a lock is for images of that platform.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[1]
LOCKS: Final = ROOT / "containers" / "locks"
EXTRAS: Final = {
    "stages": ("tables", "registry", "telemetry"),  # what the images of all stages share, as a layer
    "data": ("data", "registry", "telemetry"),
    "training": ("training", "registry", "telemetry"),
    "airflow": ("airflow", "postgres"),
    "mlflow": ("mlflow-server",),
}
SHARED: Final = {"data": "stages", "training": "stages"}  # the one holds all of the other
# Not in a lock: the project itself, and what a build argument chooses (see components/DESIGN.md).
UNLOCKED: Final = frozenset({"recloop", "torch"})


def requirements(extras: Iterable[str]) -> list[str]:
    """What pyproject.toml itself asks for: of the core and of `extras`, with the extras that they name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = {Requirement(line) for line in project["dependencies"]}
    wanted = list(extras)
    for extra in wanted:  # grows
        for requirement in map(Requirement, project["optional-dependencies"][extra]):
            if requirement.name == project["name"]:
                wanted += sorted(requirement.extras)
            else:
                found.add(requirement)
    return sorted(map(str, found))


def resolve(extras: Iterable[str], held: Mapping[str, str]) -> list[dict[str, Any]]:
    """What pip would install for extras of this project into an empty environment.

    Args:
        held: versions by name that must be kept.

    Returns:
        The entries `install` of pip's report.

    Raises:
        CalledProcessError: pip finds no such set; it has said why.
    """
    with tempfile.TemporaryDirectory() as scratch:
        report, constraints = Path(scratch, "report.json"), Path(scratch, "constraints.txt")
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in held.items()))
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        command += ["--only-binary=:all:", "--constraint", str(constraints), "--report", str(report)]
        subprocess.run([*command, f"{ROOT}[{','.join(extras)}]"], check=True)
        installs: list[dict[str, Any]] = json.loads(report.read_text())["install"]
    return installs


def render(installs: Iterable[Mapping[str, Any]], extras: Iterable[str]) -> str:
    """A lock's text: what was asked for, then one line a package, sorted by name."""
    head = ["# Made by `make lock`; do not edit. What pyproject.toml asks for here:"]
    head += [f"#   {requirement}" for requirement in requirements(extras)]
    lines = []
    for entry in installs:
        name = canonicalize_name(entry["metadata"]["name"])
        if name not in UNLOCKED:
            sha256 = entry["download_info"]["archive_info"]["hashes"]["sha256"]
            lines.append(f"{name}=={entry['metadata']['version']} --hash=sha256:{sha256}")
    return "\n".join([*head, *sorted(lines)]) + "\n"


def pins(lock: Path) -> dict[str, str]:
    """The version of every package in a lock; none when there is no such file."""
    lines = lock.read_text().splitlines() if lock.exists() else []
    words = [line.split()[0].partition("==") for line in lines if line and not line.startswith("#")]
    return {name: version for name, _, version in words}


def write(image: str) -> None:
    """Resolve one image and write its lock."""
    lock, extras = LOCKS / f"{image}.txt", EXTRAS[image]
    shared = pins(LOCKS / f"{SHARED[image]}.txt") if image in SHARED else {}
    try:
        installs = resolve(extras, pins(lock) | shared)
    except subprocess.CalledProcessError:
        print(f"{lock.name}: the versions in it do not fit any more; resolving anew", file=sys.stderr)
        installs = resolve(extras, shared)
    lock.write_text(render(installs, extras))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("images", nargs="*", help="of " + ", ".join(EXTRAS))
    for image in parser.parse_args().images or EXTRAS:
        write(image)


if __name__ == "__main__":
    main()
