"""From the bytes of a Secret to text and plain values, within bounds and with a reason for whatever fails."""

from __future__ import annotations

import json
import math
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from textwrap import shorten
from typing import Any

from exporter.model.reason import Flaw
from exporter.publishing.complaints import Flawed

LARGEST = 128 << 10
DEEPEST = 50
_LONGEST_DETAIL = 200  # a text of nothing but mistakes has thousands

# Reads what is not JSON; says what is wrong by a ValueError whose text quotes nothing.
Parse = Callable[[str], object]

_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+={0,2}")
_SHORTEST_BASE64 = 16  # shorter is no document, but may be a word such as `null`


def decoded(encoded: str) -> str:
    """The text of a value as the API carries it."""
    # Four characters carry three bytes; a little more is line breaks.
    if len(encoded) > LARGEST * 3 // 2:
        raise Flawed(Flaw.SYNTAX, f"larger than {LARGEST >> 10} KiB")
    return _text(encoded, "not base64")


def _text(encoded: str, complaint: str) -> str:
    try:
        raw = b64decode("".join(encoded.split()), validate=True)
    except ValueError:
        raise Flawed(Flaw.ENCODING, complaint) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Flawed(Flaw.ENCODING, "not UTF-8") from None
    if "\x00" in text:
        raise Flawed(Flaw.ENCODING, "not UTF-8: it holds a zero character, as UTF-16 does")
    return text


def document(text: str, parse: Parse | None = None) -> Mapping[str, Any]:
    """The mapping a text holds: JSON, base64 of it once more, or what `parse` reads."""
    text = text.strip()
    if not text:
        raise Flawed(Flaw.MISSING, "empty")
    if len(text) >= _SHORTEST_BASE64 and _BASE64.fullmatch(text):
        text = _text(text, "neither an object nor base64 of one").strip()
    values = _json(text) if parse is None or text.startswith(("{", "[")) else _parsed(text, parse)
    if not isinstance(values, dict):
        raise Flawed(Flaw.SYNTAX, "expected one object with keys and values")
    if _too_deep(values):
        raise Flawed(Flaw.SYNTAX, f"nested deeper than {DEEPEST} levels")
    return values


def _json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_finite, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise Flawed(Flaw.SYNTAX, f"not JSON: line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Flawed(Flaw.SYNTAX, f"nested deeper than {DEEPEST} levels") from None
    except ValueError:  # a whole number of thousands of digits
        raise Flawed(Flaw.SYNTAX, "a number is too long") from None


def _parsed(text: str, parse: Parse) -> object:
    try:
        return parse(text)
    except ValueError as error:
        raise Flawed(Flaw.SYNTAX, shorten(str(error), _LONGEST_DETAIL, placeholder=" …")) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise Flawed(Flaw.SYNTAX, "a key is given twice")
    return values


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise Flawed(Flaw.SYNTAX, "NaN and infinity are no numbers of JSON")
    return value


def _too_deep(value: object) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        below = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [child for children in below for child in children]
        if not level:
            return False
    return True
