"""Bodies that are not what they seem, and those who send them."""

from __future__ import annotations

import asyncio
import zlib
from itertools import count

from tests.fakes.remote import Script

MIB = 1 << 20
_BITS = {"gzip": zlib.MAX_WBITS + 16, "deflate": zlib.MAX_WBITS, "raw": -zlib.MAX_WBITS}


def packed(data: bytes, kind: str = "gzip") -> bytes:
    """The data as an honest server compresses it; `raw` is deflate without the header it should have."""
    packer = zlib.compressobj(6, zlib.DEFLATED, _BITS[kind])
    return packer.compress(data) + packer.flush()


def bomb(kind: str = "gzip", mib: int = 512) -> bytes:
    """Half a megabyte that becomes so many: after a full flush equal blocks are equal bytes, so one does for all."""
    packer = zlib.compressobj(9, zlib.DEFLATED, _BITS[kind])
    first, block = (packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + block * (mib - 1) + packer.flush()


def head(status: int, *lines: str) -> bytes:
    """The head of an answer with these lines and no others."""
    return "\r\n".join([f"HTTP/1.1 {status} Whatever", *lines, "", ""]).encode()


def endless(start: bytes, again: bytes) -> Script:
    """Sends without end, as fast as it is taken."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(again)
            await writer.drain()

    return script


def each(*answers: bytes) -> Script:
    """Answers request after request over one connection, the last one for ever."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for at in count():
            writer.write(answers[min(at, len(answers) - 1)])
            await writer.drain()
            await reader.readuntil(b"\r\n\r\n")

    return script
