"""From YAML to a `Recipe`: parameters, overrides, and every mistake told at once."""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from components.core.errors import InvalidInputError
from components.core.recipe import Recipe, absolute_uri

_REFERENCE = re.compile(r"\$\{([^}]*)\}")


def read_recipe(path: Path | str, overrides: Sequence[str] = ()) -> Recipe:
    """Read, complete and validate a recipe.

    Args:
        path: the YAML file.
        overrides: `key=value`, where key is a declared parameter or a dotted path such as
            `training.model.dim`, and value is YAML.

    Raises:
        InvalidInputError: with one line for each mistake: the key's path, the value, what is allowed.
    """
    path = Path(path)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"recipe {path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"recipe {path}: not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise InvalidInputError(f"recipe {path}: got {type(document).__name__}, need a mapping of sections")
    return build_recipe(document, overrides, place=str(path))


def build_recipe(document: Mapping[str, Any], overrides: Sequence[str] = (), *, place: str) -> Recipe:
    """`read_recipe` for a document that is already parsed; `place` names it in errors."""
    document = _with_overrides(document, [_parse_override(text) for text in overrides])
    values = _parameter_values(document.get("parameters"))
    problems: list[str] = []
    body = {
        key: value if key == "parameters" else _substitute(value, values, (key,), problems)
        for key, value in document.items()
    }
    try:
        recipe = Recipe.model_validate(body)
    except ValidationError as error:
        problems += [_describe(details) for details in error.errors()]
    if problems:
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        raise InvalidInputError(f"recipe {place}: {count}\n" + "\n".join(f"  {text}" for text in problems))
    return recipe


def source_locations(recipe: Recipe) -> dict[str, str]:
    """Input name → absolute URI or pattern of what the recipe's ingest reads."""
    return {name: absolute_uri(place) for name, place in recipe.source.locations().items()}


def _parse_override(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InvalidInputError(f"--set {text!r}: need key=value, such as training.model.dim=32")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InvalidInputError(f"--set {text!r}: the value is not valid YAML") from error


def _with_overrides(document: Mapping[str, Any], overrides: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(document)
    declared = result.get("parameters") or {}
    for key, value in overrides:
        if isinstance(declared, dict) and key in declared:
            previous = declared[key]
            declared = {
                **declared,
                key: {**previous, "default": value} if isinstance(previous, dict) else {"default": value},
            }
            result["parameters"] = declared
        else:
            _set(result, key.split("."), value, key)
    return result


def _set(mapping: dict[str, Any], path: Sequence[str], value: Any, key: str) -> None:
    head, *rest = path
    if not rest:
        mapping[head] = value
        return
    below = mapping.get(head)
    if below is not None and not isinstance(below, dict):
        raise InvalidInputError(f"--set {key}: {head} is {below!r}, which has no keys")
    mapping[head] = dict(below or {})
    _set(mapping[head], rest, value, key)


def _parameter_values(declared: Any) -> dict[str, Any]:
    if not isinstance(declared, dict):
        return {}
    return {
        name: entry["default"]
        for name, entry in declared.items()
        if isinstance(entry, dict) and "default" in entry
    }


def _substitute(value: Any, values: Mapping[str, Any], path: tuple[str, ...], problems: list[str]) -> Any:
    if isinstance(value, dict):
        return {key: _substitute(below, values, (*path, str(key)), problems) for key, below in value.items()}
    if isinstance(value, list):
        return [_substitute(below, values, (*path, str(i)), problems) for i, below in enumerate(value)]
    if not isinstance(value, str):
        return value
    for name in _REFERENCE.findall(value):
        if name not in values:
            problems.append(f"{'.'.join(path)}: got ${{{name}}}, need one of the parameters {sorted(values)}")
            return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        return values[whole[1]]
    return _REFERENCE.sub(lambda match: str(values[match[1]]), value)


def _describe(error: Any) -> str:
    """One line for one pydantic error: path, value, what is allowed."""
    path = _readable_path(error)
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = _allowed_keys(error["loc"])
        close = difflib.get_close_matches(str(error["loc"][-1]), allowed, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"{path}: unknown key{hint} (allowed: {', '.join(allowed)})"
    if kind == "missing":
        return f"{path}: missing"
    if kind == "union_tag_invalid":
        return f"{path}.kind: got {context['tag']!r}, need one of {context['expected_tags']}"
    if kind == "union_tag_not_found":
        return f"{path}.kind: missing"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if kind == "value_error":
        return f"{path}: {message}" if path else message
    return f"{path}: got {value!r}, need {message[:1].lower()}{message[1:]}"


def _readable_path(error: Any) -> str:
    return ".".join(_walk(error["loc"])[0])


def _allowed_keys(location: Sequence[str | int]) -> list[str]:
    return sorted(_walk(location[:-1])[1])


def _walk(location: Sequence[str | int]) -> tuple[list[str], set[str]]:
    """The location without the tags that unions put in, and the keys allowed there."""
    schema = Recipe.model_json_schema()
    definitions = schema["$defs"]
    path: list[str] = []
    node: dict[str, Any] = schema
    for part in location:
        node = _resolve(node, definitions)
        if "properties" in node and part in node["properties"]:
            node, step = node["properties"][part], True
        elif "oneOf" in node or "anyOf" in node:
            node, step = _alternative(node, part, definitions)
        elif isinstance(part, int) and ("items" in node or "prefixItems" in node):
            node, step = node.get("items", {}), True
        elif isinstance(node.get("additionalProperties"), dict):
            node, step = node["additionalProperties"], part != "[key]"
        else:
            node, step = {}, not str(part).endswith("]")
        if step:
            path.append(str(part))
    return path, set(_resolve(node, definitions).get("properties", {}))


def _resolve(node: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = definitions[node["$ref"].rsplit("/", 1)[1]]
    return node


def _alternative(
    node: dict[str, Any], part: str | int, definitions: Mapping[str, Any]
) -> tuple[dict[str, Any], bool]:
    """What `part` selects in a union: an alternative by tag or class name (no key), else a key of one."""
    mapping = node.get("discriminator", {}).get("mapping", {})
    if part in mapping:
        return _resolve({"$ref": mapping[part]}, definitions), False
    alternatives = [(option, _resolve(option, definitions)) for option in node.get("oneOf") or node["anyOf"]]
    for option, resolved in alternatives:
        if option.get("$ref", "").endswith(f"/{part}"):
            return resolved, False
        if part in resolved.get("properties", {}):
            return resolved["properties"][part], True
        if isinstance(resolved.get("additionalProperties"), dict) and not isinstance(part, int):
            return resolved["additionalProperties"], True
    return {}, False
