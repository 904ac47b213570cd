"""Whatever arrives on a connection, the server goes on serving everybody else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fuzz.campaign import Campaign, amounts
from tests.fuzz.requests import visit
from tests.fuzz.visitor import judge, pay
from tests.web.conftest import Running, serving, snapshot

PATIENCE = 10.0  # seconds: a busy machine must not count as a hung server
LATEST = 1.0  # seconds a scrape may take while hostile requests come in


@pytest.fixture
def limits() -> Any:
    """Deadlines short enough for a test to wait for thousands of them."""
    connections = pytest.importorskip("exporter.web.connections", reason="the server here has no deadlines yet")
    return connections.Limits(head=5.0, idle=5.0, write=5.0, farewell=0.1, linger=0.1, sweep=0.05)


class Listener(logging.Handler):
    """Keeps all that is logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def log() -> Iterator[Listener]:
    listener, root = Listener(), logging.getLogger()
    root.addHandler(listener)
    yield listener
    root.removeHandler(listener)


@asynccontextmanager
async def scraping(running: Running) -> AsyncIterator[list[float]]:
    """Scrapes all the while; the page is always the same."""
    times: list[float] = []
    _, page = await running.get("/metrics?name[]=publishing_health_status")

    async def scrape() -> None:
        while True:
            begin = asyncio.get_running_loop().time()
            assert await running.get("/metrics?name[]=publishing_health_status") == (200, page)
            times.append(asyncio.get_running_loop().time() - begin)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(scrape())
    try:
        yield times
    finally:
        assert not task.done() or task.result()  # what it ran into is raised here
        task.cancel()


@amounts(2000)
async def test_every_visit_is_answered_or_ended(amount: int, limits: Any, log: Listener) -> None:
    """No fault of the server, no echo, no traceback; connections end in time and scrapes go on."""
    campaign = Campaign("request to the server")
    broken: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(repr(context)))
    async with serving(limits=limits) as running:
        running.feed.publish(snapshot(1))
        port = int(running.address.rpartition(":")[2])

        async def one(seed: int) -> None:
            coming = visit(campaign.dice(seed), seed)
            judge(coming, await pay(coming, port, PATIENCE))

        async with scraping(running) as times:
            await campaign.concurrently(amount, one)
    slow = [seconds for seconds in times if seconds > LATEST]
    campaign.end()
    assert (broken, slow) == ([], [])
    assert [line for line in log.lines if "zqM" in line or "Traceback" in line or "request failed" in line] == []
    assert len(log.lines) < 100
