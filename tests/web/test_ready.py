from __future__ import annotations

import asyncio
import logging
import ssl
import subprocess
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeVar

import pytest
import uvloop

from exporter.engine.threads import DaemonPool
from exporter.exposition.pages import Pages
from exporter.model.metric import Samples
from exporter.model.snapshot import Snapshot
from exporter.web.connections import Limits
from exporter.web.site import Site
from tests.programs import program
from tests.web.conftest import STATUS, Running, serving, snapshot

T = TypeVar("T")


def large(number: int) -> Snapshot:
    keys = tuple((f"{index:0100d}", "webhook") for index in range(60_000))
    return snapshot(number, samples={"health": (Samples(STATUS, keys, (1.0,) * len(keys)),)})


async def connect(site: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = site.address.rpartition(":")
    return await asyncio.open_connection(host, int(port), limit=1024)


async def read(reader: asyncio.StreamReader) -> tuple[dict[str, str], bytes]:
    async with asyncio.timeout(20):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[:-1]
        headers = dict(line.split(": ", 1) for line in head[1:])
        return {"status": head[0], **headers}, await reader.readexactly(int(headers["Content-Length"]))


def request(*lines: str, version: str = "1.1", method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} /metrics HTTP/{version}", "Host: x", *lines, "\r\n"]).encode()


async def test_many_requests_on_one_connection_also_before_the_first_answer(site: Running) -> None:
    site.feed.publish(snapshot())
    reader, writer = await connect(site)
    writer.write(request() * 3)
    first, second, third = [await read(reader) for _ in range(3)]
    assert first == second == third
    assert first[0]["status"] == "HTTP/1.1 200 OK"
    assert first[1].startswith(b"# HELP")
    assert parsedate_to_datetime(first[0]["Date"]).tzinfo
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("asked", [request("Connection: close"), request(version="1.0")])
async def test_a_client_that_wants_the_end_gets_it(site: Running, asked: bytes) -> None:
    site.feed.publish(snapshot())
    reader, writer = await connect(site)
    writer.write(asked)
    async with asyncio.timeout(5):
        answer = await reader.read()
    assert b" 200 OK" in answer.splitlines()[0]
    assert b"publishing_health_status" in answer
    writer.close()
    await writer.wait_closed()


async def test_an_old_client_that_would_stay_is_told_that_it_may_not(site: Running) -> None:
    site.feed.publish(snapshot())
    reader, writer = await connect(site)
    writer.write(request("Connection: keep-alive", version="1.0") * 2)
    headers, _ = await read(reader)
    assert headers["Connection"] == "close"
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_the_next_answer_waits_until_the_last_was_taken(site: Running) -> None:
    site.feed.publish(large(1))
    reader, writer = await connect(site)
    writer.write(request() * 20)
    await reader.readexactly(1)
    for _ in range(20):
        await site.get("/-/healthy")
    assert site.counted()["/metrics", "GET", "200"] == 1
    writer.transport.abort()


async def test_the_heads_of_both_kinds_of_answer_say_the_same(site: Running) -> None:
    site.feed.publish(snapshot())
    reader, writer = await connect(site)
    writer.write(request() + request(method="HEAD"))
    ready, _ = await read(reader)
    async with asyncio.timeout(5):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    assert {"status": head[0], **dict(line.split(": ", 1) for line in head[1:] if line)} == ready
    writer.close()
    await writer.wait_closed()


async def test_a_slow_reader_gets_a_large_page_whole(site: Running) -> None:
    site.feed.publish(large(1))
    reader, writer = await connect(site)
    writer.write(request())
    await reader.readexactly(1)
    site.feed.publish(snapshot(2))  # the page is replaced while it is being read
    assert "publishing_health_status" in (await site.get("/metrics"))[1]
    _, body = await read(reader)
    assert len(body) > 6_000_000
    assert body.count(b"publishing_health_status{") == 60_000
    writer.close()
    await writer.wait_closed()


async def test_a_reader_that_leaves_half_way_disturbs_nobody(site: Running, caplog: pytest.LogCaptureFixture) -> None:
    site.feed.publish(large(1))
    for _ in range(3):
        reader, writer = await connect(site)
        writer.write(request() * 2)
        await reader.readline()
        writer.transport.abort()
    status, _ = await site.get("/metrics")
    assert status == 200
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_reader_that_leaves_before_the_page_is_made_disturbs_nobody() -> None:
    pool, asked, go = DaemonPool("render", 1), asyncio.Event(), asyncio.Event()

    async def gated(call: Callable[[], T]) -> T:
        asked.set()
        await go.wait()
        return await pool(call)

    async with serving(pages=Pages(gated)) as site:
        site.feed.publish(snapshot())
        _, writer = await connect(site)
        writer.write(request())
        await asked.wait()
        writer.transport.abort()
        for _ in range(5):
            await site.get("/-/healthy")  # by then the server has seen it
        go.set()
        status, _ = await site.get("/metrics")
        assert status == 200
        assert site.counted()["/metrics", "GET", "200"] == 2


def certificate(folder: Path) -> ssl.SSLContext:
    key, made = folder / "key.pem", folder / "certificate.pem"
    what = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    subprocess.run(["openssl", *what.split(), "-keyout", key, "-out", made], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    return context


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_page_under_tls_is_handed_over_in_smaller_pieces_and_arrives_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    program("openssl")
    monkeypatch.setattr(Site, "tls", certificate(tmp_path), raising=False)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    async def talk() -> None:
        async with serving(limits=Limits(sweep=0.01, write=0.3)) as site:
            site.feed.publish(large(1))
            host, _, port = site.address.rpartition(":")
            for slow in (False, True):
                reader, writer = await asyncio.open_connection(host, int(port), limit=1024, ssl=trusting)
                writer.write(request())
                if slow:
                    async with asyncio.timeout(20):
                        while not site.counted("http_connections_dropped_total")["write",]:
                            await asyncio.sleep(0.01)
                else:
                    _, body = await read(reader)
                    assert body.count(b"publishing_health_status{") == 60_000
                writer.transport.abort()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(talk())
