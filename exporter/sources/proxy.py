"""A proxy, if one is configured: the environment has no say in it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.model.secret import Secret
from exporter.sources.exchange import Limits, read_head
from exporter.sources.url import Url, parse
from exporter.sources.wire import Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """Where it is, with user and password if it wants them, and the hosts and domains that are asked directly."""

    url: Secret
    bypass: Sequence[str] = ()

    def serves(self, host: str) -> bool:
        names = [name.lower().removeprefix(".") for name in self.bypass]
        return not any(host == name or host.endswith(f".{name}") for name in names)

    def place(self) -> Url:
        """Its own URL, taken apart."""
        url = parse(self.url.reveal())
        if url.scheme != "http":
            raise Failure(Reason.CONFIG, "the url of the proxy must begin with http://")
        return url


async def tunnel(wire: Wire, proxy: Url, url: Url, tls: ssl.SSLContext, server_name: str, limits: Limits) -> None:
    """Has the proxy connect to where the URL leads, and speaks TLS with whoever is there."""
    lines = [f"CONNECT {url.tunnel} HTTP/1.1", f"Host: {url.tunnel}"]
    if proxy.basic:
        lines.append(f"Proxy-Authorization: {proxy.basic}")
    wire.send("\r\n".join([*lines, "", ""]).encode())
    status = (await read_head(wire, limits)).status
    if status != 200 or not wire.idle:
        reason = Reason.AUTH if status == 407 else Reason.CONNECT
        raise Failure(reason, f"the proxy answered {status}")
    loop = asyncio.get_running_loop()
    transport = await loop.start_tls(wire.transport, wire, tls, server_hostname=server_name)
    if transport is None:  # it was lost meanwhile
        raise EOFError
    wire.secured(transport, tls)
