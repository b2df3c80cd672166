"""Which kind of study a file is, and the studies that the project brings along."""

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
from components.core.recipe_files import included
from components.study.conducting import Part
from components.study.losses import grid as losses
from components.study.losses.schema import LossesStudy
from components.study.models import grid as models
from components.study.models.schema import ModelsStudy
from components.study.reading import STUDIES, find_study, read_study, study_schema
from components.study.samplers import grid as samplers
from components.study.samplers.schema import SamplersStudy
from components.study.sizes import grid as sizes
from components.study.sizes.schema import SizesStudy
from tests.unit.study.losses.conftest import document as losses_document
from tests.unit.study.samplers.conftest import document as samplers_document

__all__ = ["losses_document", "samplers_document"]


def test_the_included_studies_are_valid() -> None:
    paths = included(STUDIES).values()
    assert paths
    for path in paths:
        study = read_study(path)
        if isinstance(study, SamplersStudy):
            for data in study.data:
                for model in study.models:
                    searched = samplers.searched(study, study.candidates.names)
                    for method in [*samplers.baselines(study, model), searched]:
                        samplers.recipe_of(study, samplers.Cell(data, model, method, 1), {})
        elif isinstance(study, SizesStudy):
            for cell in sizes.cells_of(study, Part(tuple(study.data), tuple(study.models))):
                if cell.seed == study.seeds[0]:
                    sizes.recipe_of(study, cell)
        elif isinstance(study, ModelsStudy):
            for cell in models.cells_of(study, Part(tuple(study.data), tuple(study.models))):
                if cell.seed == study.seeds[0]:
                    models.recipe_of(study, cell, policy="/somewhere")
        else:
            assert isinstance(study, LossesStudy)
            for cell in losses.cells_of(study, Part(tuple(study.data), tuple(study.models))):
                if cell.seed == study.seeds[0]:
                    losses.recipe_of(study, cell, policy="/somewhere")


def test_what_is_compared_says_which_kind_it_is(
    samplers_document: dict[str, Any], losses_document: dict[str, Any], tmp_path: Path
) -> None:
    place = tmp_path / "study.yaml"

    def read(document: dict[str, Any]) -> type:
        place.write_text(yaml.safe_dump(document))
        return type(read_study(place))

    assert read(samplers_document) is SamplersStudy  # which says nothing
    assert read({**samplers_document, "compares": "samplers"}) is SamplersStudy
    assert read(losses_document) is LossesStudy
    with pytest.raises(InvalidInputError, match="compares: got 'loses', need 'samplers'"):
        read({**losses_document, "compares": "loses"})


def test_a_name_that_is_no_study_is_told_with_those_that_are() -> None:
    with pytest.raises(InvalidInputError, match="did you mean 'autosample-gowalla'"):
        find_study("autosample-gowala")


def test_a_value_may_be_set_anew(
    samplers_document: dict[str, Any], losses_document: dict[str, Any], tmp_path: Path
) -> None:
    place = tmp_path / "study.yaml"
    for document in (samplers_document, losses_document):
        place.write_text(yaml.safe_dump(document))
        study = read_study(place, ["seeds=[9]", "data.tiny.parameters.num_users=7"])
        assert study.seeds == (9,)
        assert study.data["tiny"].parameters == {"num_users": 7}
        with pytest.raises(
            InvalidInputError, match=r"'seed' is no section, need one of .*did you mean 'seeds'"
        ):
            read_study(place, ["seed=9"])


def test_the_committed_schema_is_the_one_that_is_printed(
    samplers_document: dict[str, Any], losses_document: dict[str, Any]
) -> None:
    printed = CliRunner().invoke(app, ["schema", "study"]).output
    (folder,) = {path.parent for path in included(STUDIES).values()}
    committed = (folder.parent / "study.schema.json").read_text()
    assert json.loads(committed) == json.loads(printed), (
        "write it anew: recloop schema study > pipelines/study.schema.json"
    )
    validator = jsonschema.Draft202012Validator(json.loads(printed))
    for path in included(STUDIES).values():
        validator.validate(read_document(path))
    for document in (samplers_document, losses_document):
        validator.validate(document)
        assert not validator.is_valid(document | {"models": {"MF": {"dim": 8}}})
        assert not validator.is_valid(document | {"seedz": [1]})
    assert not validator.is_valid(samplers_document | {"compares": "losses"})


def test_every_key_says_what_it_is() -> None:
    definitions = study_schema()["$defs"]
    named = ("SamplersStudy", "LossesStudy", "StudyData", "CellTraining", "Setting", "Candidates")
    silent = [
        f"{name}.{key}"
        for name in (*named, "LossMethod", "Grid", "Transfer", "Updates")
        for key, node in definitions[name]["properties"].items()
        if "description" not in node and "$ref" not in node
    ]
    assert not silent
