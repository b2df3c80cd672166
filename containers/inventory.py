"""Runs in an image, on its system's Python and nothing else: prints what the image holds, as JSON."""

import glob
import json
import platform
import subprocess
import sys
from pathlib import Path


def debian_packages() -> list[dict[str, str]]:
    """Name, version, architecture and source of every installed package of the distribution."""
    fields = "${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${source:Package}\n"
    lines = subprocess.check_output(
        ["dpkg-query", "--show", f"--showformat={fields}"], text=True
    ).splitlines()
    names = ("name", "version", "architecture", "source")
    return [
        dict(zip(names, line.split("\t")[1:], strict=True))
        for line in lines
        if line.startswith("installed\t")
    ]


def python_packages() -> dict[str, str]:
    """Metadata directory → core metadata of every Python package that no package of the distribution owns."""
    owned = set()
    for names in glob.glob("/var/lib/dpkg/info/*.list"):
        owned.update(Path(names).read_text().splitlines())
    sites = [*glob.glob("/opt/venv/lib/python*/site-packages"), *filter(None, sys.path)]
    found = [path for site in sites for path in Path(site).glob("*.dist-info/METADATA")]
    return {path.parent.name: path.read_text() for path in found if str(path) not in owned}


if __name__ == "__main__":
    inventory = {
        "python": platform.python_version(),
        "release": platform.freedesktop_os_release(),
        "debian": debian_packages(),
        "packages": python_packages(),
    }
    json.dump(inventory, sys.stdout)
