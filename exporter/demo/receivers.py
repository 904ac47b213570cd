"""Receivers that answer the way the real services answer a probe: one well, one slow, one that comes and goes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

TLS = Path(__file__).parent / "tls"
CA_FILE = TLS / "demo-ca.pem"
SLOW = 1.5  # seconds; above the latency from which a target counts as degraded

Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something is out of order: `works` seconds fine, `fails` seconds not, over and over.

    The first time it fails after half a `works`, so that a visitor sees the change soon.
    """

    works: float
    fails: float

    def failing(self, elapsed: float) -> bool:
        """Whether it is out of order this many seconds after the start."""
        return (elapsed + self.works / 2) % (self.works + self.fails) >= self.works


def _write_only(status: int) -> web.Response:
    """What an endpoint made for POST tells everybody else."""
    return web.Response(status=status, headers={"Allow": "POST"})


async def rootly(request: web.Request) -> web.Response:
    """The API's base answers anybody; an incident is created by POST."""
    if request.method == "POST":
        return web.json_response({"data": {"type": "incidents", "id": "demo"}}, status=201)
    return web.json_response({"data": []})


async def slack(request: web.Request) -> web.Response:
    """An incoming webhook that takes its time; without a payload it calls the request bad."""
    await asyncio.sleep(SLOW)
    return web.Response(text="ok") if request.method == "POST" else web.Response(text="invalid_payload", status=400)


async def revoked_slack(request: web.Request) -> web.Response:
    """An incoming webhook somebody has removed: its address answers, alerts sent there are lost."""
    return web.Response(text="no_service", status=404)


def pagerduty(schedule: Schedule, monotonic: Callable[[], float]) -> Handler:
    """The events endpoint, out of order by the schedule from now on."""
    started = monotonic()

    async def handle(request: web.Request) -> web.Response:
        if schedule.failing(monotonic() - started):
            return web.json_response({"status": "unavailable"}, status=503)
        if request.method == "POST":
            return web.json_response({"status": "success", "message": "Event processed"}, status=202)
        return _write_only(405)

    return handle


async def webhook(request: web.Request) -> web.Response:
    """Somebody's own receiver."""
    return web.json_response({}) if request.method == "POST" else _write_only(405)


def server_tls() -> ssl.SSLContext:
    """The demo's own certificate: it holds for loopback names only, and its authority's key no longer exists."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "demo-server.pem", TLS / "demo-server-key.pem")
    return context


class Receivers:
    """Servers on ports of the loopback address that the system chose."""

    def __init__(self) -> None:
        self._runners: list[web.AppRunner] = []

    async def serve(self, handle: Handler, tls: ssl.SSLContext | None = None) -> int:
        """Starts one receiver and returns its port."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        # Whoever hangs up need not be answered: requests that are made to wait must not pile up.
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        port: int = runner.addresses[0][1]
        return port

    async def close(self) -> None:
        """Stops them all; a request under way is cut off."""
        while self._runners:
            await self._runners.pop().cleanup()
