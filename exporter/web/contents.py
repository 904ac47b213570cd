"""JSON made of a snapshot: put together once, kept while the snapshot is the newest, stamped with its age."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from hashlib import blake2b
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

import msgspec
from aiohttp import web

from exporter.model.snapshot import Snapshot
from exporter.web.answers import JSON, ErrorAnswer, Refused, headers
from exporter.web.route import Answer
from exporter.web.site import Site

NOT_YET = Answer("it is not known yet, or its collector is off", (JSON,), ErrorAnswer)
UNCHANGED = Answer("as it was: If-None-Match has its ETag", ())

# What stands for the stamp until an answer is sent; the last two fields of every answer that is stamped.
UNSTAMPED: dict[str, Any] = {"snapshot_id": 0, "age_seconds": 0.0}
_END = msgspec.json.encode(UNSTAMPED)[1:]
# Pages of a list and single targets are asked for in any number of ways: only so many are kept.
_KEPT = 8
# Times beyond the calendar's end are told as its end: a receiver may ask to be left alone for a billion years.
_json = msgspec.json.Encoder().encode
_LAST = 253_402_300_799.0

D = TypeVar("D")


class Text(NamedTuple):
    """An answer that is no JSON."""

    body: bytes
    media: str


class Told(NamedTuple):
    """An answer with a status of its own."""

    answer: object
    status: int


class Content:
    """One encoded answer. Its ETag is that of what it says, whichever snapshot says it."""

    def __init__(self, answer: object, status: int = 200) -> None:
        encoded, media = (answer.body, answer.media) if isinstance(answer, Text) else (_json(answer), JSON)
        self._status = status
        self._body = encoded.removesuffix(_END)
        self._stamped = len(self._body) < len(encoded)
        self._tag = blake2b(self._body, digest_size=12).hexdigest()
        # Weak: the stamp differs where the rest is the same.
        self._headers = headers(media, ETag=f'W/"{self._tag}"' if self._stamped else f'"{self._tag}"')

    def answer(self, request: web.BaseRequest, snapshot: Snapshot, now: float) -> web.Response:
        """The answer to this request; `now` is monotonic."""
        fine = self._status == HTTPStatus.OK
        if fine and any(known.value in (self._tag, "*") for known in request.if_none_match or ()):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=self._headers)
        body = self._body
        if self._stamped:
            age = max(0.0, now - snapshot.monotonic)
            body += b'"snapshot_id":%d,"age_seconds":%.3f}' % (snapshot.id, age)
        return web.Response(body=body, status=self._status, headers=self._headers)


class Contents:
    """The answers of some routes, for as long as the snapshot they were made of is the newest."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._snapshot: Snapshot | None = None
        self._kept: dict[Hashable, Content] = {}
        self._making: dict[Hashable, asyncio.Future[Content]] = {}

    def snapshot(self) -> Snapshot:
        """The newest snapshot; refuses as long as there is none."""
        snapshot = self._site.feed.current()
        if snapshot is None:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "not_ready", "no cycle has ended yet")
        return snapshot

    def answer(self, request: web.BaseRequest, key: Hashable, make: Callable[[Snapshot], object]) -> web.Response:
        """The answer with this key, made of the newest snapshot if it is not at hand."""
        snapshot = self._newest()
        content = self._kept.get(key) or self._keep(snapshot, key, _made(snapshot, make))
        return content.answer(request, snapshot, self._site.clock.monotonic())

    async def answer_aside(
        self, request: web.BaseRequest, key: Hashable, make: Callable[[Snapshot], object]
    ) -> web.Response:
        """The same of what may be large: made on a thread, once for all who wait for it."""
        snapshot = self._newest()
        content = self._kept.get(key)
        if content is None:
            if key not in self._making:
                if len(self._making) >= _KEPT:
                    raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "busy", "too much is being put together at once")
                self._making[key] = asyncio.ensure_future(self._site.offload(lambda: _made(snapshot, make)))
                self._making[key].add_done_callback(lambda done: self._done(snapshot, key, done))
            # Whoever stops waiting costs the others nothing.
            content = await asyncio.shield(self._making[key])
        return content.answer(request, snapshot, self._site.clock.monotonic())

    def _newest(self) -> Snapshot:
        snapshot = self.snapshot()
        if snapshot is not self._snapshot:
            self._snapshot, self._kept, self._making = snapshot, {}, {}
        return snapshot

    def _done(self, snapshot: Snapshot, key: Hashable, made: asyncio.Future[Content]) -> None:
        if snapshot is self._snapshot:
            self._making.pop(key, None)
        if not made.cancelled() and made.exception() is None:
            self._keep(snapshot, key, made.result())

    def _keep(self, snapshot: Snapshot, key: Hashable, content: Content) -> Content:
        if snapshot is self._snapshot:
            if len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = content
        return content


def _made(snapshot: Snapshot, make: Callable[[Snapshot], object]) -> Content:
    made = make(snapshot)
    return Content(made.answer, made.status) if isinstance(made, Told) else Content(made)


def detail(snapshot: Snapshot, collector: str, kind: type[D]) -> D:
    """What a collector left in the snapshot for pages and answers; refuses if there is nothing."""
    found = snapshot.details.get(collector)
    if not isinstance(found, kind):
        message = f"the collector {collector} has told nothing yet, or is off"
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "not_known", message)
    return found


def instant(wall: float | None) -> datetime | None:
    """A time as it stands in JSON."""
    return None if wall is None else datetime.fromtimestamp(min(max(wall, 0.0), _LAST), UTC)


def milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
