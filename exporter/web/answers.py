"""What an answer looks like: its types, its default headers, and how a request is refused."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus

import msgspec
from aiohttp import web
from multidict import CIMultiDict

CONTENT_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
DEFAULT_HEADERS = {
    "Server": "platform-exporter",  # otherwise the names and versions of library and interpreter
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": CONTENT_POLICY,
    "Cache-Control": "no-cache",
}
JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


class Place(msgspec.Struct, frozen=True):
    """One mistake in a configuration, with its place."""

    file: str
    line: int
    column: int
    path: str
    message: str


class Error(msgspec.Struct, frozen=True):
    """Why a request was not served. The request id is in the log too."""

    code: str
    message: str
    request_id: str


class ErrorWithProblems(Error, frozen=True):
    """Why a reload changed nothing."""

    problems: tuple[Place, ...]


class ErrorAnswer(msgspec.Struct, frozen=True):
    error: Error


class ReloadErrorAnswer(msgspec.Struct, frozen=True):
    error: ErrorWithProblems


class ReloadAnswer(msgspec.Struct, frozen=True):
    """What a reload changed, or in a dry run would change."""

    changes: tuple[str, ...]
    applied: bool


class CollectorCount(msgspec.Struct, frozen=True):
    ok: int
    failed: int


class SnapshotEvent(msgspec.Struct, frozen=True):
    """A new snapshot is there."""

    snapshot_id: int
    age_seconds: float
    time: datetime
    collectors: CollectorCount


class Refused(Exception):
    """A request is not served; raised by any handler, turned into an answer in one place."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        problems: tuple[Place, ...] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.problems = problems


def request_id() -> str:
    """A name for one answer that is not what was asked for; the log has it where there is more to say."""
    return secrets.token_hex(8)


def headers(content_type: str, **more: str) -> CIMultiDict[str]:
    """The default headers and these; the names of `more` are written with underscores."""
    result = CIMultiDict(DEFAULT_HEADERS)
    result["Content-Type"] = content_type
    for name, value in more.items():
        result[name.replace("_", "-")] = value
    return result


_JSON_HEADERS = headers(JSON)
_TEXT_HEADERS = headers(TEXT)


def json(answer: msgspec.Struct, status: int = 200, more: Mapping[str, str] | None = None) -> web.Response:
    response = web.Response(body=msgspec.json.encode(answer), status=status, headers=_JSON_HEADERS)
    response.headers.update(more or {})
    return response


def text(line: str) -> web.Response:
    return web.Response(body=line.encode() + b"\n", headers=_TEXT_HEADERS)
