"""HTTP/1.1 as a client reads it: strict, and within limits that hold whatever the remote sends.

A message that can be understood in two ways is refused. What comes in is counted twice: as it is on the wire, and after
inflation, which goes step by step so that a bomb is noticed before it has gone off.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from dataclasses import dataclass
from typing import Any

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.sources.wire import Wire

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: .*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_STEP = 1 << 18
_PAUSE = 256  # chunks: the smallest ones come by the ten thousand in one go
_RAW, _ANY = -zlib.MAX_WBITS, zlib.MAX_WBITS + 32  # without a header, and with that of zlib or gzip


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one answer may cost, in bytes but for the two numbers of things."""

    body: int = 16 << 20
    line: int = 8 << 10
    head: int = 64 << 10
    fields: int = 256
    interim: int = 8


@dataclass(frozen=True, slots=True)
class Head:
    """What comes before the body. Names are in lower case; of equal ones the values are joined."""

    status: int
    headers: dict[str, str]
    persistent: bool  # whether the remote lets the connection stand


async def read_head(wire: Wire, limits: Limits) -> Head:
    """The head of the answer; those that only announce it are skipped, if they are not too many."""
    for _ in range(limits.interim + 1):
        found = _STATUS.fullmatch(await wire.line(limits.line))
        if found is None:
            raise Failure(Reason.DECODE, "the answer is not HTTP")
        status, headers = int(found[2]), await _fields(wire, limits)
        if status >= 200 or status == 101:
            closing = "close" in headers.get("connection", "").lower()
            return Head(status, headers, found[1] == b"1" and not closing and status != 101)
    raise Failure(Reason.DECODE, "too many interim answers")


async def _fields(wire: Wire, limits: Limits) -> dict[str, str]:
    fields: dict[str, str] = {}
    size = number = 0
    while line := await wire.line(limits.line):
        size += len(line)
        number += 1
        if size > limits.head or number > limits.fields:
            raise Failure(Reason.DECODE, "the head of the answer is too large")
        found = _FIELD.fullmatch(line)
        if found is None:
            raise Failure(Reason.DECODE, "the answer is not HTTP")
        name, value = found[1].decode().lower(), found[2].decode("latin-1").rstrip(" \t")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


class Body:
    """Takes a body as it comes and gives it back plain."""

    def __init__(self, encoding: str, limit: int) -> None:
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise Failure(Reason.DECODE, "the content encoding is not one that was asked for")
        self._packed = encoding not in ("", "identity")
        self._deflate = encoding == "deflate"
        self._limit = limit
        self._wire = 0
        self._plain = bytearray()
        self._inflate: Any = None  # the type of such objects has no public name

    def count(self, number: int) -> None:
        """Notes bytes on the wire, whether or not they are part of the body."""
        self._wire += number
        if self._wire > self._limit:
            raise Failure(Reason.TOO_LARGE, f"the answer is larger than {self._limit} bytes")

    async def feed(self, data: bytes) -> None:
        self.count(len(data))
        if not self._packed:
            self._plain += data
            return
        more = bool(data)
        while more:
            data, more = self._unpack(data)
            if more:  # a lot came of little: others have their turn in between
                await asyncio.sleep(0)

    def _unpack(self, data: bytes) -> tuple[bytes, bool]:
        """One step; tells what it left for the next, and whether there has to be one."""
        if self._inflate is None:
            raw = self._deflate and data[0] & 0x0F != 8  # as some send it, although it should have a header
            self._inflate = zlib.decompressobj(_RAW if raw else _ANY)
        # Asked for one byte more than fits, it tells a body that fills the limit from one beyond it.
        step = min(_STEP, self._limit + 1 - len(self._plain))
        try:
            plain = self._inflate.decompress(data, step)
        except zlib.error:
            plain = None
        if plain is None:
            raise Failure(Reason.DECODE, "the body is not encoded as it says")
        self._plain += plain
        if len(self._plain) > self._limit:
            raise Failure(Reason.TOO_LARGE, f"the answer is larger than {self._limit} bytes once inflated")
        if not self._inflate.eof:
            return self._inflate.unconsumed_tail, len(plain) == step
        if rest := self._inflate.unused_data:
            self._inflate = zlib.decompressobj(_ANY)  # gzip may come in several members
        return rest, bool(rest)

    def end(self) -> bytes:
        """The whole of it, if that is what came."""
        if self._packed and self._wire and (self._inflate is None or not self._inflate.eof):
            raise Failure(Reason.DECODE, "the body is not encoded as it says")
        return bytes(self._plain)


async def read_body(wire: Wire, head: Head, limits: Limits) -> tuple[bytes, bool]:
    """The body, and whether its end was told: if not, one that was cut cannot be told from a whole one."""
    body = Body(head.headers.get("content-encoding", "").lower(), limits.body)
    coding, length = head.headers.get("transfer-encoding"), head.headers.get("content-length")
    if coding is not None:
        if coding.lower() != "chunked" or length is not None:
            raise Failure(Reason.DECODE, "the length of the answer is not clear")
        await _chunked(wire, body, limits)
    elif length is not None:
        await _exactly(wire, body, _length(length, limits))
    else:
        while data := await wire.some(_STEP):
            await body.feed(data)
    return body.end(), coding is not None or length is not None


def _length(text: str, limits: Limits) -> int:
    values = {value.strip() for value in text.split(",")}
    value = values.pop()
    if values or not (value.isascii() and value.isdigit()):
        raise Failure(Reason.DECODE, "the length of the answer is not clear")
    if len(value) > 15 or int(value) > limits.body:
        raise Failure(Reason.TOO_LARGE, f"the answer is larger than {limits.body} bytes")
    return int(value)


async def _exactly(wire: Wire, body: Body, left: int) -> None:
    while left:
        data = await wire.some(min(left, _STEP))
        if not data:
            raise EOFError
        left -= len(data)
        await body.feed(data)


async def _chunked(wire: Wire, body: Body, limits: Limits) -> None:
    number = 0
    while True:
        line = await wire.line(limits.line)
        found = _SIZE.fullmatch(line)
        if found is None:
            raise Failure(Reason.DECODE, "the answer is not HTTP")
        size = int(found[1], 16)
        if not size:
            await _fields(wire, limits)  # behind the body, and of no interest
            return
        body.count(len(line) + 2)
        await _exactly(wire, body, size)
        if await wire.line(limits.line):
            raise Failure(Reason.DECODE, "the answer is not HTTP")
        number += 1
        if not number % _PAUSE:
            await asyncio.sleep(0)
