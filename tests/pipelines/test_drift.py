"""The components are the stage catalogue: nothing of a stage can be said twice, so nothing can drift."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.catalog import STAGES
from components.core.command import _parser
from components.core.recipe.reading import build_recipe, read_document
from components.core.runs import plan
from components.core.stage import StageSpec
from pipelines.compiling import compile_recipe
from pipelines.interface import PAGES, TYPES
from pipelines.plan import planned, recipe_of
from pipelines.tasks import stage_component

from .conftest import RECIPES

ALL = sorted(RECIPES.glob("*.yaml"))
_PARAMETER = re.compile(r"\{\{\$\.inputs\.parameters\['(\w+)'\]\}\}")


def compiled(file: Path) -> dict[str, Any]:
    return next(yaml.safe_load_all(compile_recipe(file)))


@pytest.mark.parametrize("spec", STAGES, ids=lambda spec: spec.name)
def test_a_component_has_the_names_of_its_stage(spec: StageSpec) -> None:
    component = stage_component(spec, "an-image").component_spec
    own = {"runs", "params", "place"}
    assert component.name == spec.name
    assert component.inputs.keys() - own == {f"{entry.name}_uri" for entry in spec.inputs}
    optional = {name for name, entry in component.inputs.items() if entry.optional}
    assert optional == {f"{entry.name}_uri" for entry in spec.inputs if not entry.required}
    pages = PAGES.get(spec.output, {})
    assert component.outputs.keys() == {"uri", "sha256", spec.output, *pages}
    assert component.outputs[spec.output].type == f"system.{TYPES[spec.output]}@0.0.1"
    assert {component.outputs[name].type for name in pages} <= {"system.HTML@0.0.1"}
    assert component.implementation.container.image == "an-image"


@pytest.mark.parametrize("file", ALL, ids=lambda file: file.stem)
def test_every_task_runs_the_command_of_the_process_path(file: Path) -> None:
    """With the values that the plan and the stages before it hand it, each task's command line says what
    `Invocation.command` says, argument by argument, to the stage's own parser."""
    document = read_document(file)
    recipe = build_recipe(document, place=str(file))
    pipeline = compiled(file)
    loop = pipeline["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    given = planned(recipe)
    made = {spec.name: f"s3://bucket/{spec.output}/0123" for spec in STAGES}
    for position, spec in enumerate(STAGES):
        values = dict.fromkeys((f"{entry.name}_uri" for entry in spec.inputs if not entry.required), "")
        for name, source in loop[spec.name]["inputs"]["parameters"].items():
            wire = source["taskOutputParameter"]
            upstream, key = wire["producerTask"], wire["outputParameterKey"]
            values[name] = given[key] if upstream == "plan" else {"uri": made[upstream]}[key]
        container = pipeline["deploymentSpec"]["executors"][f"exec-{spec.name}"]["container"]
        line = [_PARAMETER.sub(lambda found: values[found[1]], text) for text in container["args"]]  # noqa: B023
        artifacts = {one.output: made[one.name] for one in STAGES[:position]}
        expected = plan(recipe, spec, artifacts).command()

        assert [*container["command"], line[0]] == ["python", "-m", "pipelines.component", spec.name]
        ours = _parser(spec).parse_args(line[line.index("--") + 1 :])
        theirs = _parser(spec).parse_args(expected[3:])
        assert {key: value or None for key, value in vars(ours).items()} == vars(theirs)
        assert spec.parse(ours.params) == recipe.stage_params()[spec.name]
        assert container["image"] == getattr(recipe.orchestration.images, spec.image)


def test_a_stages_tasks_depend_on_nothing_but_what_they_read() -> None:
    loop = compiled(RECIPES / "ml-100k.yaml")["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    producer = {spec.output: spec.name for spec in STAGES}
    for spec in STAGES:
        read = {producer[entry.name] for entry in spec.inputs if entry.required}
        assert set(loop[spec.name]["dependentTasks"]) == read | {"plan"}


@pytest.mark.parametrize("file", ALL, ids=lambda file: file.stem)
def test_the_plan_reads_the_recipe_as_the_process_path_does(file: Path) -> None:
    document = read_document(file)
    pipeline = compiled(file)
    loop = pipeline["components"]["comp-exit-handler-1"]["dag"]["tasks"]["plan"]["inputs"]["parameters"]
    embedded = loop["recipe"]["runtimeValue"]["constant"]
    values = {
        name: int(entry["defaultValue"])
        if entry["parameterType"] == "NUMBER_INTEGER"
        else entry["defaultValue"]
        for name, entry in pipeline["root"]["inputDefinitions"]["parameters"].items()
    }
    read = recipe_of({"recipe": embedded, **values})
    assert read == build_recipe(document, place=str(file))
