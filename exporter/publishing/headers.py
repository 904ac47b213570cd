"""Headers written as one text: `name=value,name=value`, or lines of `name: value`."""

from __future__ import annotations

import re

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_LINE = re.compile(rf"\s*(?P<quote>[\"']?)(?P<name>{_NAME})(?P=quote)\s*:\s*(?P<value>.*)")
_PAIR = re.compile(rf"\s*(?P<name>{_NAME})\s*=\s*(?P<value>.*)")
# A comma inside a value is not followed by a name and an equals sign.
_BETWEEN_PAIRS = re.compile(rf",(?=\s*{_NAME}\s*=)")

Pair = tuple[str, str]


def read_headers(text: str) -> tuple[list[Pair], list[str]]:
    """The headers in the order written, and a complaint if a part of the text is none."""
    written = [pair for line in filter(str.strip, text.splitlines()) for pair in _of(line)]
    wrong = [] if None not in written else ["headers: expected name=value,name=value or lines of name: value"]
    return [pair for pair in written if pair is not None], wrong


def line_of(text: str) -> Pair | None:
    """The header a text of the form `name: value` is; None if it has another form."""
    found = _LINE.fullmatch(text)
    return (found["name"], _unquoted(found["value"].strip())) if found else None


def _of(line: str) -> list[Pair | None]:
    if (pair := line_of(line)) is not None:
        return [pair]
    found = [_PAIR.fullmatch(part) for part in _BETWEEN_PAIRS.split(line)]
    return [(pair["name"], pair["value"].strip()) if pair else None for pair in found]


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
