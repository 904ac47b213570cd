"""How objects, lists, tables and errors look on the wire."""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterable
from typing import Any

import msgspec

from tests.fakes.kubernetes.objects import SECRET, Kind, Stored
from tests.fakes.kubernetes.selection import Page

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "AlreadyExists",
    410: "Expired",
    415: "UnsupportedMediaType",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


def status(code: int, message: str, *, metadata: dict[str, Any] | None = None, **details: Any) -> bytes:
    """An error as the API gives it."""
    head = {"kind": "Status", "apiVersion": "v1", "metadata": metadata or {}, "status": "Failure"}
    body: dict[str, Any] = head | {"message": message, "reason": REASONS.get(code, "Unknown"), "code": code}
    return msgspec.json.encode(body | ({"details": details} if details else {}))


def listing(kind: Kind, page: Page) -> bytes:
    """A list: the objects as they were encoded when they changed."""
    metadata = msgspec.json.encode(_page_metadata(page))
    head = b'{"kind":"%bList","apiVersion":"v1","metadata":%b,"items":[' % (kind.name.encode(), metadata)
    return head + b",".join(each.body for each in page.items) + b"]}"


def table(kind: Kind, items: Iterable[Stored], metadata: dict[str, Any], include: str, columns: bool = True) -> bytes:
    """The same for people: kubectl prints what the server puts into these cells."""
    rows = [{"cells": _cells(each), "object": _row_object(each, include)} for each in items]
    definitions = _columns(kind) if columns else None
    body = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
    return msgspec.json.encode(body | {"columnDefinitions": definitions, "rows": rows})


def page_table(kind: Kind, page: Page, include: str) -> bytes:
    return table(kind, page.items, _page_metadata(page), include)


def event(kind: str, body: bytes) -> bytes:
    """One line of a watch."""
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), body)


def bookmark(kind: Kind, version: int) -> bytes:
    metadata = {"resourceVersion": str(version), "creationTimestamp": None}
    return event("BOOKMARK", kind.head + b'"metadata":%b}' % msgspec.json.encode(metadata))


def _page_metadata(page: Page) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": str(page.version)}
    if page.token:
        metadata["continue"] = page.token
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    return metadata


def _columns(kind: Kind) -> list[dict[str, Any]]:
    middle = [("Type", "string"), ("Data", "string")] if kind is SECRET else [("Status", "string")]
    columns = [("Name", "string"), *middle, ("Age", "string")]
    return [
        {"name": name, "type": of, "format": "name" if name == "Name" else "", "description": "", "priority": 0}
        for name, of in columns
    ]


def _cells(stored: Stored) -> list[str | int]:
    manifest = stored.manifest
    created = calendar.timegm(time.strptime(manifest["metadata"]["creationTimestamp"], "%Y-%m-%dT%H:%M:%SZ"))
    age = f"{max(0, int(time.time() - created))}s"
    if stored.key.kind is SECRET:
        return [stored.key.name, manifest.get("type", ""), len(manifest.get("data") or {}), age]
    return [stored.key.name, "Active", age]


def _row_object(stored: Stored, include: str) -> Any:
    if include == "None":
        return None
    if include == "Object":
        return msgspec.Raw(stored.alone)
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    return partial | {"metadata": stored.manifest["metadata"]}
