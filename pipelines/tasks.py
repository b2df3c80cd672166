"""KFP's container components, made from the stage catalogue: names, inputs and outputs stand nowhere else."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from kfp import dsl
from kfp.dsl.container_component_class import ContainerComponent

from components.core.stage import StageSpec
from pipelines.interface import (
    MESSAGE,
    OVERRIDES,
    PAGES,
    PARAMS,
    PLACE,
    RECIPE,
    RUNS,
    SHA256,
    STATUS,
    TYPES,
    URI,
    input_uri,
    planned_params,
    planned_place,
)
from pipelines.protocol import EXECUTOR_INPUT

_EMPTY = inspect.Parameter.empty


def stage_component(spec: StageSpec, image: str) -> ContainerComponent:
    """A stage: `params` and the URI of each input come in, a typed artifact with our metadata comes out, and
    its URI and SHA-256 for the tasks after it. No input is an artifact of KFP's: its launcher would copy
    the data, and a stage fetches and verifies its own."""
    inputs = {entry.name: input_uri(entry.name) for entry in spec.inputs}
    pages = PAGES.get(spec.output, {})
    signature: dict[str, tuple[Any, Any]] = {
        RUNS: (str, _EMPTY),
        PARAMS: (str, _EMPTY),
        **{input_uri(entry.name): (str, _EMPTY if entry.required else "") for entry in spec.inputs},
        PLACE: (str, _EMPTY),
        URI: (dsl.OutputPath(str), _EMPTY),
        SHA256: (dsl.OutputPath(str), _EMPTY),
        spec.output: (dsl.Output[getattr(dsl, TYPES[spec.output])], _EMPTY),
        **{name: (dsl.Output[getattr(dsl, kind)], _EMPTY) for name, (kind, _) in pages.items()},
    }

    def arguments(given: Mapping[str, Any]) -> list[Any]:
        own = [spec.name, "--task", EXECUTOR_INPUT, "--runs", given[RUNS]]
        for name in pages:
            own += ["--page", name, given[name].path]
        stage = ["--params", given[PARAMS]]
        for name, parameter in inputs.items():
            stage += [f"--in-{name}", given[parameter]]
        return [*own, "--", *stage, f"--out-{spec.output}", given[PLACE]]

    what = f"The {spec.name} stage: {', '.join(inputs) or 'nothing'} → {spec.output}."
    return _component(spec.name, what, image, "pipelines.component", signature, arguments)


def plan_component(
    specs: Sequence[StageSpec], parameters: Mapping[str, type], raw: Sequence[str], image: str
) -> ContainerComponent:
    """The task that turns the recipe and a run's values into what each stage is asked to do; `raw` names the
    inputs that the recipe reads from outside."""
    outputs = [RUNS, *map(input_uri, raw)]
    for spec in specs:
        outputs += [planned_params(spec.name), planned_place(spec.output)]
    signature = _values(parameters) | {name: (dsl.OutputPath(str), _EMPTY) for name in outputs}
    what = "Checks the recipe with the run's values and the workspace, and says what each stage is to do."
    return _component("plan", what, image, "pipelines.plan", signature, lambda _: [EXECUTOR_INPUT])


def conclude_component(parameters: Mapping[str, type], image: str) -> ContainerComponent:
    """The exit handler."""
    signature = _values(parameters) | {
        STATUS: (dsl.PipelineTaskFinalStatus, _EMPTY),
        MESSAGE: (dsl.OutputPath(str), _EMPTY),
    }
    what = "Says how the run ended: the model, or which stage failed, why, and whether to try again."
    return _component("conclude", what, image, "pipelines.conclude", signature, lambda _: [EXECUTOR_INPUT])


def _values(parameters: Mapping[str, type]) -> dict[str, tuple[Any, Any]]:
    typed = {name: (kind, _EMPTY) for name, kind in parameters.items()}
    return {RECIPE: (str, _EMPTY), OVERRIDES: (list, _EMPTY), **typed}


def _component(
    name: str,
    description: str,
    image: str,
    module: str,
    signature: Mapping[str, tuple[Any, Any]],
    arguments: Any,
) -> ContainerComponent:
    """What `dsl.container_component` makes of a function with this signature."""
    signature = dict(sorted(signature.items(), key=lambda entry: entry[1][1] is not _EMPTY))

    def body(*given: Any) -> dsl.ContainerSpec:
        command = ["python", "-m", module]
        return dsl.ContainerSpec(
            image=image, command=command, args=arguments(dict(zip(signature, given, strict=True)))
        )

    return dsl.container_component(declared(body, name, description, signature))


def declared(function: Any, name: str, description: str, signature: Mapping[str, tuple[Any, Any]]) -> Any:
    """`function` with a name and a signature that KFP reads: name → (annotation, default), those without a
    default first."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    function.__name__ = name
    function.__doc__ = description
    function.__signature__ = inspect.Signature(
        [
            inspect.Parameter(parameter, kind, annotation=annotation, default=default)
            for parameter, (annotation, default) in signature.items()
        ]
    )
    return function
