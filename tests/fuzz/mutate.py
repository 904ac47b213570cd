"""Small and large damage to bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

Mutation = Callable[[Random, bytes, Sequence[bytes]], bytes]


def mutated(dice: Random, data: bytes, tokens: Sequence[bytes], most: int = 4) -> bytes:
    """The data after some mutations; none at all is possible."""
    for _ in range(dice.randrange(most + 1)):
        data = dice.choice(_MUTATIONS)(dice, data, tokens)
    return data


def _place(dice: Random, data: bytes) -> int:
    return dice.randrange(len(data) + 1)


def _span(dice: Random, data: bytes) -> tuple[int, int]:
    start = _place(dice, data)
    return start, min(len(data), start + int(dice.paretovariate(0.8)))


def _insert(dice: Random, data: bytes, tokens: Sequence[bytes]) -> bytes:
    at = _place(dice, data)
    return data[:at] + dice.choice(tokens) + data[at:]


def _overwrite(dice: Random, data: bytes, tokens: Sequence[bytes]) -> bytes:
    at, token = _place(dice, data), dice.choice(tokens)
    return data[:at] + token + data[at + len(token) :]


def _byte(dice: Random, data: bytes, tokens: Sequence[bytes]) -> bytes:
    at = _place(dice, data)
    return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]


def _bit(dice: Random, data: bytes, tokens: Sequence[bytes]) -> bytes:
    if not data:
        return data
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def _delete(dice: Random, data: bytes, tokens: Sequence[bytes]) -> bytes:
    start, end = _span(dice, data)
    return data[:start] + data[end:]


def _double(dice: Random, data: bytes, tokens: Sequence[bytes]) -> bytes:
    start, end = _span(dice, data)
    return data[:end] + data[start:end] * dice.randrange(1, 4) + data[end:]


def _cut(dice: Random, data: bytes, tokens: Sequence[bytes]) -> bytes:
    return data[: _place(dice, data)]


def _move(dice: Random, data: bytes, tokens: Sequence[bytes]) -> bytes:
    start, end = _span(dice, data)
    rest = data[:start] + data[end:]
    at = _place(dice, rest)
    return rest[:at] + data[start:end] + rest[at:]


def _many(dice: Random, data: bytes, tokens: Sequence[bytes]) -> bytes:
    """A long run of one token: what is quadratic, or deep, shows here."""
    at = _place(dice, data)
    token = dice.choice(tokens) or b"x"
    return data[:at] + token * (int(8 * dice.paretovariate(0.4)) % (1 + 60_000 // len(token))) + data[at:]


# Those that leave most of the structure standing are the likelier ones: they get further in.
_MUTATIONS: Sequence[Mutation] = (
    *(_insert, _overwrite, _byte, _bit, _delete, _double) * 3,
    *(_move, _cut, _many),
)
