"""Server-sent events: one per snapshot, for pages that stay open."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec
from aiohttp import web

from exporter.model.reason import Outcome
from exporter.model.snapshot import Snapshot
from exporter.web.answers import JSON, CollectorCount, ErrorAnswer, Refused, SnapshotEvent, headers
from exporter.web.route import Answer, Route
from exporter.web.site import Site

MEDIA = "text/event-stream"
# Proxies that collect answers before passing them on would hold the events back.
_HEADERS = headers(MEDIA, Cache_Control="no-store", X_Accel_Buffering="no")
_HELLO = b"retry: 3000\n"  # how long a browser waits before it comes back, in ms
_PING = b": ping\n\n"


class _Stream:
    """What one reader has yet to be sent: the newest event, or the end."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._message = b""
        self._arrived = asyncio.Event()
        self.ended = False

    @property
    def gone(self) -> bool:
        return self._request.transport is None

    def offer(self, message: bytes) -> None:
        self._message = message
        self._arrived.set()

    def end(self) -> None:
        self.ended = True
        self._arrived.set()

    async def next(self, patience: float) -> bytes:
        try:
            async with asyncio.timeout(patience):
                await self._arrived.wait()
        except TimeoutError:
            return _PING
        self._arrived.clear()
        return self._message


class Events:
    """The open streams. All are fed from one subscription, and none waits for another."""

    def __init__(self, site: Site, limit: int = 32, ping: float = 15.0, patience: float = 10.0) -> None:
        self._site = site
        self._limit = limit
        self._ping = ping
        self._patience = patience
        self._streams: set[_Stream] = set()
        self._closed = False
        self._pump: asyncio.Task[None] | None = None

    def routes(self) -> list[Route]:
        return [
            Route(
                path="/events",
                name="events",
                summary="A stream of server-sent events, one for every new snapshot.",
                handler=self.serve,
                stream=True,
                answers={
                    200: Answer("the stream", (MEDIA,), SnapshotEvent),
                    503: Answer("too many streams are open", (JSON,), ErrorAnswer),
                },
            )
        ]

    def start(self) -> None:
        self._pump = asyncio.create_task(self._distribute(), name="events")

    def close(self) -> None:
        """Ends every stream and takes no more: an open one would hold up the stop."""
        self._closed = True
        if self._pump is not None:
            self._pump.cancel()
        for stream in self._streams:
            stream.end()

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self._forget_the_gone()
        if self._closed or len(self._streams) >= self._limit:
            again = {"Retry-After": "5"}
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too_many_streams", "no stream is free", headers=again)
        stream = _Stream(request)
        self._streams.add(stream)
        response = web.StreamResponse(headers=_HEADERS)
        if self._site.access is not None:
            response.headers.update(self._site.access.headers)
        try:
            await response.prepare(request)
            await self._follow(stream, response)
        except (ConnectionError, TimeoutError):
            # A reader that takes nothing would also never take the end of the stream.
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._streams.discard(stream)
        return response

    async def _follow(self, stream: _Stream, response: web.StreamResponse) -> None:
        current = self._site.feed.current()
        message = _HELLO + (b"\n" if current is None else self._message(current))
        while not stream.ended:
            async with asyncio.timeout(self._patience):
                await response.write(message)
            message = await stream.next(self._ping)

    def _forget_the_gone(self) -> None:
        # Readers that left are noticed at the next write only; until then they must not keep others out.
        for stream in [stream for stream in self._streams if stream.gone]:
            stream.end()
            self._streams.discard(stream)

    async def _distribute(self) -> None:
        async for snapshot in self._site.feed.subscribe():
            message = self._message(snapshot)
            for stream in self._streams:
                stream.offer(message)

    def _message(self, snapshot: Snapshot) -> bytes:
        event = SnapshotEvent(
            snapshot_id=snapshot.id,
            age_seconds=round(self._site.clock.monotonic() - snapshot.monotonic, 3),
            time=datetime.fromtimestamp(snapshot.wall, UTC),
            collectors=count(snapshot),
        )
        return b"id: %d\ndata: %b\n\n" % (snapshot.id, msgspec.json.encode(event))


def count(snapshot: Snapshot) -> CollectorCount:
    """How many collectors did their job, and how many did not; disabled ones are neither."""
    ran = [record.outcome for record in snapshot.records.values() if record.outcome is not Outcome.DISABLED]
    ok = sum(outcome.up for outcome in ran)
    return CollectorCount(ok, len(ran) - ok)
