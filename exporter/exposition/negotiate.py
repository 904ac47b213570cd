"""Which format and encoding a client gets. Whatever it sends, it gets an answer."""

from __future__ import annotations

import re
from functools import lru_cache

from prometheus_client.exposition import choose_encoder

from exporter.exposition.format import Format

# Prometheus sends some 400 characters. Longer ones are read, but a client that invents headers must not fill the
# memory with them; far longer ones are not worth reading.
_CACHED = 1_000
_READ = 8_000

_QUALITY = re.compile(r"0(\.[0-9]*)?|1(\.0*)?")


def negotiate(accept: str | None) -> Format:
    """The format for an Accept header; text for everything that is not understood."""
    if not accept or len(accept) > _READ:
        return Format.TEXT
    return _remembered(accept) if len(accept) <= _CACHED else _choose(accept)


def _choose(accept: str) -> Format:
    try:
        _, content_type = choose_encoder(accept)
    except Exception:  # the library raises on versions such as `abc`, which would be a 500 to the client
        return Format.TEXT
    return Format.OPENMETRICS if content_type.startswith("application/openmetrics-text") else Format.TEXT


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
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            value = value.strip()
            return float(value) if _QUALITY.fullmatch(value) else None
    return 1.0
