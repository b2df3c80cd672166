"""All that a card is written from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from components.core.gates import Gate, gates_of
from components.core.manifest import Manifest
from components.core.policy import Policy
from components.core.recipe import RegisterParams
from components.core.recipe.card import Card
from components.core.verdict import VERDICT_FILE, AnyVerdict, read_verdict
from components.data.document import read_document

# artifact → what its gates look at
_GATED: Final = {"interactions": "delivery", "dataset": "dataset", "model": "training"}


@final
@dataclass(frozen=True, kw_only=True)
class Facts:
    """One registered version, and the artifacts that it came from.

    Attributes:
        manifests: of interactions, dataset, policy, model and evaluation.
        profile: of the interactions as delivered.
        preparation: how they became the dataset.
        training: what was trained, and from which weights.
        sha256: content hashes down to the raw data, and of the champion.
    """

    params: RegisterParams
    version: str
    manifests: Mapping[str, Manifest]
    profile: Mapping[str, Any]
    preparation: Mapping[str, Any]
    policy: Policy
    training: Mapping[str, Any]
    verdict: AnyVerdict
    sha256: Mapping[str, str]

    @classmethod
    def read(
        cls,
        params: RegisterParams,
        version: str,
        inputs: Mapping[str, Path],
        manifests: Mapping[str, Manifest],
    ) -> "Facts":
        """From the inputs of `register`."""
        return cls(
            params=params,
            version=version,
            manifests=manifests,
            profile=read_document(inputs["interactions"] / "profile.json"),
            preparation=read_document(inputs["dataset"] / "preparation.json"),
            policy=Policy.read(inputs["policy"]),
            training=read_document(inputs["model"] / "training.json"),
            verdict=read_verdict(inputs["evaluation"] / VERDICT_FILE),
            sha256=read_document(inputs["evaluation"] / "lineage.json"),
        )

    @property
    def evaluated(self) -> Mapping[str, Any]:
        """Parameters of the evaluation."""
        return self.manifests["evaluation"].params

    @property
    def card(self) -> Card:
        return Card.model_validate(self.params.recipe.get("card", {}))

    def gates(self) -> Iterator[tuple[str, Gate]]:
        """Every gate of the run with what it looks at, in the order of the stages."""
        for artifact, what in _GATED.items():
            for gate in gates_of(self.manifests[artifact].validation):
                yield what, gate
        for gate in self.verdict.gates:
            yield "model", gate
