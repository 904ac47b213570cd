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
# What merge keys may copy: a few lines could otherwise stand for a billion values.
MOST_MERGED = 10_000


def foreign_values(text: str, name: str) -> Any:
    """The plain values of a document, merge keys applied; raises ConfigError if it is not YAML."""
    try:
        root = read(text)
        return _Reading().value(root) if root is not None else None
    except Malformed as error:
        raise ConfigError([Problem(error.message, "", name, error.line, error.column)]) from None


class _Reading:
    def __init__(self) -> None:
        self._merged = 0

    def value(self, node: Node) -> Any:
        if isinstance(node.value, str):
            return _scalar(node.value, node)
        if node.value and isinstance(node.value[0], Node):
            return [self.value(item) for item in node.value if isinstance(item, Node)]
        pairs = [pair for pair in node.value if isinstance(pair, tuple)]
        if not pairs:
            return [] if node.tag == "seq" else {}
        return self._mapping(pairs)

    def _mapping(self, pairs: list[tuple[Node, Node]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        inherited: dict[str, Any] = {}
        for key, node in pairs:
            if key.tag == "merge" and key.value == "<<":
                self._merge(inherited, self.value(node), node)
            elif isinstance(key.value, str):
                values[key.value] = self.value(node)
        return inherited | values

    def _merge(self, inherited: dict[str, Any], values: Any, node: Node) -> None:
        """Of several mappings the first that has a key decides."""
        for one in values if isinstance(values, list) else [values]:
            if isinstance(one, dict):
                self._merged += len(one)
                if self._merged > MOST_MERGED:
                    raise Malformed("merge keys expand to too many values", node.line, node.column)
                for key, value in one.items():
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
