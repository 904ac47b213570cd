"""Nodes to plain values, refusing what YAML 1.1 reads otherwise than the eye does."""

from __future__ import annotations

import math
import re
from typing import Any

from exporter.config.environment import Expansion
from exporter.config.nodes import Node
from exporter.config.problems import Path, Place, Report, shown_key

_QUOTE = "put quotes around it if it is text"
_TAGS = "tags (!…) are not supported"
_BOOLEAN_WORD = f"YAML 1.1 reads this word as a boolean: write true or false, or {_QUOTE}"
_NUMBER_OR_TEXT = f"text to YAML 1.1 and a number to others: write it without leading 0 and exponent, or {_QUOTE}"
_BASE_60 = f"YAML 1.1 reads this as a number of base 60: {_QUOTE}"
_UNDERSCORE = f"YAML 1.1 ignores the _ in this number: leave it out, or {_QUOTE}"
_OTHER_NUMBER = f"a number in a form that is not supported: write it in decimal, or {_QUOTE}"
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,29})")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,16}")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
# Plain texts that YAML 1.2 and most eyes take for numbers, and YAML 1.1 for text.
_NUMBER_ELSEWHERE = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+")


class Reading:
    """Turns one tree of nodes into plain values and notes the place of each."""

    def __init__(self, report: Report, expansion: Expansion) -> None:
        self._report = report
        self._expansion = expansion

    def root(self, node: Node) -> Any:
        """The value of the whole document."""
        self._report.places[()] = Place(node.line, node.column, 1, 1, "")
        return self._value(node, ())

    def _value(self, node: Node, path: Path) -> Any:
        if isinstance(node.value, str):
            return self._scalar(node, node.value, path)
        if node.tag not in ("seq", "map"):
            self._report.broken(path, _TAGS)
            return None
        if node.tag == "seq":
            return [self._item(item, (*path, index)) for index, item in enumerate(node.value)]  # type: ignore[arg-type]
        return self._mapping(node.value, path)  # type: ignore[arg-type]

    def _item(self, node: Node, path: Path) -> Any:
        self._report.places[path] = Place(node.line, node.column, node.line, node.column, "")
        return self._value(node, path)

    def _mapping(self, pairs: list[tuple[Node, Node]], path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, node in pairs:
            key = self._key(key_node, path)
            if key is None:
                continue
            here = (*path, key)
            # `{url "https://…"}` and `{Authorization, token}` make keys of what was meant as a value.
            never_a_key = node.empty and node.start == key_node.end
            name = "?" if never_a_key else shown_key(key)
            if key in values:
                message = f"duplicate key: line {first[key]} has it already"
                self._report.add_at(here, message, key_node.line, key_node.column)
                continue
            self._report.places[here] = Place(node.line, node.column, key_node.line, key_node.column, name)
            first[key] = key_node.line
            values[key] = self._value(node, here)
        return values

    def _key(self, node: Node, path: Path) -> str | None:
        """The text of a key; anything else is reported as a mistake of the mapping around it."""
        complaint = "a key must be text"
        if isinstance(node.value, str):
            complaint = _complaint(node, node.value)
            if not complaint and node.tag == "str":
                return node.value
            if node.tag == "merge":
                complaint = "merge keys (<<) are not supported"
        self._report.add_at(path, complaint or f"a key must be text: {_QUOTE}", node.line, node.column)
        return None

    def _scalar(self, node: Node, text: str, path: Path) -> Any:
        if complaint := _complaint(node, text):
            self._report.broken(path, complaint)
            return None
        match node.tag:
            case "null":
                return None
            case "bool":
                return _BOOLEANS[text]
            case "int":
                return int(text, 16) if "x" in text else int(text)
            case "float":
                return float(text)
        expanded, complaints = self._expansion.expand(text)
        for complaint in complaints:
            self._report.broken(path, complaint)
        return None if complaints else expanded


def _complaint(node: Node, text: str) -> str:
    """Why a scalar cannot be taken for what it seems to be; empty if it can."""
    match node.tag:
        case "value" | "merge":
            return ""
        case "str":
            return _NUMBER_OR_TEXT if not node.quoted and _NUMBER_ELSEWHERE.fullmatch(text) else ""
        case "null":
            return "" if text in _NULLS else _TAGS
        case "bool":
            return "" if text in _BOOLEANS else _BOOLEAN_WORD
        case "int":
            return _integer_complaint(text)
        case "float":
            return _float_complaint(text)
        case "timestamp":
            return f"YAML 1.1 reads this as a date: {_QUOTE}"
    return _TAGS


def _integer_complaint(text: str) -> str:
    if _DECIMAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        return ""
    if re.match(r"[-+]?0[0-7]", text):
        return f"YAML 1.1 reads this as an octal number: write it without leading 0, or {_QUOTE}"
    return _unusual(text)


def _float_complaint(text: str) -> str:
    if _FLOAT.fullmatch(text):
        return "" if math.isfinite(float(text)) else "the number is too large"
    return _unusual(text)


def _unusual(text: str) -> str:
    if ":" in text:
        return _BASE_60
    return _UNDERSCORE if "_" in text else _OTHER_NUMBER
