"""What an evaluation rests on: its inputs down to the raw data, and the champion."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from components.core.columns import PARTS
from components.core.lineage import read_lineage
from components.core.manifest import Manifest, read_manifest
from components.core.recipe import AnyEvaluateParams
from components.core.recipe.examples import TABLES
from components.registry.champion import find_champion

CHALLENGER: Final = "challenger"
CHAMPION: Final = "champion"
CHAMPION_DATASET: Final = "champion_dataset"
CHAMPION_INTERACTIONS: Final = "champion_interactions"
_THEIRS: Final = {CHAMPION, CHAMPION_DATASET, CHAMPION_INTERACTIONS}  # the champion descends from other data


def read_ancestry(inputs: Mapping[str, Path]) -> dict[str, str]:
    """Content hash of everything that an evaluation rests on.

    Raises:
        InvalidInputError: the inputs do not belong together.
    """
    manifests = read_lineage({name: inputs[name] for name in sorted(inputs.keys() - _THEIRS)})
    raw = {
        "source" if name == "source" else f"source_{name}": entry.sha256
        for name, entry in sorted(manifests["interactions"].inputs.items())
        if name in {"source", *PARTS, *TABLES}  # earlier deliveries were only compared with
    }
    artifacts = {name: manifests[name].sha256 for name in ("interactions", "dataset", "policy", "model")}
    champion = _champion(inputs)
    return {**raw, **artifacts, **({CHAMPION: champion.sha256} if champion else {})}


def champion_version(params: AnyEvaluateParams, inputs: Mapping[str, Path]) -> str | None:
    """The registered version that is compared with; None where it is not the champion's model, and then
    `register` asks for another evaluation."""
    compared = _champion(inputs)
    if compared is None:
        return None
    current = find_champion(params)
    return current.version if current and current.model_sha256 == compared.sha256 else None


def _champion(inputs: Mapping[str, Path]) -> Manifest | None:
    return read_manifest(str(inputs[CHAMPION])) if CHAMPION in inputs else None
