"""JSON made of a snapshot: put together once, kept while the snapshot is the newest, stamped with its age."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from hashlib import blake2b
from http import HTTPStatus
from typing import Any, TypeVar

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
_LAST = 253_402_300_799.0

D = TypeVar("D")


class Content:
    """One encoded answer. Its ETag is that of what it says, whichever snapshot says it."""

    def __init__(self, answer: object) -> None:
        encoded = msgspec.json.encode(answer)
        self._body = encoded.removesuffix(_END)
        self._stamped = len(self._body) < len(encoded)
        self._tag = blake2b(self._body, digest_size=12).hexdigest()
        # Weak: the stamp differs where the rest is the same.
        self._headers = headers(JSON, ETag=f'W/"{self._tag}"' if self._stamped else f'"{self._tag}"')

    def answer(self, request: web.BaseRequest, snapshot: Snapshot, now: float) -> web.Response:
        """The answer to this request; `now` is monotonic."""
        if any(known.value in (self._tag, "*") for known in request.if_none_match or ()):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=self._headers)
        body = self._body
        if self._stamped:
            age = max(0.0, now - snapshot.monotonic)
            body += b'"snapshot_id":%d,"age_seconds":%.3f}' % (snapshot.id, age)
        return web.Response(body=body, headers=self._headers)


class Contents:
    """The answers of some routes, for as long as the snapshot they were made of is the newest."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._snapshot: Snapshot | None = None
        self._kept: dict[Hashable, Content] = {}

    def snapshot(self) -> Snapshot:
        """The newest snapshot; refuses as long as there is none."""
        snapshot = self._site.feed.current()
        if snapshot is None:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "not_ready", "no cycle has ended yet")
        return snapshot

    def answer(self, request: web.BaseRequest, key: Hashable, make: Callable[[Snapshot], object]) -> web.Response:
        """The answer with this key, made of the newest snapshot if it is not at hand."""
        snapshot = self.snapshot()
        if snapshot is not self._snapshot:
            self._snapshot, self._kept = snapshot, {}
        content = self._kept.get(key)
        if content is None:
            content = Content(make(snapshot))
            if len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = content
        return content.answer(request, snapshot, self._site.clock.monotonic())


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
