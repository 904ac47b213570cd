"""A configured proxy, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from exporter.model.reason import Reason
from exporter.model.secret import Secret
from exporter.publishing.policy import AddressPolicy
from exporter.sources.proxy import Proxy
from exporter.sources.tls import TlsOptions
from tests.fakes.bodies import each
from tests.fakes.remote import TLS, answer, hangs, serve, server_tls
from tests.sources.asking import CANARY, ask, client, fails, request

PASSWORD = f"user:{CANARY}"
BASIC = "Proxy-Authorization: Basic dXNlcjpjNG40cnk="


@dataclass
class Passing:
    """What a proxy was asked to do."""

    port: int = 0
    heads: list[str] = field(default_factory=list)
    refusal: bytes = b""

    def url(self, user: str = PASSWORD) -> Secret:
        return Secret(f"http://{user}@127.0.0.1:{self.port}")


@asynccontextmanager
async def passing(refusal: bytes = b"") -> AsyncIterator[Passing]:
    """A proxy that opens tunnels to wherever it is told, or refuses all."""
    seen = Passing(refusal=refusal)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.heads.append(remote.heads[-1])
        if refusal:
            writer.write(refusal)
            return
        port = int(remote.heads[-1].split()[1].rpartition(":")[2])
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer), return_exceptions=True)
        finally:
            there_writer.close()

    async with serve(script) as remote:
        seen.port = remote.port
        yield seen


async def test_up18_plain_requests_go_to_the_proxy_with_its_password() -> None:
    async with serve(each(answer(200, body=b"ok"))) as remote:
        proxy = Proxy(url=Secret(f"http://{PASSWORD}@127.0.0.1:{remote.port}"))
        assert CANARY not in repr(proxy)
        async with client(proxy=proxy) as made:
            for _ in range(2):
                assert (await made.ask(request("http://name.example/a?b"), 5)).body == b"ok"
        lines = remote.heads[0].split("\r\n")
        assert lines[:2] == ["GET http://name.example/a?b HTTP/1.1", "Host: name.example"]
        assert BASIC in lines
        assert remote.connections == 1


async def test_up18_requests_over_tls_go_through_a_tunnel_that_knows_nothing_of_them() -> None:
    tls = TlsOptions(ca_file=TLS / "ca.pem", server_name="localhost")
    async with serve(each(answer(200, body=b"ok")), tls=server_tls()) as remote, passing() as proxy:
        async with client(tls, proxy=Proxy(url=proxy.url())) as made:
            for _ in range(2):
                reply = await made.ask(request(f"https://name.example:{remote.port}/a", X_Key="secret"), 5)
                assert (reply.body, reply.tls_expiry) == (b"ok", 4733510400.0)
        place = f"name.example:{remote.port}"
        assert proxy.heads == [f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{BASIC}\r\n\r\n"]
        assert remote.connections == 1
        assert "roxy" not in "".join(remote.heads)


async def test_up18_a_certificate_is_checked_through_a_tunnel_too() -> None:
    async with serve(answer(200), tls=server_tls("other")) as remote, passing() as proxy:
        failure = await fails(ask(remote.url(), proxy=Proxy(url=proxy.url())))
        assert failure == (Reason.TLS, "the certificate is for another address")


async def test_up18_what_is_not_to_go_through_the_proxy_does_not() -> None:
    proxy = Proxy(url=Secret("http://127.0.0.1:1"), bypass=["127.0.0.1", ".Inside.example", "host"])
    async with serve(answer(200)) as remote:
        assert (await ask(remote.url(), proxy=proxy)).status == 200
        assert "roxy" not in remote.heads[0]
    direct = ["127.0.0.1", "inside.example", "a.inside.example", "host", "a.host"]
    through = ["127.0.0.2", "outside.example", "notinside.example", "hosts"]
    assert [proxy.serves(host) for host in (*direct, *through)] == [False] * 5 + [True] * 4


@pytest.mark.parametrize(
    ("refusal", "failure"),
    [
        (answer(407), (Reason.AUTH, "the proxy answered 407")),
        (answer(502), (Reason.CONNECT, "the proxy answered 502")),
        (answer(200, body=b"early"), (Reason.CONNECT, "the proxy answered 200")),
        (b"SSH-2.0\r\n", (Reason.DECODE, "the answer is not HTTP")),
        (b"HTTP/1.1 200", (Reason.CONNECT, "the connection was closed before an answer")),
        (b"HTTP/1.1 200 OK\r\n\r\n", (Reason.CONNECT, "the connection was closed before an answer")),
    ],
)
async def test_a_proxy_that_does_not_help_is_told(refusal: bytes, failure: tuple[Reason, str]) -> None:
    async with passing(refusal) as proxy:
        assert await fails(ask(f"https://name.example/{CANARY}", proxy=Proxy(url=proxy.url()))) == failure


async def test_a_proxy_that_hangs_is_left_at_the_deadline() -> None:
    async with serve(hangs) as remote:
        proxy = Proxy(url=Secret(remote.url()))
        assert (await fails(ask("https://name.example/", timeout=0.2, proxy=proxy)))[0] is Reason.TIMEOUT


async def test_the_address_of_the_proxy_is_the_operators_choice() -> None:
    async with serve(answer(200)) as remote, client(proxy=Proxy(url=Secret(remote.url())), policy=None) as made:
        assert (await made.ask(request("http://name.example/"), 5)).status == 200
    with pytest.raises(ValueError, match="proxy"):
        async with client(proxy=Proxy(url=Secret("http://127.0.0.1:1")), policy=AddressPolicy()):
            pass


@pytest.mark.parametrize("url", [f"https://{CANARY}/", f"socks5://{CANARY}/", CANARY, ""])
async def test_a_proxy_that_cannot_be_used_is_told_without_its_url(url: str) -> None:
    assert (await fails(ask("http://name.example/", proxy=Proxy(url=Secret(url)))))[0] is Reason.CONFIG
