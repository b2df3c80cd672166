"""Great Expectations, imported without what only others use of it: half the time.

Import this only where something is checked: it still takes more than a second.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final, final

from components.core.importing import importing

_LATER: Final = ("altair", "jsonschema", "scipy.stats")  # for graphs, texts in JSON and distributions
_NEVER: Final = ("boto3", "botocore", "google.auth", "google.oauth2", "sqlalchemy")  # extras: other sources


@final
class _Later(ModuleType):
    """In the place of a module until something of it is used."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def _without_the_rest() -> Iterator[None]:
    """What has been imported before stays as it is."""
    places: dict[str, ModuleType | None] = {name: _Later(name) for name in _LATER}
    places |= dict.fromkeys(_NEVER)  # with None there, an import fails as if it was not installed
    ours = {name: place for name, place in places.items() if name not in sys.modules}
    sys.modules.update(ours)  # type: ignore[arg-type]  # None is allowed: see importlib's documentation
    try:
        yield
    finally:
        for name, place in ours.items():
            if name in sys.modules and sys.modules[name] is place:
                del sys.modules[name]


with importing(), _without_the_rest():
    import great_expectations as gx
    from great_expectations import expectations
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.registry import get_expectation_impl
    from great_expectations.render.renderer.inline_renderer import InlineRenderer

__all__ = [
    "DataContextConfig",
    "ExpectationConfiguration",
    "InMemoryStoreBackendDefaults",
    "InlineRenderer",
    "expectations",
    "get_expectation_impl",
    "gx",
]
