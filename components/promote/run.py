"""Promote: someone's decision about a registered model, carried out and recorded."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from components.core.errors import InvalidInputError
from components.core.recipe import PromoteParams
from components.core.stage import Context
from components.data.document import read_document, write_document
from components.data.parquet import write_table
from components.registry.decision import Decision
from components.registry.ledger import Entry
from components.registry.promotion import Succession


def run(
    params: PromoteParams, inputs: Mapping[str, Path], output: Path, context: Context
) -> Mapping[str, float]:
    """Promote, roll back, or record a no.

    Raises:
        InvalidInputError: there is no such version, or nothing to go back to.
        GateFailedError: the evidence says no, or the version does not answer as it must.
        ConflictError: someone else has changed the champion.
        InfrastructureError: MLflow cannot be reached.
    """
    succession = Succession(params.model, params.tracking_uri, params.ledger)
    decision = Decision(
        who=params.who,
        why=params.why,
        key=params.decision,
        answered=params.answered,
        force=params.force,
    )
    version = _version(params, inputs)
    if params.action == "rollback":
        entry = succession.rollback(version, decision)
    elif params.approved:
        entry = succession.promote(version or succession.challenger(), decision)
    else:
        entry = succession.reject(version or succession.challenger(), decision)
    _write(output, params, entry)
    champion = {} if entry.to_version is None else {"version": float(entry.to_version)}
    return {"promoted": float(entry.action != "reject"), "entry": float(entry.sequence), **champion}


def _version(params: PromoteParams, inputs: Mapping[str, Path]) -> str | None:
    if "registration" not in inputs:
        return params.version
    registration = read_document(inputs["registration"] / "registration.json")
    if registration["model"] != params.model:
        raise InvalidInputError(
            f"registration: is of {registration['model']!r}, but the model is {params.model!r}"
        )
    return str(registration["version"])


def _write(output: Path, params: PromoteParams, entry: Entry) -> None:
    scalars = {
        "model": params.model,
        "action": entry.action,
        "from_version": entry.from_version,
        "to_version": entry.to_version,
        "promoted": entry.action != "reject",
        "who": entry.who,
        "when": entry.when.isoformat(),
        "why": entry.why,
        "entry": entry.sequence,
        "entry_sha256": entry.sha256,
    }
    write_document({**scalars, "evidence": entry.evidence}, output / "promotion.json")
    types = {"promoted": pa.bool_(), "entry": pa.int64()}
    schema = pa.schema([pa.field(name, types.get(name, pa.string())) for name in scalars])
    write_table(pa.Table.from_pylist([scalars], schema=schema), output / "promotion.parquet")
