from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest

from exporter.model.snapshot import Snapshot
from exporter.web import server
from exporter.web.events import Events
from tests.web.conftest import Running, serving, snapshot, trouble


@asynccontextmanager
async def stream(site: Running) -> AsyncIterator[aiohttp.ClientResponse]:
    async with site.client.get(site.url("/events"), timeout=aiohttp.ClientTimeout(None)) as answer:
        yield answer


async def block(answer: aiohttp.ClientResponse) -> str:
    async with asyncio.timeout(10):
        return (await answer.content.readuntil(b"\n\n")).decode()


def settings(monkeypatch: pytest.MonkeyPatch, **changed: Any) -> None:
    monkeypatch.setattr(server, "Events", lambda site: Events(site, **changed))


async def test_the_current_snapshot_comes_first_then_every_new_one(site: Running) -> None:
    site.feed.publish(snapshot(7))
    async with stream(site) as answer:
        assert answer.content_type == "text/event-stream"
        retry, identifier, data = (await block(answer)).splitlines()[:3]
        assert retry == "retry: 3000"
        assert identifier == "id: 7"
        assert json.loads(data.removeprefix("data: ")) == {
            "snapshot_id": 7,
            "age_seconds": 4.0,
            "time": "2026-05-28T20:26:36Z",
            "collectors": {"ok": 2, "failed": 0},
        }
        site.feed.publish(trouble(8))
        told = json.loads((await block(answer)).splitlines()[1].removeprefix("data: "))
        assert told["collectors"] == {"ok": 3, "failed": 1}


async def test_before_the_first_snapshot_the_stream_is_open_already(site: Running) -> None:
    async with stream(site) as answer:
        assert await block(answer) == "retry: 3000\n\n"
        site.feed.publish(snapshot(1))
        assert (await block(answer)).startswith("id: 1\n")


async def test_a_quiet_stream_is_kept_open_with_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, ping=0.01)
    async with serving() as site, stream(site) as answer:
        await block(answer)
        assert await block(answer) == ": ping\n\n"


async def test_a_reader_that_left_is_noticed_at_the_next_comment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, ping=0.01)
    async with serving() as site:
        async with stream(site) as answer:
            await block(answer)
        async with asyncio.timeout(10):
            while ("/events", "GET", "200") not in _counted(site):
                await asyncio.sleep(0.01)


async def test_streams_are_limited_and_a_reader_that_left_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, limit=2)
    async with serving() as site:
        async with AsyncExitStack() as stack:
            for _ in range(2):
                await block(await stack.enter_async_context(stream(site)))
            status, body = await site.get("/events")
            assert status == 503
            assert "too_many_streams" in body
        async with asyncio.timeout(10):
            while (await _status(site)) == 503:
                await asyncio.sleep(0)
        assert site.counted()["/events", "GET", "503"] >= 1


async def _status(site: Running) -> int:
    async with stream(site) as answer:
        return answer.status


class Loud(Events):
    """Says so much that the buffers between it and its reader are soon full."""

    def _message(self, snapshot: Snapshot) -> bytes:
        return b":" * 256 * 1024 + b"\n\n"


async def test_a_reader_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "Events", lambda site: Loud(site, patience=0.05))
    async with serving() as site:
        host, _, port = site.address.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(30):
            while ("/events", "GET", "200") not in _counted(site):
                site.feed.publish(snapshot())
                await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await site.server.stop(30.0)  # there is nothing left to wait for
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def _counted(site: Running) -> dict[tuple[str, ...], float]:
    return site.counted() if any(s.family.name == "http_requests_total" for s in site.meter.capture()) else {}


async def test_the_stop_ends_every_stream() -> None:
    async with serving() as site, stream(site) as answer:
        await block(answer)
        await site.server.stop(5.0)
        async with asyncio.timeout(2):
            assert await answer.content.read() == b""
