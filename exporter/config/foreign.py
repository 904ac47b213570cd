"""YAML files of other programs: read within our limits, and understood as their authors' parsers do."""

from __future__ import annotations

from typing import Any

from exporter.config.nodes import Malformed, Node, read
from exporter.config.problems import ConfigError
from exporter.model.problem import Problem

_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "y"), True),
    **dict.fromkeys(("false", "no", "off", "n"), False),
}


def foreign_values(text: str, name: str) -> Any:
    """The plain values of a document, merge keys applied; raises ConfigError if it is not YAML."""
    try:
        root = read(text)
    except Malformed as error:
        raise ConfigError([Problem(error.message, "", name, error.line, error.column)]) from None
    return _value(root) if root is not None else None


def _value(node: Node) -> Any:
    if isinstance(node.value, str):
        return _scalar(node.value, node)
    items = [item for item in node.value if isinstance(item, Node)]
    pairs = [pair for pair in node.value if isinstance(pair, tuple)]
    return _mapping(pairs) if pairs or (not items and node.tag != "seq") else [_value(item) for item in items]


def _mapping(pairs: list[tuple[Node, Node]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    inherited: dict[str, Any] = {}
    for key, node in pairs:
        if key.tag == "merge" and key.value == "<<":
            _merge(inherited, _value(node))
        elif isinstance(key.value, str):
            values[key.value] = _value(node)
    return inherited | values


def _merge(inherited: dict[str, Any], values: Any) -> None:
    """Of several mappings the first that has a key decides. How much that can be is bounded by what aliases may be."""
    for one in values if isinstance(values, list) else [values]:
        for key, value in one.items() if isinstance(one, dict) else ():
            inherited.setdefault(key, value)


def _scalar(text: str, node: Node) -> Any:
    """Numbers and booleans where no quotes say otherwise; whatever else is text, such as dates."""
    try:
        match node.tag:
            case "null":
                return None
            case "bool":
                return _WORDS[text.lower()]
            case "int":
                return int(text.replace("_", ""), 0)
            case "float":
                return float(text.replace("_", ""))
    except (KeyError, ValueError):
        pass
    return text
