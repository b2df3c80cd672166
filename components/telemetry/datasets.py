"""Inputs and outputs of a stage as OpenLineage datasets.

A dataset is what stays while its content changes: an artifact's directory without its key, a source as the
recipe names it. Which content it was is its version, the content hash; where that lies is its data source.
"""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    InputDatasetFacet,
    data_quality_assertions_dataset,
    data_quality_metrics_dataset,
    dataset_version_dataset,
    datasource_dataset,
    input_statistics_input_dataset,
    output_statistics_output_dataset,
    schema_dataset,
)

from components.core.gates import Gate, gates_of
from components.core.manifest import Manifest, read_manifest
from components.core.recipe import absolute_uri
from components.core.stage import KEY_LENGTH, InputSpec

_KEY: Final = re.compile(rf"/[0-9a-f]{{{KEY_LENGTH}}}$")


def input_of(entry: InputSpec, uri: str, sha256: str | None = None) -> InputDataset:
    """One input; what is not there is still named.

    Args:
        sha256: of what was read; None before a stage has looked.
    """
    manifest = _manifest(uri) if entry.artifact else None
    if manifest is None:
        namespace, name = named(uri)
        return InputDataset(namespace, name, facets=_place(uri, sha256))
    namespace, name = named(_KEY.sub("", uri))
    rows, size, files = _extent(manifest)
    read = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
        rowCount=rows, size=size, fileCount=files
    )
    facets: dict[str, InputDatasetFacet] = {"inputStatistics": read}
    if gates := gates_of(manifest.validation):
        facets["dataQualityAssertions"] = assertions(gates)
    return InputDataset(namespace, name, facets=_facets(uri, manifest), inputFacets=facets)


def output_of(uri: str) -> OutputDataset:
    """A finished artifact.

    Raises:
        FileNotFoundError: there is none.
    """
    manifest = read_manifest(uri)
    namespace, name = named(_KEY.sub("", uri))
    rows, size, files = _extent(manifest)
    written = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        rowCount=rows, size=size, fileCount=files
    )
    return OutputDataset(
        namespace, name, facets=_facets(uri, manifest), outputFacets={"outputStatistics": written}
    )


def named(uri: str) -> tuple[str, str]:
    """A dataset's namespace and name, as OpenLineage names places."""
    place = absolute_uri(uri)
    if "://" not in place:
        return "file", place
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.netloc}", parts.path.strip("/") or "/"


def assertions(
    gates: Sequence[Gate],
) -> data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet:
    """What the gates of the stage that made a dataset have found."""
    return data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
        assertions=[
            data_quality_assertions_dataset.Assertion(
                assertion=gate.name,
                success=gate.passed,
                severity=severity(gate),
                name=f"{gate.subject}: {gate.name}",
                description=gate.told or None,
                expected=bounds(gate),
                actual=None if gate.value is None else f"{gate.value:g}",
            )
            for gate in gates
        ]
    )


def severity(gate: Gate) -> str:
    """In OpenLineage's words."""
    return "error" if gate.severity == "stop" else "warn"


def bounds(gate: Gate) -> str | None:
    """The values that a gate allows, in words; None where it has no bound."""
    parts = [
        f"{word} {bound:g}"
        for word, bound in (("at least", gate.low), ("at most", gate.high))
        if bound is not None
    ]
    return ", ".join(parts) or None


def _manifest(uri: str) -> Manifest | None:
    try:
        return read_manifest(uri)
    except FileNotFoundError:
        return None


def _facets(uri: str, manifest: Manifest) -> dict[str, DatasetFacet]:
    rows, size, files = _extent(manifest)
    tables = {name: entry.columns for name, entry in manifest.files.items() if entry.columns}
    field = schema_dataset.SchemaDatasetFacetFields
    schema = schema_dataset.SchemaDatasetFacet(
        fields=[
            field(
                name=name,
                type="table",
                fields=[field(name=column, type=kind) for column, kind in columns.items()],
            )
            for name, columns in tables.items()
        ]
    )
    quality = data_quality_metrics_dataset.DataQualityMetricsDatasetFacet(
        columnMetrics={}, rowCount=rows, bytes=size, fileCount=files
    )
    return {**_place(uri, manifest.sha256), "schema": schema, "dataQualityMetrics": quality}


def _place(uri: str, sha256: str | None) -> dict[str, DatasetFacet]:
    facets: dict[str, DatasetFacet] = {
        "dataSource": datasource_dataset.DatasourceDatasetFacet(name=uri, uri=uri)
    }
    if sha256:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=sha256)
    return facets


def _extent(manifest: Manifest) -> tuple[int, int, int]:
    """Rows, bytes and files."""
    files = manifest.files.values()
    return sum(file.rows or 0 for file in files), sum(file.bytes for file in files), len(files)
