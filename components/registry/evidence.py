"""What a decision about a version rests on: its evaluation."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from components.core.errors import (
    ConflictError,
    GateFailedError,
    InfrastructureError,
    IntegrityError,
    InvalidInputError,
)
from components.core.hashing import sha256_file
from components.core.manifest import read_manifest
from components.core.store import join, open_store
from components.core.verdict import VERDICT_FILE, AnyVerdict, read_verdict
from components.registry.champion import EVALUATION_SHA256, EVALUATION_URI, MODEL_SHA256

_TOLD: Final = {"promote", "reason", "rule", "metric", "margin", "challenger", "champion", "champion_version"}


@final
@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The evaluation of a version.

    Attributes:
        verdict: of the evaluation; None where there is none.
        lacks: why there is none.
    """

    version: str
    model_sha256: str | None
    uri: str | None
    sha256: str | None
    verdict: AnyVerdict | None
    lacks: str = ""

    def check(self, model: str, current: str | None) -> None:
        """See that it speaks for promotion now.

        Raises:
            InvalidInputError: there is no evaluation.
            GateFailedError: it says no.
            ConflictError: it compared with another champion than the one there is now.
        """
        which = f"{model}, version {self.version}"
        if self.verdict is None:
            raise InvalidInputError(f"{which}: {self.lacks}")
        if not self.verdict.promote:
            reason = self.verdict.reason
            raise GateFailedError(f"{which}: its evaluation says no: {reason}", self.verdict.gates)
        if self.verdict.champion_version != current:
            raise ConflictError(changed(model, self.verdict.champion_version, current))

    def document(self) -> dict[str, Any]:
        """As it stands in the ledger."""
        document = {
            "version": self.version,
            "model_sha256": self.model_sha256,
            "evaluation_uri": self.uri,
            "evaluation_sha256": self.sha256,
        }
        if self.verdict is None:
            return {**document, "lacks": self.lacks}
        outcomes = [gate.outcome for gate in self.verdict.gates]
        compared = self.verdict.comparisons.get("champion", {}).get(self.verdict.metric)
        return {
            **document,
            **self.verdict.model_dump(mode="json", include=_TOLD),
            **({"comparison": compared.model_dump(mode="json")} if compared else {}),
            "gates": {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))},
        }


def read_evidence(version: str, tags: Mapping[str, str], *, needed: bool = True) -> Evidence:
    """The evaluation that a version's tags name, if it has the hash that was taken of it.

    Raises:
        InfrastructureError: it is needed, and its store cannot be reached.
    """
    uri, sha256 = tags.get(EVALUATION_URI), tags.get(EVALUATION_SHA256)
    verdict, lacks = None, ""
    if uri is None or sha256 is None:
        lacks = f"no run has registered it (got tags {sorted(tags)})"
    else:
        try:
            verdict = _read_verdict(uri, sha256)
        except FileNotFoundError:
            lacks = f"its evaluation is not at {uri}: gone, or on another machine"
        except (IntegrityError, ValueError) as error:  # a rollback must not fail on this
            lacks = f"its evaluation cannot be believed: {error}"
        except InfrastructureError as error:
            if needed:
                raise
            lacks = f"its evaluation cannot be reached: {error}"
    return Evidence(
        version=version,
        model_sha256=tags.get(MODEL_SHA256),
        uri=uri,
        sha256=sha256,
        verdict=verdict,
        lacks=lacks,
    )


def _read_verdict(uri: str, sha256: str) -> AnyVerdict:
    manifest, place = read_manifest(uri), join(uri, VERDICT_FILE)
    with tempfile.TemporaryDirectory() as scratch:
        file = open_store(place).fetch(place, Path(scratch) / VERDICT_FILE)
        if manifest.sha256 != sha256 or sha256_file(file) != manifest.files[VERDICT_FILE].sha256:
            raise IntegrityError(f"{uri}: is not the evaluation that the version was registered with")
        return read_verdict(file)


def changed(model: str, judged: str | None, current: str | None) -> str:
    """What to do when an evaluation compared with a champion that is champion no more."""

    def name(version: str | None) -> str:
        return "no champion" if version is None else f"version {version}"

    return (
        f"{model}: the champion has changed since the evaluation, which compared with {name(judged)}; "
        f"now it is {name(current)}. Evaluate again against it, with --set evaluation.attempt=2 (or the "
        "next number that was not used yet)"
    )
