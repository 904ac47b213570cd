"""An answer whose head and body are bytes already: nothing is put together for a request, and no page is copied."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from email.utils import formatdate
from time import time

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

# How much of a page is handed over at once. What a reader does not take is held for it, in a copy with some event
# loops and always under TLS: many slow readers of a large page would otherwise fill the memory.
PIECE, PIECE_UNDER_TLS = 2 * 1024 * 1024, 256 * 1024


class Ready(web.StreamResponse):
    """Status 200 with a body for an HTTP/1.1 client. The library's own response joins head and body anew each time."""

    def __init__(self, head: bytes, body: bytes, keep_alive: bool = True) -> None:
        super().__init__()
        self._parts = (head, body)
        self._stays = keep_alive

    @property
    def keep_alive(self) -> bool:
        return self._stays

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if self.headers:  # set from outside, after the head was made
            self._parts = (_overridden(self._parts[0], self.headers), self._parts[1])
        if len(self._parts[1]) > PIECE_UNDER_TLS:
            await _write_in_pieces(request, *self._parts)
        else:
            _transport(request).writelines(self._parts)
            await request.writer.drain()
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """All has been written."""


def _overridden(head: bytes, headers: Mapping[str, str]) -> bytes:
    names = tuple(f"{name.lower()}:".encode() for name in headers)
    kept = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(names)]
    return b"\r\n".join([*kept, *(f"{name}: {value}".encode() for name, value in headers.items()), b"", b""])


async def _write_in_pieces(request: web.BaseRequest, head: bytes, body: bytes) -> None:
    size = PIECE if _transport(request).get_extra_info("sslcontext") is None else PIECE_UNDER_TLS
    view = memoryview(body)
    _transport(request).writelines((head, view[:size]))
    await request.writer.drain()
    for start in range(size, len(body), size):
        _transport(request).write(view[start : start + size])
        await request.writer.drain()


def _transport(request: web.BaseRequest) -> asyncio.Transport:
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has left")
    return transport


class ReadyBody:
    """A body with its headers, for any number of requests."""

    def __init__(self, body: bytes, headers: Mapping[str, str]) -> None:
        self._body = body
        self._headers = headers
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        self._begin = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{''.join(lines)}".encode()
        self._second = 0
        self._head = b""

    def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer for this request: with the library's own response wherever it is not a plain GET."""
        if request.method != "GET":
            return web.Response(body=self._body, headers=self._headers)
        now = int(time())
        if now != self._second:
            self._head = self._begin + f"Date: {formatdate(now, usegmt=True)}\r\n\r\n".encode()
            self._second = now
        # An older client reads an answer of HTTP/1.1 as well, up to the end of the connection.
        if request.keep_alive and request.version == HttpVersion11:
            return Ready(self._head, self._body)
        return Ready(self._head[:-2] + b"Connection: close\r\n\r\n", self._body, keep_alive=False)
