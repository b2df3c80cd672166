"""OpenLineage events of a stage: START, then COMPLETE or FAIL.

Sent through the standard client, which is configured by its own variables (`OPENLINEAGE_URL`, …). A job is
`<recipe>.<stage>` in the namespace $OPENLINEAGE_NAMESPACE (`recloop`), the child of the job `<recipe>`. Ids
of runs follow from the place of the record, so every try of a stage, wherever it runs, is the same run.
"""

import logging
import os
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, final

from openlineage.client.client import OpenLineageClient
from openlineage.client.event_v2 import (
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
    set_producer,
)
from openlineage.client.facet_v2 import (
    JobFacet,
    RunFacet,
    error_message_run,
    job_type_job,
    parent_run,
    processing_engine_run,
    tags_run,
    test_run,
)

from components import __version__
from components.core.gates import Gate, gates_of
from components.core.manifest import read_manifest
from components.core.observing import Watched
from components.core.runs import StageRecord
from components.telemetry.datasets import bounds, input_of, output_of, severity

_PRODUCER: Final = f"https://pypi.org/project/recloop/{__version__}"
_NAMESPACE: Final = "OPENLINEAGE_NAMESPACE"
_LOGGER: Final = "openlineage"


@final
class Lineage:
    """Tells an OpenLineage receiver of one stage."""

    def __init__(self, watched: Watched) -> None:
        logging.getLogger(_LOGGER).setLevel(logging.CRITICAL)  # it logs what it raises
        self._watched = watched
        set_producer(_PRODUCER)
        self._client = OpenLineageClient()
        self._namespace = os.environ.get(_NAMESPACE) or "recloop"
        self._run_id = _id(watched.place) if watched.recipe else str(uuid.uuid4())

    def began(self) -> None:
        """START, with the inputs that the command names."""
        self._emit(RunState.START, self._watched.started, {}, self._inputs(), [])

    def ended(self, record: StageRecord) -> None:
        """COMPLETE with what was read and written, or FAIL with the reason; the gates either way."""
        facets: dict[str, RunFacet] = {"tags": self._tags(record)}
        if record.gates:
            facets["test"] = _tests(gates_of({"gates": record.gates}))
        if record.status != "failed":
            outputs = [output_of(record.uri)]
            self._emit(RunState.COMPLETE, datetime.now(UTC), facets, self._read(record.uri), outputs)
            return
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=record.error, programmingLanguage="Python"
        )
        self._emit(RunState.FAIL, datetime.now(UTC), facets, self._inputs(), [])

    def _inputs(self) -> list[InputDataset]:
        specs = {entry.name: entry for entry in self._watched.spec.inputs}
        return [input_of(specs[name], uri) for name, uri in self._watched.inputs.items() if name in specs]

    def _read(self, uri: str) -> list[InputDataset]:
        """The inputs that an artifact was made from, those too that the stage found for itself."""
        specs = {entry.name: entry for entry in self._watched.spec.inputs}
        entries = read_manifest(uri).inputs
        return [input_of(specs[name], entry.uri, entry.sha256) for name, entry in entries.items()]

    def _emit(
        self,
        state: RunState,
        when: datetime,
        facets: dict[str, RunFacet],
        inputs: Sequence[InputDataset],
        outputs: Sequence[OutputDataset],
    ) -> None:
        job: dict[str, JobFacet] = {
            "jobType": job_type_job.JobTypeJobFacet(
                processingType="BATCH", integration="RECLOOP", jobType="STAGE"
            )
        }
        engine = processing_engine_run.ProcessingEngineRunFacet(version=__version__, name="recloop")
        name = ".".join(filter(None, (self._watched.recipe, self._watched.spec.name)))
        event = RunEvent(
            eventType=state,
            eventTime=when.isoformat(timespec="milliseconds"),
            run=Run(self._run_id, facets={"processing_engine": engine, **self._parent(), **facets}),
            job=Job(self._namespace, name, facets=job),
            inputs=list(inputs),
            outputs=list(outputs),
            producer=_PRODUCER,
        )
        self._client.emit(event)

    def _parent(self) -> dict[str, RunFacet]:
        watched = self._watched
        if watched.recipe is None or watched.place is None:
            return {}
        run = parent_run.Run(_id(watched.place.rpartition("/")[0]))
        return {"parent": parent_run.ParentRunFacet(run, parent_run.Job(self._namespace, watched.recipe))}

    def _tags(self, record: StageRecord) -> tags_run.TagsRunFacet:
        told = {"run": self._watched.run_id, "status": record.status, "sha256": record.sha256}
        return tags_run.TagsRunFacet(
            tags=[tags_run.TagsRunFacetFields(key, value, "RECLOOP") for key, value in told.items() if value]
        )


def _tests(gates: Sequence[Gate]) -> test_run.TestRunFacet:
    return test_run.TestRunFacet(
        tests=[
            test_run.TestExecution(
                name=f"{gate.subject}: {gate.name}",
                status="pass" if gate.passed else "fail",
                severity=severity(gate),
                type=gate.name,
                description=gate.told or None,
                expected=bounds(gate),
                actual=None if gate.value is None else f"{gate.value:g}",
                params={"outcome": gate.outcome},
            )
            for gate in gates
        ]
    )


def _id(place: str | None) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, place or ""))
