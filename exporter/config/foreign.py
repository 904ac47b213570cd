"""YAML that was written for another program: read as that program means it, within our bounds.

Nothing is expanded, because its writer may not see the daemon's environment; words and numbers that YAML 1.1 gives a
second meaning stay text, because where they stand only the other program knows what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from exporter.config.nodes import Malformed, Node, read

_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False
}  # fmt: skip
_WHOLE_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_MERGE = "merge"

Pairs = list[tuple[Node, Node]]


def read_foreign(text: str) -> Any:
    """The plain values of the only document in the text; a ValueError says what is wrong and quotes nothing."""
    try:
        root = read(text)
        return None if root is None else _value(root)
    except Malformed as error:
        raise ValueError(f"not YAML: line {error.line}, column {error.column}: {error.message}") from None


def _value(node: Node) -> Any:
    if isinstance(node.value, str):
        return node.value if node.quoted else _plain(node.value)
    if node.tag == "seq":
        return [_value(item) for item in _nodes(node)]
    if node.tag != "map":
        raise Malformed("tags (!…) are not supported", node.line, node.column)
    values: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for key, child in _pairs(node):
        if key.tag == _MERGE:
            for source in _merged(child):
                merged = _value(source) | merged
        elif not isinstance(key.value, str):
            raise Malformed("a key must be text", key.line, key.column)
        elif key.value in values:
            raise Malformed("a key is given twice", key.line, key.column)
        else:
            values[key.value] = _value(child)
    return merged | values


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else text


def _merged(node: Node) -> Iterator[Node]:
    """The mappings that `<<` takes keys from; the first that has a key gives it."""
    for source in _nodes(node) if node.tag == "seq" else [node]:
        if source.tag != "map":
            raise Malformed("<< takes a mapping or a list of them", source.line, source.column)
        yield source


def _nodes(node: Node) -> list[Node]:
    return node.value  # type: ignore[return-value]  # what the parser gave the tag seq is a list of nodes


def _pairs(node: Node) -> Pairs:
    return node.value  # type: ignore[return-value]  # likewise
