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
        ({"settings": [{"training": {"model": {}}}]}, "settings.0.training: got 'model', need one of"),
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


def test_a_name_that_is_no_study_is_told_with_those_that_are() -> None:
    with pytest.raises(InvalidInputError, match="did you mean 'autosample-gowalla'"):
        find_study("autosample-gowala")


def test_a_value_may_be_set_anew(document: dict[str, Any], tmp_path: Path) -> None:
    place = tmp_path / "study.yaml"
    place.write_text(yaml.safe_dump(document))
    study = read_study(place, ["seeds=[9]", "data.tiny.parameters.num_users=7"])
    assert study.seeds == (9,)
    assert study.data["tiny"].parameters == {"num_users": 7}
    with pytest.raises(InvalidInputError, match=r"'seed' is no section, need one of .*did you mean 'seeds'"):
        read_study(place, ["seed=9"])
