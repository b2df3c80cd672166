"""`recloop diff`: what two runs of a recipe did differently."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from components.catalog import STAGES
from components.cli.output import console, number, print_table
from components.core.gates import gates_of
from components.core.manifest import Manifest, read_manifest
from components.core.runs import RunRecord, StageRecord
from components.core.store import join, name_of, open_store

_DATA: Final = ("ingest", "prepare")
_CUT: Final = 12  # of a hash
_HASH_LENGTH: Final = 64


@dataclass(frozen=True)
class Difference:
    """Two runs' values of one thing; None: a run has none."""

    name: str
    first: Any
    second: Any


@dataclass(frozen=True)
class _Side:
    """What one run has left."""

    records: Mapping[str, StageRecord]
    manifests: Mapping[str, Manifest]

    @classmethod
    def of(cls, run: RunRecord) -> "_Side":
        records = {record.stage: record for record in run.stages}
        manifests = {stage: _manifest(record) for stage, record in records.items()}
        return cls(records, {stage: found for stage, found in manifests.items() if found})

    def document(self, stage: str, name: str) -> dict[str, Any]:
        """A JSON file of an artifact; empty where there is none."""
        if stage not in self.manifests:
            return {}
        place = join(self.records[stage].uri, name)
        try:
            found: dict[str, Any] = json.loads(open_store(place).read_bytes(place))
        except FileNotFoundError:
            return {}
        return found


def compare(first: RunRecord, second: RunRecord) -> dict[str, list[Difference]]:
    """Section → what differs in it. Of artifacts and durations everything is told."""
    one, two = _Side.of(first), _Side.of(second)
    return {
        "parameters": _common(one, two, _parameters),
        "code": _common(one, two, _code),
        "deliveries": _changed(_deliveries(one), _deliveries(two)),
        "artifacts": _paired(_artifacts(one), _artifacts(two)),
        "data": _changed(_metrics(one, _DATA), _metrics(two, _DATA)),
        "gates": _changed(_gates(one), _gates(two)),
        "search": _changed(_search(one), _search(two)),
        "metrics": _changed(*(_metrics(side, _others()) for side in (one, two))),
        "verdict": _changed(_verdict(one), _verdict(two)),
        "seconds": _paired(_seconds(one), _seconds(two)),
    }


def documents(sections: Mapping[str, Sequence[Difference]]) -> dict[str, list[dict[str, Any]]]:
    """As plain JSON values."""
    return {name: [asdict(found) for found in differences] for name, differences in sections.items()}


def print_differences(names: tuple[str, str], sections: Mapping[str, Sequence[Difference]]) -> None:
    """A table for each section in which something differs."""
    shown = console()
    shown.print(f"first   {names[0]}\nsecond  {names[1]}", markup=False, soft_wrap=True)
    same = [name for name, differences in sections.items() if not differences]
    for name, differences in sections.items():
        if differences:
            shown.print()
            rows = [
                (found.name, _shown(found.first), _shown(found.second), _gap(found)) for found in differences
            ]
            print_table((name, "first", "second", "difference"), rows, right=("difference",))
    if same:
        shown.print(f"\nthe same: {', '.join(same)}", markup=False, style="dim")


def leaves(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested objects under dotted names; lists are leaves."""
    for name, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _common(one: _Side, two: _Side, of: Callable[[Manifest], Mapping[str, Any]]) -> list[Difference]:
    """What differs in the stages that both runs have come to; what differs alike in several, once."""
    found: dict[str, Difference] = {}
    for stage in [stage for stage in one.manifests if stage in two.manifests]:
        for change in _changed(of(one.manifests[stage]), of(two.manifests[stage])):
            if found.setdefault(change.name, change) != change:
                found[f"{stage}: {change.name}"] = replace(change, name=f"{stage}: {change.name}")
    return list(found.values())


def _parameters(manifest: Manifest) -> dict[str, Any]:
    """Without the recipe, which register has for MLflow."""
    return {name: value for name, value in leaves(manifest.params) if not name.startswith("recipe.")}


def _code(manifest: Manifest) -> dict[str, Any]:
    return {
        "code_version": manifest.code_version,
        "git_sha": manifest.git_sha,
        "image_digest": manifest.image_digest,
        "device": manifest.device,
        **{f"package {name}": version for name, version in manifest.packages.items()},
    }


def _deliveries(side: _Side) -> dict[str, Any]:
    found: dict[str, Any] = {}
    ingest = side.manifests.get("ingest")
    raw = {entry.name for spec in STAGES for entry in spec.inputs if entry.artifact is None}
    for name, entry in ingest.inputs.items() if ingest else ():
        if name in raw:
            found[name], found[f"{name} at"] = entry.sha256, entry.uri
            found |= {f"{name}: {name_of(file.uri)}": file.hash for file in entry.files}
    return found


def _artifacts(side: _Side) -> dict[str, Any]:
    outputs = {spec.name: spec.output for spec in STAGES}
    return {outputs.get(stage, stage): record.sha256 or None for stage, record in side.records.items()}


def _metrics(side: _Side, stages: Sequence[str]) -> dict[str, Any]:
    return {
        f"{stage} {name}": value
        for stage, record in side.records.items()
        if stage in stages
        for name, value in (record.metrics or {}).items()
        if not name.endswith("_seconds")
    }


def _others() -> list[str]:
    return [spec.name for spec in STAGES if spec.name not in _DATA]


def _gates(side: _Side) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for stage, record in side.records.items():
        for gate in gates_of({"gates": record.gates}):
            name = f"{stage} {gate.subject}: {gate.name}"
            if gate.value is not None:
                found[name] = gate.value
            found[f"{name} outcome"] = gate.outcome
    return found


def _search(side: _Side) -> dict[str, Any]:
    return dict(leaves(side.document("search", "policy.json")))


def _verdict(side: _Side) -> dict[str, Any]:
    verdict = side.document("evaluate", "verdict.json")
    registration = side.document("register", "registration.json")
    told = {name: verdict.get(name) for name in ("promote", "reason", "rule", "champion_version")}
    return {**told, "version": registration.get("version"), "promoted": registration.get("promoted")}


def _seconds(side: _Side) -> dict[str, Any]:
    return {
        stage: f"{record.seconds:.1f}" + ("" if record.status == "done" else f" ({record.status})")
        for stage, record in side.records.items()
    }


def _changed(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    return [found for found in _paired(first, second) if found.first != found.second]


def _paired(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    return [Difference(name, first.get(name), second.get(name)) for name in {**first, **second}]


def _manifest(record: StageRecord) -> Manifest | None:
    try:
        return read_manifest(record.uri) if record.uri else None
    except FileNotFoundError:  # deleted since
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if _is_number(value):
        return number(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[:_CUT] if len(text) == _HASH_LENGTH and " " not in text else text


def _gap(found: Difference) -> str:
    if found.first == found.second:
        return "same"
    if _is_number(found.first) and _is_number(found.second):
        gap = found.second - found.first
        return f"{'+' if gap > 0 else '−'}{number(abs(gap))}"
    return "other" if isinstance(found.first, str) and len(found.first) == _HASH_LENGTH else ""
