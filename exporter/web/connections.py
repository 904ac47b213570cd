"""The connections: how many there may be, how long each may wait, and which has to go for a newcomer.

The library parses and answers; it has no deadline for a head that never ends and none for a reader that never reads.
Each of its protocols therefore sits inside one of ours, and all of ours are looked at once a second: a timer for each
connection would cost more than most requests.
"""

from __future__ import annotations

import asyncio
import logging
import re
import resource
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import cast

from aiohttp import web

from exporter.instruments.meter import Meter
from exporter.web.complaints import Complaints

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Refuse = Callable[[], web.StreamResponse]

# The library reports every request it cannot parse, with a traceback: one line per byte of garbage a port scan sends.
_quiet = logging.getLogger(f"{__name__}.protocol")
_quiet.setLevel(logging.CRITICAL + 1)

MOST = 10_000  # no exporter has that many scrapers; more would only be memory for whoever opens them
# The end of a head, or what cannot become one and is refused at once.
_WORTH_PARSING = re.compile(rb"\n\r?\n|\A[^A-Z]")
_SHORT = 8 * 1024  # to look again at more than this with each byte that comes would be work for its sender's pleasure
_MANY, _BREATH = 250, 0.01  # those that came together have to go together: others want to be served in between
_AT_ONCE = struct.pack("ii", 1, 0)
_END = b"\0"  # no head may hold it: the library refuses what it was in the middle of


class Drop(StrEnum):
    """Why we ended a connection."""

    FULL = "full"
    HEAD = "head"
    IDLE = "idle"
    WRITE = "write"


_COMPLAINTS = {
    Drop.FULL: "too many connections, the longest unused one is dropped",
    Drop.HEAD: "a request did not end, its connection is dropped",
    Drop.WRITE: "an answer is not read, its connection is dropped",
}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Times in seconds, sizes in bytes."""

    head: float = 10.0  # from the first byte of a request to the end of its head
    idle: float = 75.0  # without a byte: longer than the minute that proxies and most scrapers stay away
    write: float = 30.0  # in which a reader must have taken something
    answer: float = (
        120.0  # in which it must have taken all of it: until then it keeps a page that others have done with
    )
    farewell: float = 5.0  # for the answer, once a client has said that it will send no more
    linger: float = 1.0  # to read on after a refused body, or the client would lose the answer with its connection
    unread: int = 64 * 1024  # received without becoming a request
    ignored: int = 1024 * 1024  # received after that, or after an answer that was the last
    sweep: float = 1.0  # between two looks at all of them
    connections: int = 0  # 0: half of the descriptors; the others are for what the daemon does besides

    def most(self) -> int:
        if self.connections:
            return self.connections
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return MOST if allowed == resource.RLIM_INFINITY else max(8, min(MOST, allowed // 2))


class _Http(web.RequestHandler):
    """The library's protocol, except that what it cannot parse is answered in our way."""

    __slots__ = ("connection", "refuse")

    connection: Connection
    refuse: Refuse

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        # Its own answer quotes what the client sent.
        self.connection.over = True
        return self.refuse()


class Connection(asyncio.Protocol):
    """One connection. What the library needs for it is made when there is a head to parse: those who send half of one
    by the thousand get little memory and less time.
    """

    __slots__ = (
        "_answered",
        "_first",
        "_http",
        "_leaving",
        "_left",
        "_since",
        "_unread",
        "_waiting",
        "busy",
        "over",
        "owner",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, owner: Connections) -> None:
        self.owner = owner
        self.busy = False  # a request is being handled
        self.over = False  # whatever else comes is not looked at
        self._http: _Http | None = None
        self._first = b""  # what came before there was enough to need it
        self._since = 0.0  # the last sign of life
        self._answered = 0.0  # when the last answer was ready
        self._waiting = 0.0  # since when a request has begun to arrive; 0: none has
        self._leaving = 0.0  # when the client said that it will send no more
        self._unread = 0  # bytes of a request that has not been handled yet
        self._left = 0  # bytes the client had not taken at the last look

    # -- what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's have no base class
        # What is written before the first answer, as by encryption, has as long from here as others from their answer.
        self._since = self._answered = self.owner.now()
        self.owner.admit(self)

    def data_received(self, data: bytes) -> None:
        if not self._waiting:
            self._waiting = self.owner.now()
        self._unread += len(data)
        if self.over:
            self._ignored()
            return
        excess = self._unread - self.owner.limits.unread
        if excess > 0:
            self.over = True
            data = data[:-excess] + _END
        if self._http is not None:
            self._http.data_received(data)
            return
        self._first += data
        if len(self._first) > _SHORT or _WORTH_PARSING.search(self._first):
            self._http = self.owner.http(self)
            self._http.connection_made(self.transport)
            self._http.data_received(self._first)
            self._first = b""

    def _ignored(self) -> None:
        # A client that is still sending when the connection is closed may lose the answer: so it is read, to a point.
        if self._unread > self.owner.limits.ignored:
            self.reset()

    def eof_received(self) -> bool:
        """A client may close its half as soon as it has asked, and still wait for the answer."""
        http, asked = self._http, self.busy or self._waiting or self.transport.get_write_buffer_size()
        if http is None or not asked or self.transport.get_extra_info("sslcontext") is not None:
            return False
        self._leaving = self.owner.now()
        http.close()  # once it has answered
        return True

    def pause_writing(self) -> None:
        assert self._http is not None  # who else would have written
        self._http.pause_writing()

    def resume_writing(self) -> None:
        assert self._http is not None
        self._since = self.owner.now()
        self._http.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.owner.forget(self)
        if self._http is not None:
            self._http.connection_lost(exc)

    # -- what happens inside

    def begin(self) -> None:
        """A request has been understood and is being handled."""
        self.busy = True
        self._waiting = 0.0
        self._unread = 0
        self.owner.used(self)

    def end(self, last: bool) -> None:
        """Its answer is there, and may still have to be taken."""
        self.busy = False
        self.over |= last
        self._since = self._answered = now = self.owner.now()
        if self._waiting:
            self._waiting = now  # the next one arrived meanwhile, and could not be looked at

    def reset(self) -> None:
        """Ends it at once. Otherwise the system would go on offering the reader what it did not take for minutes."""
        with suppress(OSError, AttributeError):  # an encrypted one that is closing has no socket any more
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()

    def overdue(self, now: float) -> Drop | None:
        """What it has kept us waiting for, if that was too long."""
        limits, left = self.owner.limits, self.transport.get_write_buffer_size()
        before, self._left = self._left, left
        if left:
            if left < before or not before:
                self._since = now
            slow = now - self._since > limits.write or (not self.busy and now - self._answered > limits.answer)
            return Drop.WRITE if slow else None
        if self._leaving and now - self._leaving > limits.farewell:
            return Drop.IDLE
        if self.busy:
            return None
        if self._waiting:
            return Drop.HEAD if now - self._waiting > limits.head else None
        return Drop.IDLE if now - self._since > limits.idle else None


class Connections:
    """All of them."""

    def __init__(self, handler: Handler, refuse: Refuse, meter: Meter, limits: Limits, complain: Complaints) -> None:
        self.limits = limits
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._handler = handler
        self._refuse = refuse
        self._complain = complain
        self._server = web.Server(self._serve)
        self.most = limits.most()
        # In the order in which they came, and in the order of their last request.
        self._unused: dict[Connection, None] = {}
        self._used: dict[Connection, None] = {}
        self._open = meter.gauge("http_connections", "Connections that are open.").labels()
        dropped = meter.counter("http_connections_dropped_total", "Connections ended by the daemon.", ("reason",))
        self._dropped = {reason: dropped.labels(reason.value) for reason in Drop}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def __call__(self) -> Connection:
        return Connection(self)

    def http(self, connection: Connection) -> _Http:
        """The library's part of a connection. No body is ever wanted, so none is inflated."""
        http = _Http(
            self._server,
            loop=self._loop,
            logger=_quiet,
            access_log=None,  # type: ignore[arg-type]  # none is what turns it off
            lingering_time=self.limits.linger,
            auto_decompress=False,
        )
        http.connection, http.refuse = connection, self._refuse
        return http

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        http = request.protocol
        assert isinstance(http, _Http)
        http.connection.begin()
        last = True
        try:
            response = await self._handler(request)
            last = response.keep_alive is False
            return response
        finally:
            http.connection.end(last)

    # -- who is there

    def __len__(self) -> int:
        return len(self._unused) + len(self._used)

    def admit(self, connection: Connection) -> None:
        """Takes a newcomer in, whatever it costs another: it may be a scraper."""
        if self._closed:
            connection.transport.abort()
            return
        if len(self) >= self.most:
            self.drop(self._dispensable(), Drop.FULL)
        self._unused[connection] = None
        self._open.set(len(self))
        if self._timer is None:
            self._timer = self._loop.call_later(self.limits.sweep, self._sweep)

    def used(self, connection: Connection) -> None:
        """A request arrived on it: it goes after all others."""
        if connection in self._unused:
            del self._unused[connection]
        elif connection in self._used:
            del self._used[connection]
        else:
            return  # it was dropped before its request could be looked at
        self._used[connection] = None

    def forget(self, connection: Connection) -> None:
        self._unused.pop(connection, None)
        self._used.pop(connection, None)
        self._open.set(len(self))

    def _dispensable(self) -> Connection:
        """The one that has waited longest without a single request; else that whose last one is longest ago."""
        for connection in chain(self._unused, self._used):
            if not connection.busy:
                return connection
        return next(iter(self._used))

    def drop(self, connection: Connection, reason: Drop) -> None:
        self.forget(connection)
        self._dropped[reason].inc()
        if reason in _COMPLAINTS:
            self._complain(_COMPLAINTS[reason])
        if reason is Drop.IDLE:
            connection.transport.close()
        else:
            connection.reset()

    def _sweep(self) -> None:
        now, many = self.now(), _MANY
        for connection in [*self._unused, *self._used]:
            reason = connection.overdue(now)
            if reason is not None:
                self.drop(connection, reason)
                many -= 1
            if not many:
                break
        pause = self.limits.sweep if many else _BREATH
        self._timer = self._loop.call_later(pause, self._sweep) if len(self) else None

    # -- the end

    async def close(self, timeout: float) -> None:
        """Answers under way get until the timeout, then everything is cut."""
        self._closed = True
        self._server.pre_shutdown()  # lets go of connections on which nothing is under way
        # Half for the answers to end by themselves, half for those that were cancelled.
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._server.shutdown(timeout / 2)
        for connection in [*self._unused, *self._used]:
            connection.reset()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
