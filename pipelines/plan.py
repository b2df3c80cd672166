"""`python -m pipelines.plan`: the first task of a pipeline. From the recipe and the run's values to what
each stage is asked to do, so that every mistake is told before anything runs."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from components.catalog import STAGES
from components.core.containers import container_of
from components.core.errors import InvalidInputError, RecloopError
from components.core.recipe import Recipe
from components.core.recipe.reading import build_recipe
from components.core.runs import check_workspace, plan, runs_place
from pipelines.interface import (
    OVERRIDES,
    RECIPE,
    RESERVED,
    RUNS,
    input_uri,
    planned_params,
    planned_place,
)
from pipelines.protocol import Task


def main(arguments: Sequence[str] | None = None) -> int:
    """Plan a run; the argument is KFP's executor input."""
    (executor_input,) = sys.argv[1:] if arguments is None else arguments
    task = Task.parse(executor_input)
    try:
        recipe = recipe_of(task.values)
        check_compiled(recipe, task.values)
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            check_within_reach(task.values)
        check_workspace(recipe)
        task.finish(planned(recipe))
    except RecloopError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def recipe_of(values: Mapping[str, Any]) -> Recipe:
    """The recipe that was compiled into the pipeline, with the run's values.

    Args:
        values: the recipe's document, its parameters by name, and free overrides.

    Raises:
        InvalidInputError: every mistake at once.
    """
    # a text stands as it is: quotes would become part of a text parameter
    declared = [
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in values.items()
        if name not in RESERVED
    ]
    document = json.loads(values[RECIPE])
    return build_recipe(document, [*declared, *values.get(OVERRIDES, [])], place=document.get("name", "?"))


def check_compiled(recipe: Recipe, values: Mapping[str, Any]) -> None:
    """Refuse what a run cannot change, because KFP was told it when the pipeline was compiled.

    Raises:
        InvalidInputError: says what, and how to change it.
    """
    compiled = recipe_of({RECIPE: values[RECIPE]})
    fixed = (
        recipe.orchestration == compiled.orchestration
        and all(container_of(recipe, spec) == container_of(compiled, spec) for spec in STAGES)
        and recipe.locations().keys() == compiled.locations().keys()
    )
    if not fixed:
        raise InvalidInputError(
            f"recipe {recipe.name}: GPUs, the source's parts and all of `orchestration` are fixed when a "
            "pipeline is compiled; compile it again with --set"
        )


def check_within_reach(values: Mapping[str, Any]) -> None:
    """Refuse directories where every stage is a pod: no other would see them.

    Raises:
        InvalidInputError: names them.
    """
    recipe_of({**values, OVERRIDES: [*values.get(OVERRIDES, []), "orchestration.runner=kubernetes"]})


def planned(recipe: Recipe) -> dict[str, str]:
    """Output of the plan → value: where records go, and for each stage its parameters, the place of its
    artifact and the URIs of raw inputs."""
    upstream = dict.fromkeys((spec.output for spec in STAGES), "")
    outputs = {RUNS: runs_place(recipe)}
    for spec in STAGES:
        todo = plan(recipe, spec, upstream)
        outputs[planned_params(spec.name)] = todo.params.model_dump_json()
        outputs[planned_place(spec.output)] = todo.output
    outputs |= {input_uri(name): uri for name, uri in recipe.locations().items()}
    return outputs


if __name__ == "__main__":
    sys.exit(main())
