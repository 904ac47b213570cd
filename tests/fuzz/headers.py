"""What clients say they accept, and what they might."""

from __future__ import annotations

from random import Random

from tests.fuzz.mutate import mutated

_MEDIA = ("application/openmetrics-text", "text/plain", "*/*", "text/html", "application/*", "a", "application/json")
_PARAMETERS = ("version", "q", "escaping", "charset", "Q", "VERSION", "", "x", " q ")
_VALUES = ("1.0.0", "0.0.4", "0.0.1", "2.0.0", "1", "0", "0.5", "1.", "0.", "-1", "2", "1e9", "nan", "inf", "abc", "")
_MORE = ("allow-utf-8", "underscores", "utf-8", '"1.0.0"', '"', "0.0000000001", "9" * 400, "1.0.0.0", "1..0", "∞", "٣")
_CODINGS = ("gzip", "x-gzip", "identity", "*", "br", "zstd", "deflate", "GZIP", "gzipped", "", "gzip ", "\tgzip")
TOKENS = [item.encode() for item in (*_MEDIA, *_CODINGS, *_PARAMETERS, *_VALUES, *_MORE, *";,=/ \t\n\x00\x80\xff\\")]


def accept(dice: Random) -> str:
    """An Accept header."""
    return _damaged(dice, _items(dice, _MEDIA))


def accept_encoding(dice: Random) -> str:
    """An Accept-Encoding header."""
    return _damaged(dice, _items(dice, _CODINGS))


def _items(dice: Random, names: tuple[str, ...]) -> str:
    items = []
    for _ in range(dice.choice((0, 1, 1, 2, 3, 8, 40))):
        parameters = [
            f"{dice.choice(_PARAMETERS)}={dice.choice(_VALUES + _MORE)}" for _ in range(dice.choice((0, 0, 1, 1, 2, 5)))
        ]
        items.append(dice.choice((";", "; ")).join([dice.choice(names), *parameters]))
    return dice.choice((",", ", ", " , ")).join(items)


def _damaged(dice: Random, header: str) -> str:
    damaged = mutated(dice, header.encode(), TOKENS, dice.choice((0, 1, 4)))
    # As the server reads a head: bytes that are no text arrive as surrogates.
    return damaged.decode(errors=dice.choice(("surrogateescape", "replace")))
