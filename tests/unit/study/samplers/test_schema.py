"""Studies of samplers that are wrong."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.core.errors import InvalidInputError
from components.study.reading import read_study
from components.study.samplers.schema import Race


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"candidates": {"names": ["RNS", "ONS"]}}, r"candidates.names: got 'ONS', need one of"),
        ({"candidates": {"names": ["RNS", "PNS"], "size": 3}}, "candidates.size: got 3, need at most .* 2"),
        ({"candidates": {"names": ["RNS", "MixGCF"]}}, "candidates.names: a sampler of kind 'mixgcf'"),
        (
            {"samplers": {"A": {"kind": "dns"}, "B": {"kind": "dns", "pool_size": 8}}}
            | {"candidates": {"names": ["A", "B"]}, "negatives": [], "spaces": []},
            r"candidates.names: got \['A', 'B'\] of kinds \['dns', 'dns'\], need each kind at most once",
        ),
        (
            {"tuning": {"methods": ["MixGCF"]}},
            "got 'MixGCF' first, .* it must fit 'MF'",
        ),
        (
            {"settings": [{"training": {"model": {}}}]},
            "training.model: unknown key .*allowed: batch_size",
        ),
        ({"seeds": [-1]}, "seeds.0: got -1"),
        ({"seeds": []}, "seeds"),
        ({"negatives": [4]}, "negatives: got 4, need at most .* 3"),
        ({"spaces": [["RNS"]]}, "spaces"),
        ({"settings": [{"models": ["NGCF"], "training": {}}]}, "settings.0.models: got 'NGCF'"),
        ({"samplers": {"AutoSample": {"kind": "uniform"}}}, "'AutoSample' is the name"),
        ({"seedz": [1]}, "seedz"),
    ],
)
def test_mistakes_are_told(
    document: dict[str, Any], tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    place = tmp_path / "study.yaml"
    place.write_text(yaml.safe_dump(document | change))
    with pytest.raises(InvalidInputError, match=told):
        read_study(place)


def test_the_readme_s_study_is_one(tmp_path: Path) -> None:
    text = (Path(__file__).parents[4] / "README.md").read_text()
    (block,) = [part for part in text.split("```") if part.startswith("yaml") and "name: mine" in part]
    place = tmp_path / "mine.yaml"
    place.write_text(block.removeprefix("yaml"))
    assert read_study(place).candidates.race == Race(epochs=5)
