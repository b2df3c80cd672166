"""YAML as a recipe's author expects it: no key twice, and numbers such as 1e-3 are numbers."""

import re
from typing import Any, TextIO

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, ScalarNode


class _Strict(yaml.constructor.SafeConstructor):
    """An error where PyYAML would keep the last of two keys."""

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        first_lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            line = key.start_mark.line + 1
            if key.value in first_lines:
                first = first_lines[key.value]
                raise ConstructorError(
                    None, None, f"the key {key.value!r} stands twice, first on line {first}", key.start_mark
                )
            first_lines[key.value] = line
        return super().construct_mapping(node, deep)


class _Loader(_Strict, yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2's floats."""


class _FastLoader(_Strict, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same on libyaml, ten times as fast, where PyYAML was built with it."""


for _kind in (_Loader, _FastLoader):
    _kind.add_implicit_resolver(  # YAML 1.1 wants a dot and a signed exponent
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
        list("-+.0123456789"),
    )


def parse_yaml(text: str | TextIO) -> Any:
    """The first document of a text or an open file; a file's name stands in the errors.

    Raises:
        yaml.YAMLError: it is not YAML, or a key stands twice in one mapping.
        UnicodeDecodeError: the file is not UTF-8.
    """
    try:
        return yaml.load(text, _FastLoader)  # noqa: S506  # a SafeLoader
    except yaml.YAMLError:
        if not isinstance(text, str):
            text.seek(0)
        return yaml.load(text, _Loader)  # noqa: S506  # says where and shows the line
