"""Studies that are wrong, and those that the project brings along."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from components.cli.app import app
from components.core.errors import InvalidInputError
from components.core.recipe.reading import read_document
from components.core.recipe.schema import as_written
from components.core.recipe_files import included
from components.study.grid import Cell, baselines, recipe_of, searched
from components.study.reading import STUDIES, find_study, read_study
from components.study.schema import Race, Study


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


def test_the_committed_schema_is_the_one_that_is_printed(document: dict[str, Any]) -> None:
    printed = CliRunner().invoke(app, ["schema", "study"]).output
    (folder,) = {path.parent for path in included(STUDIES).values()}
    committed = (folder.parent / "study.schema.json").read_text()
    assert json.loads(committed) == json.loads(printed), (
        "write it anew: recloop schema study > pipelines/study.schema.json"
    )
    validator = jsonschema.Draft202012Validator(json.loads(printed))
    for path in included(STUDIES).values():
        validator.validate(read_document(path))
    validator.validate(document)
    assert not validator.is_valid(document | {"models": {"MF": {"dim": 8}}})
    assert not validator.is_valid(document | {"seedz": [1]})


def test_every_key_says_what_it_is() -> None:
    schema = as_written(Study, "study")
    own = [
        schema,
        *(schema["$defs"][name] for name in ("StudyData", "CellTraining", "Setting", "Candidates")),
    ]
    silent = [
        key
        for model in own
        for key, node in model["properties"].items()
        if "description" not in node and "$ref" not in node
    ]
    assert not silent


def test_the_readme_s_study_is_one(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "README.md").read_text()
    (block,) = [part for part in text.split("```") if part.startswith("yaml") and "name: mine" in part]
    place = tmp_path / "mine.yaml"
    place.write_text(block.removeprefix("yaml"))
    assert read_study(place).candidates.race == Race(epochs=5)
