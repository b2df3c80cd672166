"""Configs and the registry of strategies.

A strategy (a model, sampler, loss, searcher, …) is a frozen config with a literal `kind` and the lazy
path of its implementation. The union of the configs in the recipe *is* the registry: naming a kind
there makes it known to recipes, JSON Schema and conformance tests at once, and importing it costs
nothing until it is loaded.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict

from components.core.importing import importing


class Unkeyed:
    """Marks a field, by `Annotated[…, Unkeyed()]`, that does not change what a stage produces: where
    the data lies (its content is hashed instead), or what is only recorded."""


class Config(BaseModel):
    """A frozen piece of a recipe. Unknown keys, NaN and infinities are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def identity(self) -> dict[str, Any]:
        """The parameters that a cache key is made of: plain JSON values, without `Unkeyed` fields."""
        document = self.model_dump(mode="json")
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if any(isinstance(mark, Unkeyed) for mark in field.metadata):
                del document[name]
            elif isinstance(value, Config):
                document[name] = value.identity()
        return document


class Strategy(Config):
    """A config that stands for an implementation. Subclasses add `kind: Literal[…]`."""

    implementation: ClassVar[str]
    kind: str = ""  # a literal in every subclass

    @classmethod
    def load(cls) -> Callable[..., Any]:
        """Import and return the implementation: a class or function that takes this config first."""
        return load_object(cls.implementation)  # type: ignore[no-any-return]  # the path is data


def load_object(path: str) -> Any:
    """The object at `package.module:name`."""
    module, _, name = path.partition(":")
    with importing():
        return getattr(import_module(module), name)


def registered(union: Any) -> tuple[type[Strategy], ...]:
    """Every config class in a discriminated union such as `SamplerConfig`, in its order."""
    if isinstance(union, type):  # a kind that is still alone
        return (union,)
    alternatives, *_ = get_args(union)
    return get_args(alternatives)
