"""YAML as a recipe's author expects it: no key twice; numbers such as 1e-3 are numbers; of bounded size."""

import re
from typing import Any, Final, TextIO

import yaml
from yaml.constructor import ConstructorError
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    NodeEvent,
)
from yaml.nodes import MappingNode, Node, ScalarNode

_MAX_CHARACTERS: Final = 1 << 20
_MAX_DEPTH: Final = 50
_MAX_VALUES: Final = 100_000  # with what stands behind each alias


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

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:  # a number of thousands of digits, the 31st of February
            raise ConstructorError(None, None, str(error), node.start_mark) from error


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
        yaml.YAMLError: it is not YAML, a key stands twice in one mapping, or it is larger or deeper than any
            document of ours.
        UnicodeDecodeError: the file is not UTF-8.
    """
    name = getattr(text, "name", None)
    content = text if isinstance(text, str) else text.read(_MAX_CHARACTERS + 1)
    if len(content) > _MAX_CHARACTERS:
        raise yaml.YAMLError(f"got more than {_MAX_CHARACTERS:,} characters")
    try:
        _measure(content)
        return yaml.load(content, _FastLoader)  # noqa: S506  # a SafeLoader
    except _TooLargeError:
        raise
    except yaml.YAMLError:
        loader = _Loader(content)
        loader.name = name or loader.name
        return loader.get_single_data()  # says where and shows the line


def _measure(content: str) -> None:
    """Look at a document's size before it is built."""
    behind: dict[str | None, int] = {}  # anchor → the values behind it
    open_here: list[tuple[str | None, int]] = []  # of each collection its anchor, and the values before it
    values = 0
    for event in yaml.parse(content, _FastLoader):
        if isinstance(event, AliasEvent):
            if event.anchor in {anchor for anchor, _ in open_here}:
                raise _refused(f"the alias *{event.anchor} stands within what it stands for", event)
            values += behind.get(event.anchor, 0)
        elif isinstance(event, CollectionStartEvent):
            open_here.append((event.anchor, values))
        elif isinstance(event, CollectionEndEvent):
            anchor, before = open_here.pop()
            if anchor is not None:
                behind[anchor] = values - before
        if isinstance(event, NodeEvent):
            values += 1
        if len(open_here) > _MAX_DEPTH:
            raise _refused(f"got more than {_MAX_DEPTH} levels", event)
        if values > _MAX_VALUES:
            raise _refused(f"got more than {_MAX_VALUES:,} values", event)


class _TooLargeError(ConstructorError):
    """Must not even be built."""


def _refused(why: str, event: Event) -> _TooLargeError:
    return _TooLargeError(None, None, why, event.start_mark)  # type: ignore[arg-type]  # libyaml's marks
