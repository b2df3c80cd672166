"""What an evaluation found, as the report of any task needs it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from components.core.gates import Gate, gates_of
from components.core.manifest import MANIFEST, Manifest
from components.core.policy import TRAJECTORY_FILE, Policy
from components.core.recipe import AnyEvaluateParams
from components.core.verdict import AnyVerdict
from components.data.document import read_document
from components.data.parquet import read_table
from components.evaluate.report.wording import Wording


@dataclass(frozen=True, kw_only=True)
class AnyFindings:
    """One evaluation.

    Attributes:
        verdict, lineage: the documents of the evaluation artifact.
        inputs: the stage's input artifacts.
    """

    wording: ClassVar[Wording]
    params: AnyEvaluateParams
    verdict: AnyVerdict
    lineage: Mapping[str, str]
    inputs: Mapping[str, Path]

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return self.params.promotion.metric

    def table(self, artifact: str, name: str) -> pa.Table:
        """A Parquet file of an input."""
        return read_table(self.inputs[artifact] / name)

    @property
    def profile(self) -> dict[str, Any]:
        """Of the interactions as delivered."""
        return read_document(self.inputs["interactions"] / "profile.json")

    @property
    def preparation(self) -> dict[str, Any]:
        """How they became the dataset."""
        return read_document(self.inputs["dataset"] / "preparation.json")

    @property
    def policy(self) -> Policy:
        return Policy.read(self.inputs["policy"])

    @property
    def gates(self) -> list[tuple[str, Gate]]:
        """Stage and gate, in the order of the run: what the inputs' manifests tell, then the verdict's."""
        manifests = [self._manifest(name) for name in ("interactions", "dataset", "policy", "model")]
        before = [(manifest.stage, gate) for manifest in manifests for gate in gates_of(manifest.validation)]
        return [*before, *(("evaluate", gate) for gate in self.verdict.gates)]

    @property
    def search_params(self) -> dict[str, Any]:
        """The search section that the policy was made with."""
        search: dict[str, Any] = self._manifest("policy").params["search"]
        return search

    @property
    def trajectory(self) -> pa.Table:
        """The search by epoch; no rows where nothing was searched."""
        return self.table("policy", TRAJECTORY_FILE)

    @property
    def training(self) -> dict[str, Any]:
        """What was trained, and how it went."""
        return read_document(self.inputs["model"] / "training.json")

    @property
    def history(self) -> pa.Table:
        """The retraining by epoch."""
        return self.table("model", "history.parquet")

    def _manifest(self, artifact: str) -> Manifest:
        place = self.inputs[artifact] / MANIFEST
        return Manifest.from_json(place.read_bytes(), place=str(place))
