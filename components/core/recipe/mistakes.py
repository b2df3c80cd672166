"""One line for each mistake in a recipe: the key's path, the value, what is allowed."""

import difflib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import ValidationError

from components.core.errors import InvalidInputError
from components.core.recipe import RankingRecipe
from components.core.strategy import Config

Schema = dict[str, Any]
_VALUE_LENGTH = 80  # characters of a wrong value that are shown


def refusal(what: str, problems: Mapping[str, str]) -> InvalidInputError:
    """What to raise for all mistakes of a document."""
    count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    return InvalidInputError("\n".join([f"{what}: {count}", *(f"  {text}" for text in problems.values())]))


def describe(error: ValidationError, model: type[Config] = RankingRecipe) -> dict[str, str]:
    """Path → what is wrong there in a document of a model. A union's alternatives, tried one by one, make one
    line."""
    found: dict[str, dict[str, list[str]]] = {}  # path → problem → what is needed instead
    for details in error.errors():
        context = details.get("ctx", {})
        if details["type"] == "too_short" and context["actual_length"] < len(details["input"]):
            continue  # only because some of its items are wrong, and they have their own lines
        path, problem, need = _describe(details, _schema(model))
        for line in problem.splitlines():
            # what contradicts across sections has no path of its own: each line names its place
            found.setdefault(path or line, {}).setdefault(line, []).append(need)
    return {
        path: f"{path}: " * (path not in problems) + "; ".join(_join(*entry) for entry in problems.items())
        for path, problems in found.items()
        if not any(other.startswith(f"{path}.") for other in found)  # another alternative got further
    }


def did_you_mean(word: str, allowed: Sequence[str]) -> str:
    """A hint at the closest of the allowed words, or nothing."""
    close = difflib.get_close_matches(word, allowed, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _join(problem: str, needs: Sequence[str]) -> str:
    allowed = " or ".join(dict.fromkeys(filter(None, needs)))
    return f"{problem}, need {allowed}" if allowed else problem


def _describe(details: Any, whole: Schema) -> tuple[str, str, str]:
    """Path, problem, and what is needed (which may be empty)."""
    location, kind, context = details["loc"], details["type"], details.get("ctx", {})
    steps, schema = _walk(location, whole)
    path = ".".join(steps)
    if kind == "extra_forbidden":  # the last part is the author's own word, whatever it looks like
        section, schema = _walk(location[:-1], whole)
        allowed, key = sorted(schema.get("properties", {})), str(location[-1])
        problem = f"unknown key{did_you_mean(key, allowed)} (allowed: {', '.join(allowed)})"
        return ".".join([*section, key]), problem, ""
    if kind == "missing":
        return path, "missing", ""
    if kind == "union_tag_invalid":
        return f"{path}.kind", f"got {context['tag']!r}", f"one of {context['expected_tags']}"
    if kind == "union_tag_not_found":
        return f"{path}.kind", "missing", ""
    if kind == "value_error":
        return path, details["msg"].removeprefix("Value error, "), ""
    shown = repr(details["input"])
    if len(shown) > _VALUE_LENGTH:
        shown = shown[:_VALUE_LENGTH] + "…"
    return path, f"got {shown}", _need(details, schema)


def _need(details: Any, schema: Mapping[str, Any]) -> str:
    """pydantic's message in the words of someone who writes YAML."""
    if details["type"] in {"model_type", "model_attributes_type", "dict_type"}:
        keys = ", ".join(sorted(schema.get("properties", {})))
        return f"a mapping with the keys {keys}" if keys else "a mapping"
    if details["type"] == "tuple_type":
        return "a list"
    message = details["msg"].removeprefix("Input should be ").replace(" after validation", "")
    message = re.sub(r"^\w+ should ", "to ", message)
    return f"{message[:1].lower()}{message[1:]}"


@cache
def _schema(model: type[Config]) -> Schema:
    return model.model_json_schema()


def _walk(location: Sequence[str | int], whole: Schema) -> tuple[list[str], Schema]:
    """The location without the tags that unions put in, and the schema there."""
    definitions = whole["$defs"]
    path: list[str] = []
    node = whole
    for part in location:
        node = _resolve(node, definitions)
        if "properties" in node and part in node["properties"]:
            node, is_key = node["properties"][part], True
        elif "oneOf" in node or "anyOf" in node:
            node, is_key = _alternative(node, part, definitions)
        elif isinstance(part, int) and ("items" in node or "prefixItems" in node):
            node, is_key = node.get("items", {}), True
        elif isinstance(node.get("additionalProperties"), dict):
            node, is_key = node["additionalProperties"], part != "[key]"
        elif "patternProperties" in node:  # of a mapping whose keys must look like something
            (node,), is_key = node["patternProperties"].values(), part != "[key]"
        else:
            node, is_key = {}, not str(part).endswith("]")
        if is_key:
            path.append(str(part))
    return path, _resolve(node, definitions)


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
