"""Where clients come in that have to agree on encryption first.

The loop's own server tells of a connection only when that is done. Until then nobody would count it, and a thousand
that open one and say nothing would have all descriptors.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

PATIENCE, FAREWELL = 10.0, 1.0  # to agree on encryption, and to end it
_BREATH = 0.1  # when there is no descriptor left


class Door:
    """One listening socket. Of those that do not agree in time the one that came first goes for a newcomer."""

    def __init__(self, bound: socket.socket, factory: Callable[[], asyncio.Protocol], tls: ssl.SSLContext, most: int):
        self._bound = bound
        self._factory = factory
        self._tls = tls
        self._most = most
        self._agreeing: dict[asyncio.Task[None], None] = {}
        bound.setblocking(False)
        self._work = asyncio.get_running_loop().create_task(self._let_in(), name="door")

    def close(self) -> None:
        self._work.cancel()
        for task in self._agreeing:
            task.cancel()
        self._bound.close()

    async def _let_in(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._bound)
            except OSError:
                await asyncio.sleep(_BREATH)
                continue
            if len(self._agreeing) >= self._most:
                first = next(iter(self._agreeing))
                del self._agreeing[first]
                first.cancel()
            task = loop.create_task(self._agree(client))
            self._agreeing[task] = None
            task.add_done_callback(self._agreed)

    async def _agree(self, client: socket.socket) -> None:
        with suppress(OSError):  # whoever only tries, or has no business here
            await asyncio.get_running_loop().connect_accepted_socket(
                self._factory,
                client,
                ssl=self._tls,
                ssl_handshake_timeout=PATIENCE,
                ssl_shutdown_timeout=FAREWELL,
            )

    def _agreed(self, task: asyncio.Task[None]) -> None:
        self._agreeing.pop(task, None)
