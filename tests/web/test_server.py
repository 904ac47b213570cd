from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import aiohttp
import pytest

from exporter.model.problem import Reloaded
from exporter.web.server import Server
from tests.web.conftest import Running, serving, snapshot


async def fetch(address: str) -> int:
    async with aiohttp.ClientSession() as client, client.get(f"http://{address}/-/healthy") as answer:
        return answer.status


@pytest.mark.parametrize(
    ("address", "begin"), [("127.0.0.1:0", "127.0.0.1:"), ("[::1]:0", "[::1]:"), ("localhost:0", "127.0.0.1:")]
)
async def test_listens_on_names_and_on_addresses_of_both_families(address: str, begin: str) -> None:
    async with serving(addresses=[address]) as site:
        assert site.address.startswith(begin)
        assert not site.address.endswith(":0")
        assert await fetch(site.address) == 200


async def test_a_bare_port_is_every_address() -> None:
    async with serving(addresses=[":0"]) as site:
        port = site.address.rpartition(":")[2]
        assert await fetch(f"127.0.0.1:{port}") == 200
        assert await fetch(f"[::1]:{port}") == 200


async def test_a_bare_port_works_on_a_machine_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    async with serving(addresses=[":0"]) as site:
        assert site.address.startswith("0.0.0.0:")
        assert await fetch(f"127.0.0.1:{site.address.rpartition(':')[2]}") == 200


async def test_several_addresses_serve_the_same() -> None:
    async with serving(addresses=["127.0.0.1:0", "127.0.0.1:0"]) as site:
        first, second = site.server.addresses
        assert first != second
        assert await fetch(first) == await fetch(second) == 200


async def test_an_address_in_use_is_named_and_none_is_kept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        address, other = (f"127.0.0.1:{one.getsockname()[1]}" for one in (taken, free))
        free.close()
        with pytest.raises(OSError, match=f"cannot listen on {address}: ") as caught:
            async with serving(addresses=[other, address]):
                pass
        assert caught.value.errno
        with socket.create_server(("127.0.0.1", int(other.rpartition(":")[2]))):
            pass  # the first one was let go again


async def test_a_name_nobody_knows_is_an_error_with_the_address() -> None:
    with pytest.raises(OSError, match=r"cannot listen on nowhere\.invalid:1"):
        async with serving(addresses=["nowhere.invalid:1"]):
            pass


async def garbage(site: Running, data: bytes) -> bytes:
    host, _, port = site.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_what_is_not_http_is_refused_without_a_traceback(site: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nA" * 9000):
        assert (await garbage(site, data)).startswith(b"HTTP/1.0 400 ")
    assert "Traceback" not in caplog.text
    [record] = [record for record in caplog.records if record.name.startswith(("aiohttp", "exporter"))]
    assert record.getMessage() == "a request is malformed, its connection is closed"
    assert site.counted() == {("other", "other", "400"): 3}


async def test_an_answer_under_way_gets_a_moment_at_the_stop() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def reload(dry_run: bool) -> Reloaded:
        begun.set()
        await go.wait()
        return Reloaded(changes=("done",))

    async with serving(enable_lifecycle=True, reload=reload) as site:
        answer = asyncio.create_task(_post(site))
        await begun.wait()
        stop = asyncio.create_task(site.server.stop(5.0))
        await _refused(site.address)
        go.set()
        assert await answer == {"changes": ["done"], "applied": True}
        await stop


async def test_a_hung_answer_does_not_hold_up_the_stop() -> None:
    begun = asyncio.Event()

    async def reload(dry_run: bool) -> Reloaded:
        begun.set()
        await asyncio.Event().wait()
        return Reloaded()

    async with serving(enable_lifecycle=True, reload=reload) as site:
        answer = asyncio.create_task(_post(site))
        await begun.wait()
        async with asyncio.timeout(5):
            await site.server.stop(0.2)
        with pytest.raises(aiohttp.ClientError):
            await answer


async def test_a_connection_that_is_only_kept_open_does_not_hold_up_the_stop(site: Running) -> None:
    await site.get("/-/healthy")
    async with asyncio.timeout(5):
        await site.server.stop(30.0)


async def test_a_site_can_be_stopped_twice_and_before_it_was_started(site: Running) -> None:
    site.feed.publish(snapshot())
    await site.server.stop(1.0)
    await site.server.stop(1.0)
    await Server(site.site).stop(1.0)


async def _post(site: Running) -> Any:
    async with site.client.post(site.url("/-/reload")) as answer:
        return await answer.json()


async def _refused(address: str) -> None:
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                continue  # it was in the queue when the listener closed
            writer.close()
            await asyncio.sleep(0)
