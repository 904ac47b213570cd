"""A receiver on a thread, for tests that wait on real processes: it can change its ways, go and come back."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.fakes.remote import Script, answer, says

T = TypeVar("T")

FINE = says(answer(200))


class Background:
    """An event loop on a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine there, and returns what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10.0)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5.0)
        self.loop.close()


class Receiver:
    """Listens on one port for as long as it is open, and treats every connection as its script says at that time."""

    def __init__(self, background: Background, script: Script = FINE) -> None:
        self.script = script
        self.port = 0
        self.heads: list[str] = []
        self.open_now = 0
        self.most_open = 0
        self._background = background
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.open()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def open(self) -> None:
        """Listens, on the same port each time."""
        self._background.run(self._open())

    def close(self) -> None:
        """Hangs up and listens no more: whoever comes is refused."""
        self._background.run(self._close())

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            # A connection that was taken and has no transport yet would be left lying by a server that has closed.
            for listening in self._server.sockets:
                asyncio.get_running_loop().remove_reader(listening.fileno())
            await _some_turns()
            self._server.close()
            self._server = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _some_turns()  # and is gone

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            writer.transport.abort()
            return
        task = asyncio.ensure_future(self._handle(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads = [*self.heads[-99:], head]
            await self.script(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open_now -= 1
            writer.close()


async def _some_turns() -> None:
    """From being taken to having a handler, or to being gone, a connection needs a few turns of the loop."""
    for _ in range(8):
        await asyncio.sleep(0)


class BlackHole:
    """A port whose queue is full: connections to it are neither taken nor refused."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._waiting = [socket.socket() for _ in range(4)]
        for waiting in self._waiting:
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", self.port))

    def close(self) -> None:
        for waiting in (*self._waiting, self._listener):
            waiting.close()
