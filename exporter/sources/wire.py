"""Connections: to an address that was checked, over TLS if asked for, and read no faster than they are used."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest
from typing import cast

from exporter.model.errors import Failure
from exporter.model.reason import Reason

STAGGER = 0.25  # seconds an address has to itself before the next one is tried as well
_HIGH = 1 << 16  # bytes that may wait to be read before the sender is told to wait


class Wire(asyncio.Protocol):
    """One connection. Whoever reads from it after its end gets what broke it, or EOFError."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.tls: ssl.SSLContext | None = None
        self.received = 0
        self.kept = 0.0  # since when it waits for the next request
        self.tls_expiry: float | None = None
        self._buffer = bytearray()
        self._ended = False
        self._paused = False
        self._broken: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    # -- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self._buffer += data
        if len(self._buffer) > _HIGH and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._broken = error
        self.eof_received()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- called by whoever uses the connection

    @property
    def idle(self) -> bool:
        """Whether a request can be sent: it stands, and nothing came that nobody asked for."""
        return not (self._ended or self._buffer)

    def rests(self) -> bool:
        """Whether it can wait for the next request; while it does, its end is noticed."""
        self._resume()
        return self.idle

    def secured(self, transport: asyncio.BaseTransport, tls: ssl.SSLContext) -> None:
        """Goes on over TLS, and notes how long the certificate lasts."""
        self.tls = tls
        self.transport = cast(asyncio.Transport, transport)
        self.tls_expiry = float(ssl.cert_time_to_seconds(transport.get_extra_info("peercert")["notAfter"]))

    def send(self, data: bytes) -> None:
        self.received = 0
        self.transport.write(data)

    async def line(self, limit: int) -> bytes:
        """The next line without its end; a longer one than the limit is refused before it is all there."""
        seen = 0
        while (end := self._buffer.find(b"\n", seen, limit + 2)) < 0:
            seen = len(self._buffer)
            if seen > limit:
                raise Failure(Reason.DECODE, "a line of the answer is too long")
            if not await self._more():
                raise EOFError
        line = bytes(self._buffer[: end - 1 if self._buffer[end - 1 : end] == b"\r" else end])
        del self._buffer[: end + 1]
        return line

    async def some(self, most: int) -> bytes:
        """What is there, up to so many bytes; nothing at the end of the connection."""
        if not self._buffer and not await self._more():
            return b""
        data = bytes(self._buffer[:most])
        del self._buffer[:most]
        return data

    async def _more(self) -> bool:
        before = self.received
        if not self._ended:
            self._resume()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self.received > before:  # the last of it and the end may come at once
            return True
        if self._broken is not None:
            raise self._broken
        return False

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self.transport.resume_reading()

    def close(self) -> None:
        """Ends it at once: a farewell would wait for the other side's."""
        self.transport.abort()


async def dial(address: str, port: int, tls: ssl.SSLContext | None, server_name: str) -> Wire:
    """Connects to one address, which is no name: nothing is looked up here."""
    transport, wire = await asyncio.get_running_loop().create_connection(
        lambda: Wire(address),
        address,
        port,
        ssl=tls,
        server_hostname=server_name if tls else None,
        flags=socket.AI_NUMERICHOST,
    )
    if tls is not None:
        wire.secured(transport, tls)
    return wire


async def first(addresses: Sequence[str], connect: Callable[[str], Awaitable[Wire]]) -> Wire:
    """The first connection that comes about, both families by turns: a dead address costs no more than the stagger."""
    if len(addresses) == 1:
        return await connect(addresses[0])
    waiting: set[asyncio.Future[Wire]] = set()
    errors: list[BaseException] = []
    rest = list(_by_turns(addresses))
    try:
        while rest or waiting:
            if rest:
                waiting.add(asyncio.ensure_future(connect(rest.pop(0))))
            done, _ = await asyncio.wait(
                waiting, timeout=STAGGER if rest else None, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in done:
                if (error := attempt.exception()) is None:
                    waiting.remove(attempt)
                    return attempt.result()
                waiting.remove(attempt)
                errors.append(error)
    finally:
        for loser in waiting:
            loser.cancel()
            loser.add_done_callback(_hang_up)
    # What a remote that was reached had to say tells more than that another was not.
    raise next((error for error in errors if isinstance(error, ssl.SSLError)), errors[-1])


def _by_turns(addresses: Sequence[str]) -> list[str]:
    six = [address for address in addresses if ":" in address]
    four = [address for address in addresses if ":" not in address]
    pair = (six, four) if addresses[0] in six else (four, six)
    return [address for address in chain.from_iterable(zip_longest(*pair)) if address is not None]


def _hang_up(attempt: asyncio.Future[Wire]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
