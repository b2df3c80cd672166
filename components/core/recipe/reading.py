"""From YAML to a `Recipe`: parameters, overrides, and every mistake told at once."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from components.core.errors import InvalidInputError
from components.core.recipe import RECIPES, Recipe, recipe_type
from components.core.recipe.mistakes import describe, did_you_mean, refusal
from components.core.recipe.yaml import parse_yaml
from components.core.strategy import Config

_REFERENCE = re.compile(r"\$\{([^}]*)\}")


def read_recipe(path: Path | str, overrides: Sequence[str] = ()) -> Recipe:
    """Read, complete and validate a recipe.

    Args:
        path: the YAML file.
        overrides: `key=value`, where key is a declared parameter or a dotted path such as
            `training.model.dim` or `search.samplers.0.kind`, and value is YAML.

    Raises:
        InvalidInputError: with one line for each mistake: the key's path, the value, what is allowed.
    """
    return build_recipe(read_document(path), overrides, place=str(path))


def read_document(path: Path | str, kind: str = "recipe") -> dict[str, Any]:
    """A document as it stands in its file; `kind` names it in errors.

    Raises:
        InvalidInputError: there is no file, or it holds no mapping in YAML.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8") as file:
            document = parse_yaml(file)
    except OSError as error:
        raise InvalidInputError(f"{kind} {path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{kind} {path}: not text in UTF-8: {error}") from error
    except yaml.YAMLError as error:
        raise InvalidInputError(f"{kind} {path}: not valid YAML: {error}") from error
    if document is None:
        raise InvalidInputError(f"{kind} {path}: is empty")
    if not isinstance(document, dict):
        raise InvalidInputError(f"{kind} {path}: got a {type(document).__name__}, need a mapping of sections")
    return document


def build_recipe(document: Mapping[str, Any], overrides: Sequence[str] = (), *, place: str) -> Recipe:
    """`read_recipe` for a document that is already parsed; `place` names it in errors."""
    document = with_overrides(document, overrides)
    model = recipe_type(document)
    values = _parameter_values(document.get("parameters"))
    problems: dict[str, str] = {}  # by path: one line each
    body = {
        key: value if key == "parameters" else _substitute(value, values, (str(key),), problems)
        for key, value in document.items()
    }
    try:
        recipe = model.model_validate(body)
    except ValidationError as error:
        found = describe(error, model)
        raise refusal(f"recipe {place}", _other_task(body, len(found)) | found | problems) from error
    if problems:
        raise refusal(f"recipe {place}", problems)
    return recipe


def _other_task(body: Mapping[str, Any], mistakes: int) -> dict[str, str]:
    """A hint at the task of which a recipe that names none has fewer mistakes."""
    if "task" in body:
        return {}
    for task, model in RECIPES.items():
        try:
            model.model_validate({**body, "task": task})
        except ValidationError as error:
            if len(describe(error, model)) >= mistakes:
                continue
        return {"task": f"task: missing; with task: {task} it has fewer mistakes"}
    return {}


def with_overrides(
    document: Mapping[str, Any], overrides: Sequence[str], schema: type[Config] | None = None
) -> dict[str, Any]:
    """The document of a recipe, or of another schema, with overrides put in, and nothing else of it checked.

    Raises:
        InvalidInputError: an override names nothing that the schema has.
    """
    for text in overrides:
        document = _with_override(document, text, schema or recipe_type(document))
    return dict(document)


def _with_override(document: Mapping[str, Any], text: str, schema: type[Config]) -> dict[str, Any]:
    key, equals, value_text = (part.strip() for part in text.partition("="))
    if not equals or not key:
        raise InvalidInputError(f"--set {text!r}: need key=value, such as training.model.dim=32")
    declared = document.get("parameters")
    is_parameter = isinstance(declared, dict) and key in declared
    path = ["parameters", key, "default"] if is_parameter else key.split(".")
    if is_parameter and isinstance(_parameter_values(declared).get(key), str):
        value: Any = value_text  # as it stands, even if it looks like a number
    else:
        try:
            value = parse_yaml(value_text)
        except yaml.YAMLError as error:
            raise InvalidInputError(
                f"--set {text!r}: the value is not valid YAML; a text may need quotes"
            ) from error
    if path[0] not in schema.model_fields:
        parameters = sorted(map(str, declared)) if isinstance(declared, dict) else []
        hint = did_you_mean(path[0], [*parameters, *schema.model_fields])
        raise InvalidInputError(
            f"--set {text}: {path[0]!r} is neither a parameter of the recipe {parameters} "
            f"nor a section {sorted(schema.model_fields)}{hint}"
            if issubclass(schema, Recipe)
            else f"--set {text}: {path[0]!r} is no section, need one of {sorted(schema.model_fields)}{hint}"
        )
    default = _default(schema, path[0])
    return {**document, path[0]: _put(document.get(path[0]), default, path[1:], value, key)}


def _default(schema: type[Config], section: str) -> Any:
    default = schema.model_fields[section].default
    return default.model_dump(mode="json") if isinstance(default, Config) else default


def _put(below: Any, default: Any, path: Sequence[str], value: Any, key: str) -> Any:
    """A copy of `below` with `value` at `path`. What a recipe leaves out is of its default's kind."""
    if not path:
        return value
    head, *rest = path
    if isinstance(below, list):
        if not head.isdecimal() or int(head) >= len(below):
            raise InvalidInputError(f"--set {key}: got {head!r}, need a position in a list of {len(below)}")
        position = int(head)
        return [*below[:position], _put(below[position], None, rest, value, key), *below[position + 1 :]]
    if below is not None and not isinstance(below, dict):
        raise InvalidInputError(f"--set {key}: {head!r} is below {below!r}, which has no keys")
    if below is None:
        below = {"kind": default["kind"]} if isinstance(default, dict) and "kind" in default else {}
    deeper = default.get(head) if isinstance(default, dict) else None
    return {**below, head: _put(below.get(head), deeper, rest, value, key)}


def _parameter_values(declared: Any) -> dict[str, Any]:
    if not isinstance(declared, dict):
        return {}
    return {
        name: entry["default"]
        for name, entry in declared.items()
        if isinstance(entry, dict) and "default" in entry
    }


def _substitute(
    value: Any, values: Mapping[str, Any], path: tuple[str, ...], problems: dict[str, str]
) -> Any:
    if isinstance(value, dict):
        return {key: _substitute(below, values, (*path, str(key)), problems) for key, below in value.items()}
    if isinstance(value, list):
        return [_substitute(below, values, (*path, str(i)), problems) for i, below in enumerate(value)]
    if not isinstance(value, str):
        return value
    for name in _REFERENCE.findall(value):
        if name not in values:
            place = ".".join(path)
            problems[place] = f"{place}: got ${{{name}}}, need one of the parameters {sorted(values)}"
            return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        return values[whole[1]]
    return _REFERENCE.sub(lambda match: str(values[match[1]]), value)
