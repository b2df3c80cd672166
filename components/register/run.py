"""Register: what was judged becomes a model version, and the champion if verdict and policy say so."""

import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa

from components.core import columns
from components.core.errors import ConflictError
from components.core.gates import gates_of, summary_of
from components.core.lineage import read_lineage
from components.core.manifest import Manifest
from components.core.policy import Policy
from components.core.recipe import RegisterParams
from components.core.recipe.judgement import Task
from components.core.stage import Context
from components.data.document import read_document, write_document
from components.data.parquet import read_table, write_table
from components.register import classification, ranking, stream
from components.register.card import CARD_FILE, Facts, render_card, shorten, spaced
from components.registry import champion
from components.registry.connection import connect, reaching
from components.registry.decision import Decision, this_user
from components.registry.evidence import changed
from components.registry.promotion import Succession
from components.registry.publishing import (
    MAX_DESCRIPTION_LENGTH,
    RunRecord,
    Version,
    as_part,
    describe,
    find_version,
    publish,
)
from components.registry.served import Served


class _OfTask(Protocol):
    """What depends on the task."""

    def serve(self, inputs: Mapping[str, Path], scratch: Path) -> Served: ...

    def metrics(self, evaluation: Path) -> Mapping[str, float]: ...


_TASKS: Final[Mapping[Task, _OfTask]] = {
    "ranking": ranking,
    "classification": classification,
    "stream": stream,
}


def run(
    params: RegisterParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> Mapping[str, float]:
    """Register the model as challenger, and promote it if the verdict says so and the policy is auto.

    A version that an earlier, killed attempt registered is taken up again.

    Raises:
        ConflictError: the champion is not the one that the evaluation compared with.
        GateFailedError: the version does not answer as it must; the champion stays.
        InfrastructureError: MLflow cannot be reached.
    """
    manifests = read_lineage(inputs)
    verdict = read_document(inputs["evaluation"] / "verdict.json")
    tags = {
        **_version_tags(manifests, context.uris),
        champion.TASK: params.task,
        "recloop.verdict": "promote" if verdict["promote"] else "keep",
        **_gate_tags(manifests),
    }
    client = connect(params.tracking_uri)
    with reaching(params.tracking_uri):
        keys = (champion.MODEL_SHA256, champion.EVALUATION_SHA256)
        version = find_version(client, params.model, {key: tags[key] for key in keys})
        if version is None:
            current = champion.champion_version(client, params.model)
            if current != verdict["champion_version"]:
                raise ConflictError(changed(params.model, verdict["champion_version"], current))
            version = _publish(client, params, inputs, manifests, verdict, tags)
        card = render_card(Facts.read(params, version.version, inputs, manifests))
        (output / CARD_FILE).write_text(card, encoding="utf-8")
        describe(
            client, params.model, version, output / CARD_FILE, shorten(spaced(card), MAX_DESCRIPTION_LENGTH)
        )
        client.set_registered_model_alias(params.model, champion.CHALLENGER, version.version)
    succession = Succession(params.model, params.tracking_uri, params.ledger)
    succession.pin()
    promoted = bool(verdict["promote"]) and params.policy == "auto"
    if promoted:
        decision = Decision(
            who=this_user(), why=verdict["reason"], key=f"register {tags[champion.EVALUATION_SHA256]}"
        )
        succession.promote(version.version, decision)
    aliases = [champion.CHALLENGER, *([champion.CHAMPION] if promoted else [])]
    _write(output, params, version, verdict, aliases, succession.ledger.place)
    return {"version": float(version.version), "promoted": float(promoted)}


def _version_tags(manifests: Mapping[str, Manifest], uris: Mapping[str, str]) -> dict[str, str]:
    tags = {}
    for name, manifest in manifests.items():
        tags[f"recloop.{name}_sha256"] = manifest.sha256
        tags[f"recloop.{name}_uri"] = uris[name]
    return tags


def _gate_tags(manifests: Mapping[str, Manifest]) -> dict[str, str]:
    """How many gates there were by outcome, and which spoke."""
    found = summary_of(gate for manifest in manifests.values() for gate in gates_of(manifest.validation))
    passed = found.pop("passed")
    return {
        "recloop.gates_passed": str(passed),
        **{f"recloop.gates_{outcome}": str(len(names)) for outcome, names in found.items()},
        "recloop.gates_spoken": ", ".join(name for names in found.values() for name in names) or "none",
    }


def _publish(
    client: Any,
    params: RegisterParams,
    inputs: Mapping[str, Path],
    manifests: Mapping[str, Manifest],
    verdict: Mapping[str, Any],
    tags: Mapping[str, str],
) -> Version:
    with tempfile.TemporaryDirectory() as scratch:
        return publish(
            client,
            params.tracking_uri,
            params.model,
            _record(params, inputs, manifests, tags),
            _TASKS[params.task].serve(inputs, Path(scratch)),
            tags=tags,
            description=verdict["reason"],
        )


def _record(
    params: RegisterParams,
    inputs: Mapping[str, Path],
    manifests: Mapping[str, Manifest],
    tags: Mapping[str, str],
) -> RunRecord:
    policy = Policy.read(inputs["policy"])
    training = read_document(inputs["model"] / "training.json")
    lineage = read_document(inputs["evaluation"] / "lineage.json")
    told = {"recipe": params.recipe, "policy": policy.patch, "trained": training["training"]}
    metrics = dict(_TASKS[params.task].metrics(inputs["evaluation"]))
    gates: list[dict[str, Any]] = []
    for manifest in manifests.values():
        metrics[f"{manifest.stage}/wall_seconds"] = (manifest.ended - manifest.started).total_seconds()
        for name, value in manifest.metrics.items():
            metrics[f"{manifest.stage}/{name}"] = value
        for gate in gates_of(manifest.validation):
            gates.append({"stage": manifest.stage, **gate.document()})
            if gate.value is not None:
                metrics["/".join(["gate", manifest.stage, *map(as_part, (gate.subject, gate.name))])] = (
                    gate.value
                )
    return RunRecord(
        experiment=params.experiment,
        params=dict(_flatten(told)),
        metrics=metrics,
        curves={
            **_curves("search", inputs["policy"] / "trajectory.parquet"),
            **_curves("retrain", inputs["model"] / "history.parquet"),
        },
        tags={**tags, **{f"recloop.{name}_sha256": sha256 for name, sha256 in lineage.items()}},
        recipe=params.recipe,
        files=[inputs["evaluation"] / "report.html"],
        gates=gates,
    )


def _flatten(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of nested objects under dotted names; lists stay whole, as JSON."""
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield (
                f"{prefix}{name}",
                value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),
            )


def _curves(prefix: str, path: Path) -> dict[str, list[tuple[int, float]]]:
    """Every column but the axis as (place, value) pairs; places without a number are left out."""
    table = read_table(path)
    axis = columns.axis_of(table.column_names)
    places = table[axis].to_pylist()
    return {
        f"{prefix}/{name}": [
            (place, value)
            for place, value in zip(places, table[name].to_pylist(), strict=True)
            if value is not None and math.isfinite(value)
        ]
        for name in table.column_names
        if name != axis
    }


def _write(
    output: Path,
    params: RegisterParams,
    version: Version,
    verdict: Mapping[str, Any],
    aliases: Sequence[str],
    ledger: str,
) -> None:
    scalars = {
        "model": params.model,
        "version": version.version,
        "run_id": version.run_id,
        "promoted": champion.CHAMPION in aliases,
        "reason": verdict["reason"],
        "previous_champion_version": verdict["champion_version"],
        "ledger": ledger,
    }
    write_document({**scalars, "aliases": list(aliases)}, output / "registration.json")
    schema = pa.schema(
        [pa.field(name, pa.bool_() if name == "promoted" else pa.string()) for name in scalars]
    )
    write_table(pa.Table.from_pylist([scalars], schema=schema), output / "registration.parquet")
