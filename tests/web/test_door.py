from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop

from exporter.web import door
from exporter.web.connections import Limits
from exporter.web.site import Site
from tests.programs import program
from tests.web.conftest import Running, serving

REQUEST = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
Run = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture(autouse=True)
def encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every site speaks TLS."""
    key, made = tmp_path / "key.pem", tmp_path / "certificate.pem"
    what = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    subprocess.run([program("openssl"), *what.split(), "-keyout", key, "-out", made], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    monkeypatch.setattr(Site, "tls", context, raising=False)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs something on each of the loops there are."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:

        async def awaited(work: Callable[[], Awaitable[None]]) -> None:
            await work()

        yield lambda work: runner.run(awaited(work))


def where(site: Running) -> tuple[str, int]:
    host, _, port = site.address.rpartition(":")
    return host, int(port)


async def fetch(site: Running) -> bytes:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*where(site), ssl=trusting)
        writer.write(REQUEST)
        answer = await reader.read()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return answer


async def ended(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            return await reader.read()
    return b""


async def descriptors(wanted: int) -> None:
    async with asyncio.timeout(10):
        while len(os.listdir("/proc/self/fd")) > wanted:
            await asyncio.sleep(0.01)


def test_those_that_say_nothing_keep_nobody_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PATIENCE", 600.0)

    async def work() -> None:
        async with serving(limits=Limits(connections=8)) as site:
            assert b"200 OK" in await fetch(site)
            before = len(os.listdir("/proc/self/fd"))
            crowd = [await asyncio.open_connection(*where(site)) for _ in range(30)]
            assert b"200 OK" in await fetch(site)
            for reader, _ in crowd[:20]:
                assert await ended(reader) == b""
            for _, writer in crowd:
                writer.transport.abort()
            await descriptors(before)

    run(work)


def test_time_to_agree_is_limited(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PATIENCE", 0.05)

    async def work() -> None:
        async with serving() as site:
            await fetch(site)  # a loop keeps some for itself from its first connection on
            before = len(os.listdir("/proc/self/fd"))
            reader, writer = await asyncio.open_connection(*where(site))
            writer.write(b"\x16\x03\x01")
            assert await ended(reader) == b""
            writer.transport.abort()
            await descriptors(before)

    run(work)


def test_whoever_does_not_speak_tls_is_let_go_without_a_word(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        async with serving() as site:
            await fetch(site)  # a loop keeps some for itself from its first connection on
            before = len(os.listdir("/proc/self/fd"))
            for first in (REQUEST, b"\xff" * 100, b"\x16\x03\x01\x00\x01\x00"):
                reader, writer = await asyncio.open_connection(*where(site))
                writer.write(first)
                writer.write_eof()
                assert b"200" not in await ended(reader)
                writer.transport.abort()
            assert b"200 OK" in await fetch(site)
            await descriptors(before)

    run(work)
    assert caplog.records == []


def test_without_descriptors_it_waits_for_some(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with serving() as site:
            loop = asyncio.get_running_loop()
            refused = 0

            async def accept(bound: object) -> None:
                nonlocal refused
                refused += 1
                raise OSError(24, "Too many open files")

            if isinstance(loop, uvloop.Loop):
                return  # nothing of it can be replaced
            with monkeypatch.context() as patched:
                patched.setattr(loop, "sock_accept", accept)
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await fetch(site)  # the accept that is under way
                        await fetch(site)
            assert 0 < refused < 10
            assert b"200 OK" in await fetch(site)

    run(work)


def test_the_stop_closes_it_for_those_inside_too(run: Run) -> None:
    async def work() -> None:
        async with serving() as site:
            reader, writer = await asyncio.open_connection(*where(site))
            await fetch(site)
            await site.server.stop(1.0)
            assert await ended(reader) == b""
            with pytest.raises(OSError):
                await fetch(site)
            writer.transport.abort()

    run(work)
