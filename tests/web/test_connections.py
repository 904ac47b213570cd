from __future__ import annotations

import asyncio
import logging
import resource
import select
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
import uvloop

from exporter.model.metric import Samples
from exporter.model.problem import Reloaded
from exporter.model.snapshot import Snapshot
from exporter.web.connections import MOST, Drop, Limits
from tests.web.conftest import STATUS, Running, serving, snapshot

HEALTHY = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
METRICS = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK"


FAST = Limits(sweep=0.01)


class Client:
    """A bare connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def all(self) -> bytes:
        """Everything until the server ends the connection, however it does."""
        found = b""
        async with asyncio.timeout(20):
            with suppress(ConnectionError):
                while piece := await self._reader.read(65536):
                    found += piece
        return found

    async def head(self) -> bytes:
        async with asyncio.timeout(20):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> bytes:
        head = await self.head()
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        async with asyncio.timeout(20):
            return head + await self._reader.readexactly(length)


@asynccontextmanager
async def connected(site: Running, first: bytes = b"", **options: Any) -> AsyncIterator[Client]:
    host, _, port = site.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024, **options)
    writer.write(first)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


def large(number: int = 1) -> Snapshot:
    keys = tuple((f"{index:0100d}", "webhook") for index in range(60_000))
    return snapshot(number, samples={"health": (Samples(STATUS, keys, (1.0,) * len(keys)),)})


def dropped(site: Running, reason: str) -> float:
    return site.counted("http_connections_dropped_total")[reason,]


def open_now(site: Running) -> float:
    return site.counted("http_connections")[()]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


# -- deadlines


@pytest.mark.parametrize("first", [b"G", b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"GET / HT" + b"x" * 10_000])
async def test_a_head_that_does_not_end_is_cut_off(first: bytes) -> None:
    async with serving(limits=Limits(sweep=0.01, head=0.05)) as site, connected(site, first) as client:
        answer = await client.all()
        assert answer == b"" or answer.startswith(b"HTTP/1.0 400 ")
        await until(lambda: open_now(site) == 0)
        assert dropped(site, "head") == (0 if answer else 1)


async def test_dripping_does_not_lengthen_the_time_for_a_head() -> None:
    async with serving(limits=Limits(sweep=0.01, head=0.2)) as site, connected(site, b"GET / HTTP/1.1\r\n") as client:
        ended = asyncio.create_task(client.all())
        while not ended.done():
            client.writer.write(b"X-A: b\r\n")
            await asyncio.sleep(0.02)
        assert await ended == b""
        assert dropped(site, "head") == 1


async def test_the_second_head_of_a_connection_has_a_deadline_too() -> None:
    async with (
        serving(limits=Limits(sweep=0.01, head=0.05)) as site,
        connected(site, HEALTHY) as client,
    ):
        assert (await client.answer()).startswith(OK)
        client.writer.write(HEALTHY[:20])
        assert await client.all() == b""
        assert dropped(site, "head") == 1


@pytest.mark.parametrize("first", [b"", HEALTHY])
async def test_a_connection_nobody_uses_is_closed(first: bytes) -> None:
    async with serving(limits=Limits(sweep=0.01, idle=0.05)) as site, connected(site, first) as client:
        assert (await client.all()).startswith(OK if first else b"")
        await until(lambda: dropped(site, "idle") == 1)
        assert open_now(site) == 0


async def test_a_long_answer_is_waited_for() -> None:
    go = asyncio.Event()

    async def reload(dry_run: bool) -> Reloaded:
        await go.wait()
        return Reloaded()

    limits = Limits(sweep=0.005, head=0.01, idle=0.01, write=0.01, answer=0.01)
    asked = b"POST /-/reload HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serving(limits=limits, enable_lifecycle=True, reload=reload) as site, connected(site, asked) as client:
        async with connected(site) as other:
            await other.all()  # its time was up, and so would have been that of the first
        go.set()
        assert (await client.answer()).startswith(OK)


@pytest.mark.parametrize("asked", [METRICS, METRICS.replace(b"1.1", b"1.0"), METRICS.replace(b" HTTP", b"?x=1 HTTP")])
async def test_a_reader_that_takes_nothing_of_a_large_page_is_cut_off(asked: bytes) -> None:
    async with serving(limits=Limits(sweep=0.01, write=0.1)) as site:
        site.feed.publish(large())
        async with connected(site, asked) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: dropped(site, "write") == 1)
            await until(lambda: open_now(site) == 0)
            # It is told so, although it takes nothing: the system keeps none of it either.
            poll = select.poll()
            poll.register(client.writer.get_extra_info("socket"), 0)
            await until(lambda: bool(poll.poll(0)))


async def test_a_reader_that_takes_a_little_now_and_then_has_to_be_done_in_the_end() -> None:
    async with serving(limits=Limits(sweep=0.01, write=60.0, answer=0.3)) as site:
        site.feed.publish(large())
        async with connected(site, METRICS) as client:
            await client.head()
            await until(lambda: dropped(site, "write") == 1)


async def test_a_slow_reader_that_goes_on_gets_everything() -> None:
    async with serving(limits=Limits(sweep=0.005, write=5.0, idle=0.01)) as site:
        site.feed.publish(large())
        async with connected(site, METRICS.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) as client:
            body = (await client.head(), await client.all())[1]
            assert body.count(b"publishing_health_status{") == 60_000
        assert dropped(site, "write") == 0


# -- how many


async def test_at_the_limit_the_longest_unused_one_makes_room(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(limits=Limits(connections=3)) as site:
        async with connected(site, HEALTHY) as used:
            await used.answer()
            async with connected(site, b"GET") as second, connected(site) as third:
                await until(lambda: open_now(site) == 3)
                async with connected(site, HEALTHY) as newcomer:
                    assert (await newcomer.answer()).startswith(OK)
                    assert await second.all() == b""
                    async with connected(site, HEALTHY) as another:
                        assert (await another.answer()).startswith(OK)
                        assert await third.all() == b""
                    used.writer.write(HEALTHY)
                    assert (await used.answer()).startswith(OK)
        assert dropped(site, "full") == 2
    assert [record.getMessage() for record in caplog.records if record.name.startswith("exporter")] == [
        "too many connections, the longest unused one is dropped"
    ]


async def test_if_all_have_been_used_the_one_whose_last_request_is_longest_ago_makes_room() -> None:
    async with (
        serving(limits=Limits(connections=2)) as site,
        connected(site, HEALTHY) as first,
        connected(site, HEALTHY) as second,
    ):
        await first.answer()
        await second.answer()
        first.writer.write(HEALTHY)
        await first.answer()
        async with connected(site, HEALTHY) as third:
            assert (await third.answer()).startswith(OK)
            assert await second.all() == b""


async def test_an_answer_under_way_is_not_given_up_for_a_newcomer_unless_there_is_nothing_else() -> None:
    asked = 0

    async def reload(dry_run: bool) -> Reloaded:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()
        return Reloaded()

    reloading = b"POST /-/reload HTTP/1.1\r\nHost: x\r\n\r\n"
    async with (
        serving(limits=Limits(connections=2), enable_lifecycle=True, reload=reload) as site,
        connected(site, reloading) as first,
        connected(site, HEALTHY) as idle,
    ):
        await idle.answer()
        await until(lambda: asked == 1)
        async with connected(site, reloading):
            assert await idle.all() == b""
            await until(lambda: asked == 2)
            async with connected(site, HEALTHY) as third:
                assert (await third.answer()).startswith(OK)
                assert await first.all() == b""


async def test_a_request_that_is_found_on_a_dropped_connection_leaves_nothing_behind() -> None:
    async with serving(limits=Limits(connections=1)) as site:
        for _ in range(50):
            async with connected(site, HEALTHY), connected(site, HEALTHY), connected(site, HEALTHY) as last:
                assert (await last.answer()).startswith(OK)
        await until(lambda: open_now(site) == 0)
        connections = site.server._connections
        here, there = socket.socketpair()
        with there:
            _, late = await asyncio.get_running_loop().connect_accepted_socket(connections, here)
            await until(lambda: len(connections) == 1)
            connections.drop(late, Drop.FULL)
            late.begin()
            assert len(connections) == 0


@pytest.mark.parametrize(
    ("allowed", "most"), [(64, 32), (1024, 512), (1_048_576, MOST), (resource.RLIM_INFINITY, MOST), (10, 8)]
)
def test_half_of_the_descriptors_are_for_connections(monkeypatch: pytest.MonkeyPatch, allowed: int, most: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (allowed, allowed))
    assert Limits().most() == most


# -- how they end


async def test_a_client_that_closes_its_half_gets_its_answer_and_then_the_end() -> None:
    async with serving(limits=Limits(sweep=0.01, farewell=60.0)) as site:
        site.feed.publish(large())
        for asked in (HEALTHY, METRICS):
            async with connected(site, asked) as client:
                client.writer.write_eof()
                answer = await client.all()
                assert answer.startswith(OK)
                assert len(answer) == answer.index(b"\r\n\r\n") + 4 + int(
                    answer.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
                )
        await until(lambda: open_now(site) == 0)


@pytest.mark.parametrize("first", [b"", b"GET / HT", HEALTHY + b"GET / HT"])
async def test_a_client_that_closes_its_half_without_a_request_is_let_go(first: bytes) -> None:
    async with serving(limits=Limits(sweep=0.01, farewell=0.02)) as site, connected(site, first) as client:
        if first.startswith(HEALTHY):
            await client.answer()
        client.writer.write_eof()
        assert await client.all() == b""
        await until(lambda: open_now(site) == 0)


async def test_a_reset_in_the_middle_of_anything_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(limits=FAST) as site:
        site.feed.publish(large())
        for first in (
            b"",
            b"GET",
            HEALTHY,
            METRICS,
            METRICS * 5,
            b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x16\x03",
        ):
            for patience in (0.0, 0.01):
                host, _, port = site.address.rpartition(":")
                bare = socket.create_connection((host, int(port)))
                bare.sendall(first)
                await asyncio.sleep(patience)
                bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                bare.close()
        await until(lambda: open_now(site) == 0)
        assert (await site.get("/-/healthy"))[0] == 200
    heard = [r.getMessage() for r in caplog.records if r.name.startswith(("exporter", "aiohttp", "asyncio"))]
    assert {line for line in heard if "selector" not in line} <= {"a request is malformed, its connection is closed"}


async def test_the_stop_cuts_whoever_does_not_read() -> None:
    async with serving(limits=FAST) as site:
        site.feed.publish(large())
        async with connected(site, METRICS) as reader, connected(site, b"GET") as half, connected(site) as silent:
            await reader.head()
            await until(lambda: open_now(site) == 3)
            async with asyncio.timeout(5):
                await site.server.stop(0.2)
            assert len(await reader.all()) < 6_000_000
            assert await half.all() == await silent.all() == b""
        await until(lambda: open_now(site) == 0)


async def test_whoever_comes_while_it_stops_is_sent_away(site: Running) -> None:
    await site.server.stop(1.0)
    here, there = socket.socketpair()
    with there:
        transport, _ = await asyncio.get_running_loop().connect_accepted_socket(site.server._connections, here)
        async with asyncio.timeout(5):
            while not transport.is_closing():
                await asyncio.sleep(0)
        assert open_now(site) == 0


async def test_hundreds_whose_time_is_up_together_all_go() -> None:
    async with serving(limits=Limits(sweep=0.01, idle=0.3)) as site, AsyncExitStack() as stack:
        for _ in range(600):
            await stack.enter_async_context(connected(site))
        await until(lambda: open_now(site) == 0)
        assert dropped(site, "idle") == 600


# -- what is not looked at


async def ask(site: Running, data: bytes) -> bytes:
    async with connected(site, data) as client:
        return await client.all()


LINES = b"".join(b"X-%d: %b\r\n" % (at, b"y" * 7000) for at in range(100))


@pytest.mark.parametrize(
    "data",
    [
        b"GET /-/healthy HTTP/1.1\r\n\r\n",
        b"GET /-/healthy HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /-/healthy\r\n\r\n",
        b"GET /-/healthy HTTP/9.9\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"FOO /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n" + LINES + b"\r\n",
        b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody",
        b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: -4\r\n\r\nbody",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + bytes(500),
        b"\xff" * 100,
    ],
)
async def test_what_is_malformed_gets_one_plain_answer(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(enable_lifecycle=True, limits=FAST) as site:
        for _ in range(3):
            answer = await ask(site, data)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.split()[1] == b"400"
            assert b"\r\nServer: platform-exporter\r\n" in head
            assert body.startswith(b'{"error":{"code":"malformed","message":"this is not a request of HTTP/1.1",')
            assert body.count(b'"error"') == 1
        assert site.counted() == {("other", "other", "400"): 3}
        assert site.reloads == []
        await until(lambda: open_now(site) == 0)
    assert "Traceback" not in caplog.text
    heard = [r.getMessage() for r in caplog.records if r.name.startswith(("exporter", "aiohttp"))]
    assert heard == ["a request is malformed, its connection is closed"]


@pytest.mark.parametrize("target", ["POST /-/reload", "GET /metrics", "PUT /metrics", "POST /nope"])
@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (b"Content-Length: 4\r\n\r\nbody", {400, 405, 404}),
        (b"Content-Length: 4\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00", {400, 405, 404}),
        (b"Content-Length: 3000000\r\n\r\n" + bytes(3_000_000), {413, 405, 404}),
        (b"Content-Length: 3000000\r\n\r\n", {413, 405, 404}),
        (b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", {413, 405, 404}),
        (b"Transfer-Encoding: chunked\r\n\r\n" + b"4\r\nbody\r\n" * 300_000, {413, 400, 405, 404}),
    ],
)
async def test_a_body_is_refused_and_not_read(target: str, body: bytes, codes: set[int]) -> None:
    async with serving(enable_lifecycle=True, limits=Limits(sweep=0.01, linger=0.05)) as site:
        answer = await ask(site, target.encode() + b" HTTP/1.1\r\nHost: x\r\n" + body)
        assert int(answer.split()[1]) in codes
        assert b"\r\nConnection: close\r\n" in answer or answer.startswith(b"HTTP/1.0")
        assert answer.count(b'"error"') == 1
        assert site.reloads == []
        await until(lambda: open_now(site) == 0)


async def test_what_follows_a_refused_body_is_no_request() -> None:
    async with serving(enable_lifecycle=True, limits=Limits(sweep=0.01, linger=0.05)) as site:
        hidden = b"POST /-/reload HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = await ask(site, b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody" + hidden * 3)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert site.reloads == []


@pytest.mark.parametrize(
    "test",
    [
        test_dripping_does_not_lengthen_the_time_for_a_head,
        test_the_second_head_of_a_connection_has_a_deadline_too,
        test_a_reader_that_takes_a_little_now_and_then_has_to_be_done_in_the_end,
        test_a_slow_reader_that_goes_on_gets_everything,
        test_an_answer_under_way_is_not_given_up_for_a_newcomer_unless_there_is_nothing_else,
        test_a_request_that_is_found_on_a_dropped_connection_leaves_nothing_behind,
        test_a_client_that_closes_its_half_gets_its_answer_and_then_the_end,
        test_the_stop_cuts_whoever_does_not_read,
    ],
)
def test_it_is_the_same_on_the_other_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test())


class Writing:
    """As much of a transport as a look at it needs: something waits to be taken."""

    def get_write_buffer_size(self) -> int:
        return 5


async def test_what_is_written_before_the_first_answer_has_its_time_too(site: Running) -> None:
    """Encryption sends on its own account: a look at that moment must not take it for an answer nobody reads."""
    connection = site.server._connections()
    connection.connection_made(Writing())  # type: ignore[arg-type]
    now = asyncio.get_running_loop().time()
    assert connection.overdue(now) is None
    assert connection.overdue(now + Limits().write + 1) is Drop.WRITE
    connection.owner.forget(connection)
