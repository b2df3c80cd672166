"""The JSON Schema of a recipe as it is written: with `${name}` wherever a value may stand."""

from collections.abc import Mapping
from typing import Any, Final

from components.core.recipe import RECIPES
from components.core.strategy import Config

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = {
    "title": "Reference",
    "description": "the value of one of the recipe's parameters",
    "type": "string",
    "pattern": r"^\$\{[a-z][a-z0-9_]*\}$",
}
_ABOUT = {"title", "description", "default"}


def recipe_schema() -> dict[str, Any]:
    """What `recloop schema` prints, for editors that complete and check YAML by it."""
    schema = chosen_by("task", RECIPES, "recloop recipe")
    for name, definition in schema["$defs"].items():
        if name != "Parameter":
            _with_references(definition)
    schema["$defs"]["Reference"] = _REFERENCE
    return schema


def chosen_by(key: str, models: Mapping[str, type[Config]], title: str) -> dict[str, Any]:
    """The JSON Schema of a document whose value at `key` says which of several models it is one of; without
    it, of the one that has it as its default."""
    definitions: dict[str, Any] = {}
    places: dict[str, dict[str, str]] = {}
    for value, model in models.items():
        schema = as_written(model, model.__name__)
        del schema["$schema"]
        definitions |= schema.pop("$defs") | {model.__name__: schema}
        places[value] = {"$ref": f"#/$defs/{model.__name__}"}
    (by_default,) = (value for value, model in models.items() if model.model_fields[key].default == value)
    chosen = [
        {"if": {"properties": {key: {"const": value}}, "required": [key]}, "then": place}
        for value, place in places.items()
        if value != by_default
    ]
    others = {"not": {"anyOf": [choice["if"] for choice in chosen]}}
    return {
        "$schema": _DRAFT,
        "title": title,
        "type": "object",
        "properties": {key: {"enum": list(models), "default": by_default}},
        "allOf": [*chosen, {"if": others, "then": places[by_default]}],
        "$defs": definitions,
    }


def as_written(model: type[Config], title: str) -> dict[str, Any]:
    """The JSON Schema of a document of a model: where a kind chooses among models it must be there."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs")
    chosen_by_kind = {
        path.rsplit("/", 1)[1]
        for model in (schema, *definitions.values())
        for node in model["properties"].values()
        for union in (node, node.get("items", {}), *node.get("patternProperties", {}).values())
        for path in union.get("discriminator", {}).get("mapping", {}).values()
    }
    for name in chosen_by_kind:
        chosen = definitions[name]
        chosen["required"] = ["kind", *chosen.get("required", [])]
        del chosen["properties"]["kind"]["default"]
    return {
        "$schema": _DRAFT,
        **schema,
        "title": title,
        "$defs": definitions,
    }


def _with_references(model: dict[str, Any]) -> None:
    properties = model["properties"]
    for name in properties.keys() - {"kind"}:
        properties[name] = _or_reference(properties[name])


def _or_reference(node: dict[str, Any]) -> dict[str, Any]:
    """A node that a reference satisfies too where a scalar does: in lists and mappings, in each value."""
    constraints = {key: value for key, value in node.items() if key not in _ABOUT}
    if constraints.get("type") in {"integer", "number", "boolean"} or (
        constraints.get("type") == "string" and len(constraints) > 1
    ):
        about = {key: value for key, value in node.items() if key in _ABOUT}
        return {**about, "anyOf": [constraints, {"$ref": "#/$defs/Reference"}]}
    result = dict(node)
    for key in ("anyOf", "prefixItems"):
        if key in node:
            result[key] = [_or_reference(part) for part in node[key]]
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            result[key] = _or_reference(node[key])
    if "patternProperties" in node:
        values = node["patternProperties"]
        result["patternProperties"] = {pattern: _or_reference(value) for pattern, value in values.items()}
        result["additionalProperties"] = False
    return result
