"""KFP's side of a task: the executor input that it passes, and the executor output that it reads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXECUTOR_INPUT = "{{$}}"  # KFP puts the executor input in its place


@dataclass(frozen=True)
class Task:
    """One task, as KFP describes it.

    Attributes:
        values: input parameter → value.
        artifacts: output artifact → what KFP says of it: name, URI, type. The URI stays KFP's own, since
            its launcher uploads from nowhere else.
        output_file: where KFP looks for parameters and metadata.
    """

    values: Mapping[str, Any]
    artifacts: Mapping[str, Mapping[str, Any]]
    output_file: Path

    @classmethod
    def parse(cls, executor_input: str) -> "Task":
        document = json.loads(executor_input)
        outputs = document["outputs"]
        return cls(
            values=document.get("inputs", {}).get("parameterValues", {}),
            artifacts={name: entry["artifacts"][0] for name, entry in outputs.get("artifacts", {}).items()},
            output_file=Path(outputs["outputFile"]),
        )

    def finish(
        self, parameters: Mapping[str, str], metadata: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        """Leave what the task came to: output parameters, and metadata by output artifact."""
        artifacts = {
            name: {
                "artifacts": [{"name": entry["name"], "uri": entry["uri"], "metadata": dict(metadata[name])}]
            }
            for name, entry in self.artifacts.items()
            if metadata and name in metadata
        }
        document = {"parameterValues": dict(parameters), "artifacts": artifacts}
        self.output_file.parent.mkdir(parents=True, exist_ok=True)
        self.output_file.write_text(json.dumps(document, sort_keys=True, allow_nan=False))
