"""Writes an image's software bill of materials: its Python and Debian packages, as CycloneDX JSON.

    python containers/sbom.py [--docker docker] [--output build/sbom] IMAGE …

The same image gives the same file.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

INVENTORY: Final = Path(__file__).with_name("inventory.py")
SCHEMA: Final = SchemaVersion.V1_6


def describe(docker: str, image: str) -> Bom:
    """The bill of materials of one image."""
    found = json.loads(
        _run([docker, "run", "--rm", "-i", image, "/usr/bin/env", "python3", "-"], INVENTORY.read_text())
    )
    inspected = json.loads(_run([docker, "image", "inspect", image]))[0]
    bom = python_bom(found["packages"])
    bom.components.update(debian_component(entry, found["release"]) for entry in found["debian"])
    bom.components.add(
        Component(type=ComponentType.PLATFORM, name="python", version=found["python"], bom_ref="python")
    )
    name, _, tag = image.rpartition(":")
    bom.metadata.component = root = Component(
        type=ComponentType.CONTAINER,
        name=name,
        version=tag,
        bom_ref="image",
        properties=[Property(name="oci:image:id", value=inspected["Id"])],
    )
    bom.metadata.timestamp = datetime.fromisoformat(inspected["Created"])
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, inspected["Id"])
    bom.register_dependency(root, bom.components)
    return bom


def python_bom(packages: Mapping[str, str]) -> Bom:
    """The components of installed Python packages with licences and dependencies.

    Args:
        packages: name of the metadata directory → core metadata.
    """
    with tempfile.TemporaryDirectory() as site:
        for directory, metadata in packages.items():
            place = Path(site, directory)
            place.mkdir()
            (place / "METADATA").write_text(metadata)
        # Without its own site-packages (-S) an interpreter that finds these finds nothing else.
        command = [
            sys.executable,
            "-m",
            "cyclonedx_py",
            "environment",
            "-S",
            "--spec-version",
            SCHEMA.to_version(),
        ]
        bom: Bom = Bom.from_json(json.loads(_run([*command, sys.executable], PYTHONPATH=site)))
    return bom


def debian_component(package: Mapping[str, str], release: Mapping[str, str]) -> Component:
    """One package of the distribution."""
    purl = PackageURL(
        type="deb",
        namespace=release["ID"],
        name=package["name"],
        version=package["version"],
        qualifiers={"arch": package["architecture"], "distro": f"{release['ID']}-{release['VERSION_ID']}"},
    )
    return Component(
        type=ComponentType.LIBRARY,
        name=package["name"],
        version=package["version"],
        purl=purl,
        bom_ref=purl.to_string(),
        properties=[Property(name="debian:source", value=package["source"])],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--docker", default="docker")
    parser.add_argument("--output", type=Path, default=Path("build", "sbom"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for image in options.images:
        name = image.rpartition("/")[2].partition(":")[0]
        outputter = make_outputter(describe(options.docker, image), OutputFormat.JSON, SCHEMA)
        place = options.output / f"{name}.cdx.json"
        place.write_text(outputter.output_as_string(indent=1) + "\n")
        print(place)


def _run(command: list[str], stdin: str = "", **environment: Any) -> str:
    answer = subprocess.run(
        command, input=stdin, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **environment}
    )
    return answer.stdout


if __name__ == "__main__":
    main()
