"""What a stage did, as Prometheus metrics: pushed at its end to the gateway that $PROMETHEUS_PUSHGATEWAY_URL
names, in the group `job="recloop"`, the recipe and the stage.

A push replaces what it holds and leaves the rest, so the time of the last success, and how long the work
took, outlive a failure and a run that found all work done.
"""

import os
from datetime import datetime
from typing import Final, final

from prometheus_client import CollectorRegistry, Gauge, pushadd_to_gateway

from components.core.gates import Outcome, gates_of
from components.core.observing import Watched
from components.core.runs import StageRecord

_GATEWAY: Final = "PROMETHEUS_PUSHGATEWAY_URL"
_JOB: Final = "recloop"
_TIMEOUT_S: Final = 4.0
_ENDS: Final = ("done", "skipped", "stopped", "failed")
_OUTCOMES: Final[tuple[Outcome, ...]] = ("passed", "warned", "held", "stopped")


@final
class Metrics:
    """Tells a push gateway of one stage."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def began(self) -> None:
        """Nothing: what is under way is not pushed."""

    def ended(self, record: StageRecord) -> None:
        """One push; what belongs to the champion goes into a group of its own."""
        group = {"recipe": self._watched.recipe or "", "stage": record.stage}
        _push(registry_of(record), group)
        found = record.metrics or {}
        if found.get("promoted") == 1 and "version" in found and record.status == "done":
            _push(_champion(record, found["version"]), {"recipe": group["recipe"], "stage": "champion"})


def registry_of(record: StageRecord) -> CollectorRegistry:
    """The metrics of what one stage did."""
    registry = CollectorRegistry()

    def gauge(name: str, told: str, *labels: str) -> Gauge:
        return Gauge(f"recloop_{name}", told, labels, registry=registry)

    ended = _timestamp(record.started) + record.seconds
    gates = gates_of({"gates": record.gates})
    gauge("stage_last_run_timestamp_seconds", "When the stage ended last.").set(ended)
    outcome = gauge("stage_outcome", "1 for how the stage ended last, 0 for the other ends.", "outcome")
    count = gauge("stage_gates", "Gates of the stage, by outcome.", "outcome")
    end = "stopped" if any(gate.outcome == "stopped" for gate in gates) else record.status
    for name in _ENDS:
        outcome.labels(name).set(name == end)
    for found in _OUTCOMES:
        count.labels(found).set(sum(gate.outcome == found for gate in gates))
    if record.status != "failed":
        gauge("stage_last_success_timestamp_seconds", "When the stage ended well last.").set(ended)
    if record.status != "skipped":
        gauge("stage_duration_seconds", "How long the stage worked.").set(record.seconds)
    if gates:
        spoken = gauge("gate_outcome", "1, labelled with the gate's outcome.", "subject", "gate", "outcome")
        sides = {
            "value": gauge("gate_value", "What the gate found.", "subject", "gate"),
            "low": gauge("gate_low", "The least value that the gate allows.", "subject", "gate"),
            "high": gauge("gate_high", "The greatest value that the gate allows.", "subject", "gate"),
        }
        for gate in gates:
            spoken.labels(gate.subject, gate.name, gate.outcome).set(1)
            for side, family in sides.items():
                if (number := getattr(gate, side)) is not None:
                    family.labels(gate.subject, gate.name).set(number)
    if record.metrics:
        measured = gauge("stage_metric", "What the stage measured, such as ndcg@20 or auc.", "metric")
        for name, value in record.metrics.items():
            measured.labels(name).set(value)
    return registry


def _champion(record: StageRecord, version: float) -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("recloop_champion_version", "Version of the champion.", registry=registry).set(version)
    since = Gauge("recloop_champion_since_timestamp_seconds", "When it became champion.", registry=registry)
    since.set(_timestamp(record.started) + record.seconds)
    return registry


def _push(registry: CollectorRegistry, group: dict[str, str]) -> None:
    pushadd_to_gateway(os.environ[_GATEWAY], _JOB, registry, grouping_key=group, timeout=_TIMEOUT_S)


def _timestamp(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
