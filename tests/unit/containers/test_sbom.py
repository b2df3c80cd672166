"""Bills of materials are CycloneDX, and say what depends on what."""

from cyclonedx.model.bom import Bom
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat
from cyclonedx.validation.json import JsonStrictValidator

from containers import sbom

BASH = {"name": "bash", "version": "5.2.15-2+b13", "architecture": "amd64", "source": "bash"}
DEBIAN = {"ID": "debian", "VERSION_ID": "12"}
METADATA = "Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense-Expression: MIT\n{more}"


def python_packages() -> Bom:
    return sbom.python_bom(
        {
            "a-1.0.dist-info": METADATA.format(name="a", version="1.0", more="Requires-Dist: b>=1\n"),
            "b-2.0.dist-info": METADATA.format(name="b", version="2.0", more=""),
        }
    )


def test_python_packages_have_licences_and_dependencies_and_nothing_else_is_found() -> None:
    bom = python_packages()
    found = {component.name: component for component in bom.components}
    assert {name: component.version for name, component in found.items()} == {"a": "1.0", "b": "2.0"}
    assert str(found["a"].purl) == "pkg:pypi/a@1.0"
    assert [licence.id for licence in found["a"].licenses] == ["MIT"]
    needs = {str(d.ref): [str(n.ref) for n in d.dependencies] for d in bom.dependencies}
    assert needs[str(found["a"].bom_ref)] == [str(found["b"].bom_ref)]


def test_a_debian_package_is_named_as_the_purl_specification_says() -> None:
    component = sbom.debian_component(BASH, DEBIAN)
    assert str(component.purl) == "pkg:deb/debian/bash@5.2.15-2%2Bb13?arch=amd64&distro=debian-12"


def test_the_document_is_valid_cyclonedx() -> None:
    bom = python_packages()
    bom.components.add(sbom.debian_component(BASH, DEBIAN))
    text = make_outputter(bom, OutputFormat.JSON, sbom.SCHEMA).output_as_string()
    assert JsonStrictValidator(sbom.SCHEMA).validate_str(text) is None
