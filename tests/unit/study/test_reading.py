"""Studies that are wrong, and those that the project brings along."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.core.errors import InvalidInputError
from components.core.recipe_files import included
from components.study.grid import Cell, baselines, recipe_of, searched
from components.study.reading import STUDIES, find_study, read_study


def test_the_included_studies_are_valid() -> None:
    paths = included(STUDIES).values()
    assert paths
    for path in paths:
        study = read_study(path)
        for data in study.data:
            for model in study.models:
                for method in [*baselines(study, model), searched(study, study.candidates.names)]:
                    recipe_of(study, Cell(data, model, method, 1), {})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"candidates": {"names": ["RNS", "ONS"]}}, r"candidates.names: got 'ONS', need one of"),
        ({"candidates": {"names": ["RNS", "PNS"], "size": 3}}, "candidates.size: got 3, need at most .* 2"),
        ({"candidates": {"names": ["RNS", "MixGCF"]}}, "'MixGCF' makes embeddings, not items"),
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


def test_a_name_that_is_no_study_is_told_with_those_that_are() -> None:
    with pytest.raises(InvalidInputError, match="did you mean 'autosample-gowalla'"):
        find_study("autosample-gowala")
