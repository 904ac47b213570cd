"""A real Chromium, driven over its debugging protocol."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.programs import program

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


class Tab:
    """One page. What it writes to its console, and what its policy blocks, is in `messages`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._calls = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._events: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.messages: list[str] = []
        self._reader = asyncio.create_task(self._read())

    async def open(self, url: str, *, width: int = 1280, height: int = 800) -> None:
        """Loads a page in a window of this size."""
        await self.call("Page.enable")
        await self.call("Runtime.enable")
        await self.call("Log.enable")
        await self.resize(width, height)
        loaded = self._events["Page.loadEventFired"]
        loaded.clear()
        await self.call("Page.navigate", url=url)
        async with asyncio.timeout(20):
            await loaded.wait()

    async def resize(self, width: int, height: int) -> None:
        size: dict[str, Any] = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.call("Emulation.setDeviceMetricsOverride", **size)

    async def colours(self, scheme: str) -> None:
        """`light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def scripts(self, allowed: bool) -> None:
        await self.call("Emulation.setScriptExecutionDisabled", value=not allowed)

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        options: dict[str, Any] = {"returnByValue": True, "awaitPromise": True}
        done = await self.call("Runtime.evaluate", expression=expression, **options)
        if "exceptionDetails" in done:
            raise AssertionError(done["exceptionDetails"])
        return done["result"].get("value")

    async def until(self, expression: str, seconds: float = 15.0) -> None:
        """Waits until an expression is true."""
        async with asyncio.timeout(seconds):
            while not await self.evaluate(expression):  # the page has no event to wait for
                await asyncio.sleep(0.05)

    async def screenshot(self, file: Path) -> None:
        """The whole page as PNG."""
        done = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(done["data"]))

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol."""
        self._calls += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[self._calls] = answer
        await self._socket.send_json({"id": self._calls, "method": method, "params": parameters})
        async with asyncio.timeout(20):
            return await answer

    async def close(self) -> None:
        self._reader.cancel()
        await self._socket.close()

    async def _read(self) -> None:
        async for message in self._socket:
            event = message.json()
            if "id" in event:
                self._answer(event)
            else:
                self._note(event["method"], event.get("params", {}))

    def _answer(self, event: dict[str, Any]) -> None:
        waiting = self._waiting.pop(event["id"])
        if "error" in event:
            waiting.set_exception(AssertionError(event["error"]))
        else:
            waiting.set_result(event["result"])

    def _note(self, method: str, parameters: dict[str, Any]) -> None:
        if method == "Runtime.consoleAPICalled":
            self.messages.append(" ".join(str(one.get("value")) for one in parameters["args"]))
        elif method == "Runtime.exceptionThrown":
            self.messages.append(str(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.messages.append(parameters["entry"]["text"])
        self._events[method].set()


class Browser:
    """A running browser; every tab is a fresh one."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._port = port

    @asynccontextmanager
    async def tab(self) -> AsyncIterator[Tab]:
        root = f"http://127.0.0.1:{self._port}/json"
        async with self._session.put(f"{root}/new?about:blank") as answer:
            made = await answer.json(content_type=None)
        socket = await self._session.ws_connect(made["webSocketDebuggerUrl"], max_msg_size=64 * 1024 * 1024)
        tab = Tab(socket)
        try:
            yield tab
        finally:
            await tab.close()
            async with self._session.get(f"{root}/close/{made['id']}") as answer:
                await answer.read()


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Browser]:
    """Starts Chromium with its profile in the folder, and ends it with all its processes."""
    process = await asyncio.create_subprocess_exec(
        program("chromium"),
        *_FLAGS,
        f"--user-data-dir={folder}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        port = await _port(folder / "DevToolsActivePort")
        async with aiohttp.ClientSession() as session:
            yield Browser(session, port)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _port(file: Path) -> int:
    async with asyncio.timeout(30):
        while not (file.exists() and "\n" in file.read_text()):  # Chromium tells in no other way
            await asyncio.sleep(0.05)
    return int(file.read_text().splitlines()[0])
