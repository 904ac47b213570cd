"""The API over HTTP: who asks for what, and what the answer is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping

from aiohttp import web

from tests.fakes.kubernetes import shapes, writing
from tests.fakes.kubernetes.discovery import DISCOVERY
from tests.fakes.kubernetes.faults import Faults, refusal
from tests.fakes.kubernetes.objects import KINDS, Key, Kind, Stored
from tests.fakes.kubernetes.recording import Asked, Recording
from tests.fakes.kubernetes.selection import PageExpired, Selection, page
from tests.fakes.kubernetes.selectors import BadSelector
from tests.fakes.kubernetes.store import Expired, Store
from tests.fakes.kubernetes.watching import Terms, Watch

_ONE = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_MANY = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}


class Server:
    """Answers requests; lives on one event loop and is touched on no other."""

    def __init__(self, store: Store, faults: Faults, recording: Recording) -> None:
        self.token: str | None = None
        self.permitted: set[tuple[str, str]] | None = None
        self.compresses = False
        self.watches: set[Watch] = set()
        self.connections: set[asyncio.Transport] = set()
        self._store = store
        self._faults = faults
        self._recording = recording

    async def handle(self, request: web.Request) -> web.StreamResponse:
        asked = _asked(request)
        self._recording.add(asked)
        transport = request.transport
        assert transport is not None
        self.connections.add(transport)
        try:
            fault = self._faults.of(asked)
            answer = await fault(request, asked) if fault else None
            return answer or self._refused(request, asked) or await self._answer(request, asked)
        except (BadSelector, ValueError) as error:
            return _json(shapes.status(400, str(error)), 400)
        except writing.Refused as refused:
            return _json(shapes.status(refused.code, str(refused)), refused.code)
        except PageExpired as old:
            return _json(shapes.status(410, str(old), metadata={"continue": old.token}), 410)
        except Expired as old:
            return _json(shapes.status(410, str(old)), 410)
        finally:
            self.connections.discard(transport)

    def _refused(self, request: web.Request, asked: Asked) -> web.Response | None:
        known = request.transport is not None and request.transport.get_extra_info("peercert")
        if self.token is not None and not known and request.headers.get("Authorization") != f"Bearer {self.token}":
            return refusal(401, asked)
        if self.permitted is not None and asked.resource and (asked.verb, asked.resource) not in self.permitted:
            return refusal(403, asked)
        return None

    async def _answer(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        if request.path in DISCOVERY and request.method == "GET":
            return _json(DISCOVERY[request.path])
        kind = KINDS.get(asked.resource)
        if kind is None or not asked.verb:
            return _json(shapes.status(404, "the server could not find the requested resource"), 404)
        if asked.verb == "list":
            return self._list(request, asked, kind)
        if asked.verb == "watch":
            return await self._watch(request, asked, kind)
        return await self._one(request, asked)

    def _list(self, request: web.Request, asked: Asked, kind: Kind) -> web.Response:
        query = asked.query
        version = _version(query)
        if version is not None and version > self._store.version:
            return _json(shapes.status(504, "Too large resource version", retryAfterSeconds=1), 504)
        limit = int(query.get("limit") or 0)
        exact = query.get("resourceVersionMatch") == "Exact" or (limit and "resourceVersionMatch" not in query)
        selection = Selection.of(asked.resource, asked.namespace, query)
        found = page(self._store, selection, limit, query.get("continue", ""), version if exact else None)
        if _wants_table(request):
            return _json(shapes.page_table(kind, found, query.get("includeObject", "")))
        answer = _json(shapes.listing(kind, found))
        if self.compresses:
            answer.enable_compression()
        return answer

    async def _watch(self, request: web.Request, asked: Asked, kind: Kind) -> web.StreamResponse:
        query = asked.query
        watch = Watch(
            self._store,
            Terms(
                Selection.of(asked.resource, asked.namespace, query),
                query.get("allowWatchBookmarks", "") in ("1", "true"),
                # Like the real server, which spreads the end of those that do not say when it is.
                float(query.get("timeoutSeconds") or random.uniform(1800, 3600)),
                _row(kind, query.get("includeObject", "")) if _wants_table(request) else lambda stored: stored.alone,
            ),
        )
        watch.begin(_version(query))
        self._store.listeners.add(watch.notice)
        self.watches.add(watch)
        try:
            return await watch.stream(request)
        finally:
            self.watches.discard(watch)
            self._store.listeners.discard(watch.notice)

    async def _one(self, request: web.Request, asked: Asked) -> web.Response:
        key, store = Key(asked.resource, asked.namespace, asked.name), self._store
        body = await request.read()
        if body and not request.content_type.endswith("json"):
            raise writing.Refused(415, f"{request.content_type} is not known here")
        if asked.verb == "create":
            return _json(writing.create(store, key, body).alone, 201)
        if asked.verb == "update":
            return _json(writing.update(store, key, body).alone)
        if asked.verb == "patch":
            return _json(writing.patch(store, key, body, request.content_type).alone)
        if asked.verb == "delete":
            writing.existing(store, key)
            store.delete(key)
            return _json(b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}')
        if asked.verb == "get":
            return self._get(request, asked, key)
        return refusal(405, asked)

    def _get(self, request: web.Request, asked: Asked, key: Key) -> web.Response:
        stored = writing.existing(self._store, key)
        if _wants_table(request):
            return _json(_row(key.kind, asked.query.get("includeObject", ""))(stored))
        return _json(stored.alone)


def _asked(request: web.Request) -> Asked:
    """Reads the path: /api/v1[/namespaces/{namespace}]/{resource}[/{name}]."""
    parts = request.path.strip("/").split("/")
    query: Mapping[str, str] = dict(request.query)
    verb, resource, namespace, name = request.method.lower(), "", "", ""
    if parts[:2] == ["api", "v1"] and len(parts) > 2:
        rest = parts[2:]
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        resource, name = rest[0], rest[1] if len(rest) > 1 else ""
        verb = (_ONE if name else _MANY).get(request.method, "")
        if verb == "list" and query.get("watch") in ("1", "true"):
            verb = "watch"
    return Asked(verb, resource, namespace, name, request.path, query)


def _version(query: Mapping[str, str]) -> int | None:
    return int(query.get("resourceVersion") or 0) or None


def _wants_table(request: web.Request) -> bool:
    return "as=Table" in request.headers.get("Accept", "")


def _row(kind: Kind, include: str) -> Callable[[Stored], bytes]:
    def row(stored: Stored) -> bytes:
        return shapes.table(kind, [stored], {"resourceVersion": str(stored.version)}, include)

    return row


def _json(body: bytes, code: int = 200) -> web.Response:
    return web.Response(status=code, body=body, content_type="application/json")
