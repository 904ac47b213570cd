"""A remote that answers each request with the answer of the seed it asks for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.fuzz.answers import Played

_ASKED = re.compile(rb"^[A-Z]+ /(\d+) ")


class _Talk(asyncio.Protocol):
    def __init__(self, answers: Callable[[int], Played], talks: set[_Talk]) -> None:
        self._answers = answers
        self._talks = talks
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._talks.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._talks.discard(self)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, end, self._heard = self._heard.partition(b"\r\n\r\n")
        if not end:
            self._heard = head
            return
        asked = _ASKED.match(head)
        assert asked is not None
        answer = self._answers(int(asked[1]))
        self.transport.write(answer.data)
        if answer.ending == "close":
            self.transport.close()
        elif answer.ending == "abort":
            self.transport.abort()


@asynccontextmanager
async def answering(answers: Callable[[int], Played]) -> AsyncIterator[str]:
    """Serves the answers; gives the start of the URL that a seed is put behind."""
    talks: set[_Talk] = set()
    server = await asyncio.get_running_loop().create_server(lambda: _Talk(answers, talks), "127.0.0.1", 0, backlog=512)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for talk in list(talks):
            talk.transport.abort()
        await server.wait_closed()
