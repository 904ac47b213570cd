"""Which format and encoding a client gets. Whatever it sends, it gets an answer."""

from __future__ import annotations

import re
from functools import lru_cache

from exporter.exposition.format import Format

# Prometheus sends some 400 characters. Longer ones are read, but a client that invents headers must not fill the
# memory with them; far longer ones are not worth reading.
_CACHED = 1_000
_READ = 8_000

# What is asked for, and in which version: of others we know nothing.
_KINDS = {
    ("application/openmetrics-text", None): "openmetrics",
    ("application/openmetrics-text", "1.0.0"): "openmetrics",
    ("text/plain", None): "text",
    ("text/plain", "0.0.4"): "text",
    ("text/*", None): "text",
    ("*/*", None): "text",
}
_QUALITY = re.compile(r"0(\.[0-9]*)?|1(\.0*)?")


def negotiate(accept: str | None) -> Format:
    """The format for an Accept header; text for everything that is not understood."""
    if not accept or len(accept) > _READ:
        return Format.TEXT
    return _remembered(accept) if len(accept) <= _CACHED else _choose(accept)


def _choose(accept: str) -> Format:
    """What the client likes better of what we have; text if it names neither, as it may be anybody."""
    liked = {"openmetrics": 0.0, "text": 0.0}
    for item in accept.lower().split(","):
        media, *parameters = (part.strip(" \t") for part in item.split(";"))
        kind = _KINDS.get((media, _parameter(parameters, "version")))
        quality = _quality(parameters)
        if kind is not None and quality is not None:
            liked[kind] = max(quality, liked[kind])
    return Format.OPENMETRICS if liked["openmetrics"] and liked["openmetrics"] >= liked["text"] else Format.TEXT


_remembered = lru_cache(maxsize=64)(_choose)


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether gzip may be sent, and is not liked less than plain bytes."""
    if not accept_encoding or len(accept_encoding) > _READ:
        return False
    liked: dict[str, float] = {}
    for item in accept_encoding.lower().split(","):
        coding, *parameters = (part.strip(" \t") for part in item.split(";"))
        quality = _quality(parameters)
        if quality is not None:
            # Of two statements on one coding the refusal counts: plain bytes are never wrong.
            liked[coding] = min(quality, liked.get(coding, 1.0))
    gzip = liked.get("gzip", liked.get("x-gzip", liked.get("*", 0.0)))
    return gzip > 0.0 and gzip >= liked.get("identity", 0.0)


def _quality(parameters: list[str]) -> float | None:
    """The weight of one item, 1 without any; None if it makes no sense."""
    value = _parameter(parameters, "q")
    if value is None:
        return 1.0
    return float(value) if _QUALITY.fullmatch(value) else None


def _parameter(parameters: list[str], wanted: str) -> str | None:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip(" \t") == wanted:
            return value.strip(' \t"')
    return None
