"""YAML and JSON as people mean them: what a usual reader drops or changes in silence is refused with its line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NoReturn

import yaml

from mamba_narrative.errors import FileFormatError
from mamba_narrative.io import read_text

_MOST_CHARACTERS = 1_000_000
_MOST_VALUES = 100_000
_DEEPEST = 50
# Tabs between values, and characters in text that YAML wants escaped.
_IN_JSON_ALONE = re.compile(r"[^\x20-\x7e\n\r]")
# YAML 1.1 reads 010 as 8 and 1:30 as 90.
_MISREAD_NUMBER = re.compile(r"[-+]?0[0-9_]+|[-+]?[0-9_]+(:[0-9.]+)+")


def read_yaml(path: Path) -> Any:
    """The value of a YAML or JSON file: one document of maps, lists, text, numbers, true, false, null and dates.

    Raises UserError where it cannot be read, and FileFormatError with path and line where it is not valid, where a key
    is there twice, for tags (``!!python/...``), numbers YAML 1.1 takes for others (``010``, ``1:30``), an alias that
    leads into itself, and what is nested or large beyond any configuration, aliases written out.
    """
    return parse_yaml(read_text(path), str(path))


def parse_yaml(text: str, name: str) -> Any:
    """The value of ``text``, which faults call ``name``; see ``read_yaml``."""
    if len(text) > _MOST_CHARACTERS:
        raise FileFormatError(f"{name}: {len(text):,} characters; expected at most {_MOST_CHARACTERS:,}")
    as_json = _json_value(text)
    if as_json is not None:
        text = _IN_JSON_ALONE.sub(lambda match: " " if match[0] == "\t" else json.dumps(match[0])[1:-1], text)
    try:
        _check_shape(text, name)
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _Check(name, loader).size(node, ())
        return loader.construct_document(node) if as_json is None else as_json
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FileFormatError(f"{name}:{line}: not valid YAML ({error.problem or error.context})") from None
    except yaml.YAMLError as error:
        raise FileFormatError(f"{name}: not valid YAML ({error})") from None


def _json_value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _check_shape(text: str, name: str) -> None:
    """Refuse tags, several documents and deep nesting before anything is built of them."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            _refuse(name, event, f"nested more than {_DEEPEST} times")
        if getattr(event, "tag", None) is not None:
            _refuse(name, event, f"the tag {event.tag!r} is not used here; write the plain value, text in quotes")


class _Check:
    """What is wrong with a document, told with path, line and key."""

    def __init__(self, name: str, loader: yaml.SafeLoader) -> None:
        self._name, self._loader = name, loader
        self._sizes: dict[yaml.Node, int | None] = {}

    def size(self, node: yaml.Node, keys: tuple[str, ...]) -> int:
        """Number of values in ``node`` with all aliases written out."""
        if node in self._sizes:
            if (size := self._sizes[node]) is None:
                _refuse(self._name, node, "an alias leads into itself")
            return size
        self._sizes[node] = None
        if isinstance(node, yaml.MappingNode):
            self._refuse_keys_there_twice(node, keys)
            size = 1 + sum(self.size(value, (*keys, key.value)) for key, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            size = 1 + sum(self.size(item, (*keys, str(number))) for number, item in enumerate(node.value))
        else:
            self._scalar(node)
            size = 1
        if size > _MOST_VALUES:
            _refuse(self._name, node, f"stands for more than {_MOST_VALUES:,} values with its aliases written out")
        self._sizes[node] = size
        return size

    def _refuse_keys_there_twice(self, node: yaml.MappingNode, keys: tuple[str, ...]) -> None:
        lines: dict[object, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                _refuse(self._name, key, "a key must be a word")
            if (value := self._scalar(key)) in lines:
                whole = ".".join((*keys, key.value))
                _refuse(self._name, key, f"{whole} is there twice, first in line {lines[value]}; keep one of the two")
            lines[value] = key.start_mark.line + 1

    def _scalar(self, node: yaml.Node) -> object:
        if node.tag == "tag:yaml.org,2002:merge":
            return node.value
        try:
            value = self._loader.construct_object(node)
        except ValueError as error:
            _refuse(self._name, node, f"{node.value[:40]!r} is no value that can be read ({error})")
        if isinstance(value, int | float) and _MISREAD_NUMBER.fullmatch(node.value):
            _refuse(self._name, node, f"YAML reads {node.value} as {value}; write {value}, or text in quotes")
        return value


def _refuse(name: str, at: Any, what: str) -> NoReturn:
    raise FileFormatError(f"{name}:{at.start_mark.line + 1}: {what}")
