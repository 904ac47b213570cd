"""gzip at the price of what changed.

A page is cut into segments, each compressed for itself and ended on a whole byte. Header, segments, an empty last
block, checksum and length make one ordinary gzip member, so a segment that is the same as last time is not compressed
again. Concatenated members would be simpler, but curl reads only the first of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

_compressobj: Callable[[int, int, int], Any]
_crc32: Callable[[bytes, int], int]
try:
    from isal import isal_zlib
except ImportError:
    _compressobj, _crc32 = zlib.compressobj, zlib.crc32
else:
    _compressobj, _crc32 = isal_zlib.compressobj, isal_zlib.crc32

# Every segment starts with an empty window: much smaller ones would compress worse.
SEGMENT = 16 * 1024

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"  # no name, no time, fastest method, system unknown
_LAST_BLOCK = b"\x03\x00"


class Compressor:
    """Keeps the segments of the page in hand, and of the one before."""

    def __init__(self) -> None:
        self._segments: dict[tuple[int, ...], _Segment] = {}
        self._earlier: dict[tuple[int, ...], _Segment] = {}

    def turn(self) -> None:
        """A new page begins: what the last one did not use is forgotten."""
        self._earlier, self._segments = self._segments, {}

    def gzip(self, pieces: Sequence[bytes]) -> bytes:
        """One gzip member. Pieces must be the same objects as last time where nothing changed."""
        return _member(pieces, map(self._deflated, _parts(pieces)))

    def _deflated(self, part: list[bytes]) -> bytes:
        key = tuple(map(id, part))
        segment = self._segments.get(key) or self._earlier.get(key) or _Segment(part)
        self._segments[key] = segment
        return segment.deflated


class _Segment:
    # Holds the pieces: their identity says what is in here only while they are alive.
    __slots__ = ("deflated", "part")

    def __init__(self, part: list[bytes]) -> None:
        self.part = part
        self.deflated = _deflate(part)


def gzip(pieces: Sequence[bytes]) -> bytes:
    """One gzip member, nothing kept."""
    return _member(pieces, [_deflate(pieces)])


def _member(pieces: Iterable[bytes], segments: Iterable[bytes]) -> bytes:
    checksum = length = 0
    for piece in pieces:
        checksum = _crc32(piece, checksum)
        length += len(piece)
    trailer = checksum.to_bytes(4, "little") + (length & 0xFFFFFFFF).to_bytes(4, "little")
    return b"".join([_HEADER, *segments, _LAST_BLOCK, trailer])


def _parts(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for piece in pieces:
        part.append(piece)
        size += len(piece)
        if size >= SEGMENT:
            yield part
            part, size = [], 0
    if part:
        yield part


def _deflate(part: Iterable[bytes]) -> bytes:
    stream = _compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated: bytes = stream.compress(b"".join(part)) + stream.flush(zlib.Z_FULL_FLUSH)
    return deflated
