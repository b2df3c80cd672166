"""Writes the lock of each image: every package with its exact version and the hash of its file.

    python containers/lock.py [IMAGE …]

What an image holds are extras of pyproject.toml (`EXTRAS`); pip resolves them. A version in the present
lock is kept where it still fits, so a new lock differs by what changed in pyproject.toml; delete the file
to have everything resolved anew. The hashes are those of the wheels for the machine that resolves.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[1]
LOCKS: Final = ROOT / "containers" / "locks"
# The extras of each image. The training image holds all that the data image holds: it shares its layers.
EXTRAS: Final = {
    "data": ("data", "registry"),
    "training": ("data", "registry", "training"),
    "airflow": ("airflow", "postgres"),
    "mlflow": ("mlflow-server",),
}
# Not in a lock: the project itself, and what a build argument chooses (see containers/stages/Dockerfile).
UNLOCKED: Final = frozenset({"recloop", "torch"})
HEADER: Final = "# made by `make lock` from the extras [{extras}] of pyproject.toml; do not edit\n"


def resolve(extras: Iterable[str], constraints: Iterable[str] = ()) -> list[dict[str, Any]]:
    """What pip would install for extras of this project into an empty environment: pip's report."""
    with tempfile.TemporaryDirectory() as scratch:
        report, held = Path(scratch, "report.json"), Path(scratch, "constraints.txt")
        held.write_text("\n".join(constraints))
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        command += ["--only-binary=:all:", "--report", str(report), "--constraint", str(held)]
        subprocess.run([*command, f"{ROOT}[{','.join(extras)}]"], check=True)
        installs: list[dict[str, Any]] = json.loads(report.read_text())["install"]
    return installs


def render(installs: Iterable[dict[str, Any]], extras: Iterable[str]) -> str:
    """A lock file: one line a package, sorted by name."""
    lines = []
    for entry in installs:
        name = canonicalize_name(entry["metadata"]["name"])
        if name not in UNLOCKED:
            sha256 = entry["download_info"]["archive_info"]["hashes"]["sha256"]
            lines.append(f"{name}=={entry['metadata']['version']} --hash=sha256:{sha256}\n")
    return HEADER.format(extras=", ".join(extras)) + "".join(sorted(lines))


def pins(lock: Path) -> list[str]:
    """`name==version` of every line of a lock; none when there is no such file."""
    lines = lock.read_text().splitlines() if lock.exists() else []
    return [line.partition(" ")[0] for line in lines if line and not line.startswith("#")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("images", nargs="*", default=list(EXTRAS), help=f"of {', '.join(EXTRAS)}")
    for image in parser.parse_args().images:
        lock = LOCKS / f"{image}.txt"
        held = pins(lock)
        if image == "training":
            data = pins(LOCKS / "data.txt")
            held = data + [pin for pin in held if pin.partition("==")[0] not in {d.partition("==")[0] for d in data}]
        lock.write_text(render(resolve(EXTRAS[image], held), EXTRAS[image]))


if __name__ == "__main__":
    main()
