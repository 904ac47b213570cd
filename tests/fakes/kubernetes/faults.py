"""What can be wrong with an answer, to be switched on and off at any time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from tests.fakes.kubernetes import shapes
from tests.fakes.kubernetes.recording import Asked

# None: the request is answered as if nothing were wrong.
Fault = Callable[[web.Request, Asked], Awaitable[web.StreamResponse | None]]

GONE = shapes.event("ERROR", shapes.status(410, "too old resource version"))
MALFORMED = b'{"type":"ADDED","object":{"metadata":{"name":"half\n'
UNKNOWN_EVENT = shapes.event("RENAMED", b'{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x"}}')
_MEBIBYTE = 1 << 20


def refuses(code: int, retry_after: int | None = None) -> Fault:
    """An error of the API: 401, 403, 410, 429, 500, 503."""

    async def fault(request: web.Request, asked: Asked) -> web.StreamResponse:
        return refusal(code, asked, retry_after)

    return fault


def says_html(code: int = 200) -> Fault:
    """A proxy in between has its own idea of an answer."""

    async def fault(request: web.Request, asked: Asked) -> web.StreamResponse:
        return web.Response(status=code, text="<!DOCTYPE html><title>Sign in</title>", content_type="text/html")

    return fault


def says(*parts: bytes, stays: bool = False) -> Fault:
    """A stream of exactly this, which ends then, or stays open without another word."""

    async def fault(request: web.Request, asked: Asked) -> web.StreamResponse:
        response = await _stream(request)
        for part in parts:
            await response.write(part)
        if stays:
            await asyncio.Event().wait()
        return response

    return fault


def says_long_line(size: int = 50 * _MEBIBYTE) -> Fault:
    """A line of a watch, as long as this, of no use to anyone."""
    return says(b'{"type":"ADDED","object":{"metadata":{"name":"', *[b"x" * _MEBIBYTE] * (size // _MEBIBYTE), b'"}}}\n')


def slow(seconds: float) -> Fault:
    """The answer is right but takes its time."""

    async def fault(request: web.Request, asked: Asked) -> None:
        await asyncio.sleep(seconds)

    return fault


async def silent(request: web.Request, asked: Asked) -> web.StreamResponse | None:
    """Takes the request and never answers."""
    await asyncio.Event().wait()
    return None


async def drips(request: web.Request, asked: Asked) -> web.StreamResponse | None:
    """A space now and then, for ever: never quite silent, never an answer."""
    response = await _stream(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.05)


async def drops(request: web.Request, asked: Asked) -> web.StreamResponse | None:
    """Hangs up instead of answering."""
    await hang_up(request)
    return None


ends_at_once = says()


@dataclass
class _Switched:
    fault: Fault
    verbs: tuple[str, ...]
    namespace: str | None
    times: int | None

    def takes(self, asked: Asked) -> bool:
        if asked.verb not in (self.verbs or (asked.verb,)) or self.namespace not in (None, asked.namespace):
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Faults:
    """The faults that are switched on; of several that fit a request the latest counts."""

    def __init__(self) -> None:
        self._on: list[_Switched] = []

    def fail(self, fault: Fault, *verbs: str, namespace: str | None = None, times: int | None = None) -> None:
        """Switches a fault on, for some verbs (all without any), one namespace, so many times."""
        self._on = [*self._on, _Switched(fault, verbs, namespace, times)]

    def heal(self) -> None:
        """Switches all faults off."""
        self._on = []

    def of(self, asked: Asked) -> Fault | None:
        for switched in reversed(self._on):
            if switched.times != 0 and switched.takes(asked):
                return switched.fault
        return None


def refusal(code: int, asked: Asked, retry_after: int | None = None) -> web.Response:
    message = f"the fake server says {code}"
    if code == 403:
        message = f'{asked.resource} is forbidden: cannot {asked.verb} resource "{asked.resource}" in {asked.namespace}'
    if retry_after is None:
        return web.Response(status=code, body=shapes.status(code, message), content_type="application/json")
    body = shapes.status(code, message, retryAfterSeconds=retry_after)
    headers = {"Retry-After": str(retry_after)}
    return web.Response(status=code, body=body, content_type="application/json", headers=headers)


async def hang_up(request: web.Request) -> None:
    """Ends the connection as it is, and with it whoever calls this."""
    if request.transport is not None:
        request.transport.abort()
    await asyncio.Event().wait()


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    return response
