"""Binds the addresses, serves the site, and stops in order."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from exporter.web.complaints import Complaints
from exporter.web.connections import Connections, Limits
from exporter.web.door import Door
from exporter.web.events import Events
from exporter.web.middleware import Chain
from exporter.web.routes import Router, table
from exporter.web.site import Site

# How many may wait to be let in, as far as the system allows: in a flood a scraper that finds no place there comes back
# only after a second. The loop lets in fewer at once, or it would have them all before the first is dropped again.
_QUEUE, _AT_ONCE = 4096, 128


class Server:
    """One site on any number of addresses."""

    def __init__(self, site: Site, limits: Limits | None = None) -> None:
        self._events = Events(site)
        complain = Complaints()
        chain = Chain(site.meter, Router(table(site, self._events), site.prefix), complain, site.access)
        self._connections = Connections(chain, chain.malformed, site.meter, limits or Limits(), complain)
        self._tls = site.tls
        self._listeners: list[asyncio.Server | Door] = []
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
        for bound in sockets:
            self._listeners.append(await self._listen(bound))
        self.addresses = [_shown(bound) for bound in sockets]
        self._events.start()

    async def _listen(self, bound: socket.socket) -> asyncio.Server | Door:
        if self._tls is not None:
            return Door(bound, self._connections, self._tls, self._connections.most // 2)
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(self._connections, sock=bound, backlog=_AT_ONCE)
        bound.listen(_QUEUE)
        return listener

    async def stop(self, timeout: float) -> None:
        """Refuses new connections and ends the streams; answers under way get until the timeout."""
        self._events.close()
        for listener in self._listeners:
            listener.close()
        await self._connections.close(timeout)


async def _bind(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        if not host:
            return _everywhere(int(port))
        found = await asyncio.get_running_loop().getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        # One address per name, as other exporters do: a name with two would need the same free port on both.
        family, _, _, _, where = min(found, key=lambda info: info[0] is not socket.AF_INET)
        return socket.create_server(where[:2], family=family, backlog=_QUEUE)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {address}: {error.strerror}") from error


def _everywhere(port: int) -> socket.socket:
    """All addresses of both families; of the old one alone where the machine has no other."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_QUEUE)
    return socket.create_server(("0.0.0.0", port), backlog=_QUEUE)  # noqa: S104  # what ":port" asks for


def _shown(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if bound.family is socket.AF_INET6 else f"{host}:{port}"
