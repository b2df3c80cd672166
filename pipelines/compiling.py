"""A recipe as a Kubeflow pipeline."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from kfp import compiler, dsl
from kfp.dsl.graph_component import GraphComponent

from components.catalog import INGEST, REGISTER, STAGES
from components.core.containers import Container, container_of
from components.core.errors import InvalidInputError
from components.core.recipe import Recipe
from components.core.recipe.reading import build_recipe, read_document, with_overrides
from components.core.stage import StageSpec
from pipelines.cluster import place
from pipelines.interface import (
    OVERRIDES,
    PARAMS,
    PLACE,
    RECIPE,
    RESERVED,
    RUNS,
    URI,
    input_uri,
    planned_params,
    planned_place,
)
from pipelines.tasks import conclude_component, declared, plan_component, stage_component

_EXACT: Final = 2**53  # KFP's numbers are doubles


def compile_recipe(file: Path, overrides: Sequence[str] = ()) -> str:
    """A recipe's pipeline, as YAML that KFP takes. The same recipe gives the same text.

    Raises:
        InvalidInputError: the recipe has mistakes, or something that KFP cannot carry.
    """
    pipeline = build_pipeline(with_overrides(read_document(file), overrides), str(file))
    with tempfile.TemporaryDirectory(prefix="recloop-") as scratch:
        package = Path(scratch) / "pipeline.yaml"
        compiler.Compiler().compile(pipeline, str(package))
        return package.read_text(encoding="utf-8")


def build_pipeline(document: Mapping[str, Any], file: str) -> GraphComponent:
    """The pipeline: plan, the stages as the catalogue wires them, and an exit handler around it all. Its
    inputs are the recipe's parameters, with their types and defaults, and free overrides."""
    recipe = build_recipe(document, place=file)
    defaults = _parameters(recipe, file)
    types = {name: type(default) for name, default in defaults.items()}
    small = Container(image=container_of(recipe, INGEST).image, cpu=0.5, memory_gib=0.5, gpus=0, shm_gib=None)

    def pipeline(*values: Any) -> None:
        given = {RECIPE: json.dumps(document, sort_keys=True), **dict(zip(signature, values, strict=True))}
        conclude = conclude_component(types, small.image)(**given)
        place(conclude, recipe, small)
        with dsl.ExitHandler(conclude, name="loop"):
            plan = plan_component(STAGES, types, list(recipe.locations()), small.image)(**given)
            place(plan, recipe, small)
            for task in (conclude, plan):
                task.set_caching_options(False)
            made: dict[str, Any] = {}
            for spec in STAGES:
                made[spec.output] = _stage(recipe, spec, plan.outputs, made)

    signature: dict[str, Any] = {name: (type(default), default) for name, default in defaults.items()}
    signature[OVERRIDES] = (list, [])
    description = recipe.description.strip().partition("\n")[0] or f"The loop of {recipe.name}."
    inputs = "".join(f"\n    {name}: {text}" for name, text in _described(recipe).items())
    function = declared(pipeline, "pipeline", f"{description}\n\nArgs:{inputs}", signature)
    return dsl.pipeline(name=recipe.name.replace("_", "-"), description=description)(function)


def _stage(recipe: Recipe, spec: StageSpec, plan: Mapping[str, Any], made: Mapping[str, Any]) -> Any:
    """The task of one stage; returns the channel with its artifact's URI."""
    container = container_of(recipe, spec)
    inputs = {
        input_uri(entry.name): plan[input_uri(entry.name)] if entry.is_outside else made[entry.name]
        for entry in spec.inputs
        if entry.required or (entry.is_outside and input_uri(entry.name) in plan)
    }
    inputs |= {RUNS: plan[RUNS], PARAMS: plan[planned_params(spec.name)]}
    inputs[PLACE] = plan[planned_place(spec.output)]
    task = stage_component(spec, container.image)(**inputs)
    place(task, recipe, container)
    # KFP's key is made of the parameters, so of content, and of the image's name: that must be content too.
    # What ingest reads is no parameter, and what register wrote is not KFP's to remember.
    task.set_caching_options(container.digest is not None and spec not in (INGEST, REGISTER))
    return task.outputs[URI]


def _described(recipe: Recipe) -> dict[str, str]:
    described = {name: " ".join(one.description.split()) for name, one in recipe.parameters.items()}
    return described | {OVERRIDES: 'any other key of the recipe, such as "training.model.dim=32"'}


def _parameters(recipe: Recipe, file: str) -> dict[str, Any]:
    problems = [
        f"  parameters.{name}: the name is Kubeflow's; choose another"
        for name in sorted(RESERVED & recipe.parameters.keys())
    ]
    defaults = {name: parameter.default for name, parameter in recipe.parameters.items()}
    problems += [
        f"  parameters.{name}.default: got {default}, which Kubeflow cannot hold exactly; need at most 2**53"
        for name, default in defaults.items()
        if isinstance(default, int) and abs(default) > _EXACT
    ]
    if problems:
        raise InvalidInputError("\n".join([f"recipe {file}: cannot be a Kubeflow pipeline", *problems]))
    return defaults
