"""Binds the addresses, serves the site, and stops in order."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence

from aiohttp import web

from exporter.web.events import Events
from exporter.web.middleware import Chain
from exporter.web.routes import Router, table
from exporter.web.site import Site

# The library reports every request it cannot parse, with a traceback: one line per byte of garbage a port scan sends.
_quiet = logging.getLogger(f"{__name__}.protocol")
_quiet.setLevel(logging.CRITICAL + 1)

_BACKLOG = 512


class Server:
    """One site on any number of addresses."""

    def __init__(self, site: Site) -> None:
        self._events = Events(site)
        chain = Chain(site.meter, Router(table(site, self._events), site.prefix), site.access)
        self._server = web.Server(chain, access_log=None, logger=_quiet)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=0.1)
        self._tls = site.tls
        self.addresses: list[str] = []

    async def start(self, addresses: Sequence[str]) -> None:
        """Binds all of them or none: an address that cannot be had is named in the OSError."""
        sockets: list[socket.socket] = []
        try:
            for address in addresses:
                sockets.append(await _bind(address))
        except OSError:
            for bound in sockets:
                bound.close()
            raise
        await self._runner.setup()
        for bound in sockets:
            await web.SockSite(self._runner, bound, ssl_context=self._tls, backlog=_BACKLOG).start()
        self.addresses = [_shown(bound) for bound in sockets]
        self._events.start()

    async def stop(self, timeout: float) -> None:
        """Refuses new connections and ends the streams; answers under way get until the timeout."""
        self._events.close()
        for site in self._runner.sites:
            await site.stop()
        self._server.pre_shutdown()  # lets go of connections on which nothing is under way
        # Half for the answers to end by themselves, half for those that were cancelled.
        await self._server.shutdown(timeout / 2)
        await self._runner.cleanup()


async def _bind(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        if not host:
            return _everywhere(int(port))
        found = await asyncio.get_running_loop().getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        # One address per name, as other exporters do: a name with two would need the same free port on both.
        family, _, _, _, where = min(found, key=lambda info: info[0] is not socket.AF_INET)
        return socket.create_server(where[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {address}: {error.strerror}") from error


def _everywhere(port: int) -> socket.socket:
    """All addresses of both families; of the old one alone where the machine has no other."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
    return socket.create_server(("0.0.0.0", port), backlog=_BACKLOG)  # noqa: S104  # what ":port" asks for


def _shown(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if bound.family is socket.AF_INET6 else f"{host}:{port}"
