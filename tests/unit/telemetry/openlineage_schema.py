"""OpenLineage's schema as its client knows it: its classes are made from the published schema."""

import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any, Final, Union

import attr
from openlineage.client import facet_v2
from openlineage.client.event_v2 import RunEvent

_FACETS: Final = {
    cls._get_schema(): cls
    for module in vars(facet_v2).values()
    if inspect.ismodule(module)
    for _, cls in inspect.getmembers(module, inspect.isclass)
    if issubclass(cls, facet_v2.BaseFacet)
}
_JSON: Final = {"float": (int, float), "int": (int,), "str": (str,), "bool": (bool,)}


def mistakes(event: Mapping[str, Any]) -> list[str]:
    """What a posted event has that the schema has not, lacks of what it needs, or has of another type."""
    return list(_object("event", event, RunEvent))


def _object(place: str, found: Any, cls: Any) -> typing.Iterator[str]:
    if not isinstance(found, dict):
        yield f"{place}: not an object"
        return
    fields = {one.name: one for one in attr.fields(attr.resolve_types(cls, _names(cls)))}
    yield from (f"{place}.{name}: unknown" for name in found.keys() - fields.keys())
    for name, one in fields.items():
        if name in found:
            yield from _value(f"{place}.{name}", found[name], one.type)
        elif one.default is attr.NOTHING:
            yield f"{place}.{name}: missing"


def _names(cls: type) -> dict[str, Any]:
    """What the annotations of a class and of its bases may name."""
    modules = [inspect.getmodule(base) for base in reversed(cls.__mro__)]
    known = [vars(module) for module in (typing, *filter(None, modules))]
    return {name: value for names in known for name, value in names.items()}


def _value(place: str, found: Any, kind: Any) -> typing.Iterator[str]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {Union, types.UnionType}:
        if found is None and type(None) in arguments:
            return
        (kind,) = [argument for argument in arguments if argument is not type(None)]
        yield from _value(place, found, kind)
    elif origin is list:
        for number, entry in enumerate(found):
            yield from _value(f"{place}[{number}]", entry, arguments[0])
    elif origin is dict:
        for name, entry in found.items():
            yield from _value(f"{place}.{name}", entry, arguments[1])
    elif attr.has(kind) and issubclass(kind, facet_v2.BaseFacet):
        yield from _facet(place, found, kind)
    elif attr.has(kind):
        yield from _object(place, found, kind)
    elif kind is not Any and hasattr(kind, "__members__"):
        if found not in kind.__members__:
            yield f"{place}: got {found!r}"
    elif kind is not Any and (
        not isinstance(found, _JSON[kind.__name__]) or (kind is not bool and isinstance(found, bool))
    ):
        yield f"{place}: got {found!r}, need {kind.__name__}"


def _facet(place: str, found: Any, base: Any) -> typing.Iterator[str]:
    cls = _FACETS.get(found.get("_schemaURL", ""))
    if cls is None:
        yield f"{place}: its schema {found.get('_schemaURL')!r} is none"
    elif not issubclass(cls, base):
        yield f"{place}: a {cls.__name__} stands where a {base.__name__} must"
    else:
        yield from _object(place, found, cls)
