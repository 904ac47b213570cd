"""An answer whose head and body are bytes already: nothing is put together for a request, and no page is copied."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from time import time

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter


class Ready(web.StreamResponse):
    """Status 200 on a connection that stays open. The library's own response joins head and body anew each time."""

    def __init__(self, head: bytes, body: bytes) -> None:
        super().__init__()
        self._parts = (head, body)

    @property
    def keep_alive(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if self.headers:  # set from outside, after the head was made
            self._parts = (_overridden(self._parts[0], self.headers), self._parts[1])
        if request.transport is None:
            raise ConnectionResetError("the client has left")
        request.transport.writelines(self._parts)
        await request.writer.drain()
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """All has been written."""


def _overridden(head: bytes, headers: Mapping[str, str]) -> bytes:
    names = tuple(f"{name.lower()}:".encode() for name in headers)
    kept = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(names)]
    return b"\r\n".join([*kept, *(f"{name}: {value}".encode() for name, value in headers.items()), b"", b""])


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
        """The answer for this request: with the library's own response wherever it is not a plain repeated GET."""
        if request.method != "GET" or not request.keep_alive or request.version != HttpVersion11:
            return web.Response(body=self._body, headers=self._headers)
        now = int(time())
        if now != self._second:
            self._head = self._begin + f"Date: {formatdate(now, usegmt=True)}\r\n\r\n".encode()
            self._second = now
        return Ready(self._head, self._body)
