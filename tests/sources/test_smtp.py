"""Mail servers, greeted over real sockets."""

from __future__ import annotations

import asyncio
import ssl
from ipaddress import ip_network

import pytest

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.publishing.policy import AddressPolicy
from exporter.sources import smtp
from exporter.sources.reply import Reply
from exporter.sources.smtp import Place, place
from exporter.sources.tls import TlsOptions
from tests.fakes.remote import Script, answer, drips, hangs, serve, server_tls
from tests.sources.asking import fails
from tests.sources.test_probe import TRUSTING, prober, target

GREETING = b"220-mail.example.org ESMTP c4n4ry\r\n220 ready\r\n"


def mail(
    greeting: bytes = GREETING,
    offers: bytes = b"250-mail\r\n250-STARTTLS\r\n250 HELP\r\n",
    ready: bytes = b"220 go\r\n",
    tls: ssl.SSLContext | None = None,
    heard: list[bytes] | None = None,
) -> Script:
    """A server that says these things."""
    replies = {b"EHLO": offers, b"STARTTLS": ready, b"QUIT": b"221 bye\r\n"}

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        while line := await reader.readline():
            if heard is not None:
                heard.append(line)
            writer.write(replies.get(line.split()[0], b"500 what\r\n"))
            await writer.drain()
            if line.startswith(b"STARTTLS") and ready.startswith(b"220"):
                await writer.start_tls(tls or server_tls())

    return script


async def greet(
    script: Script | bytes,
    options: TlsOptions = TRUSTING,
    timeout: float = 5.0,
    policy: AddressPolicy | None = None,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
) -> Reply:
    async with serve(script, tls, read=False) as remote, prober(policy, options) as made:
        asked = target(f"smtp://{host}:{remote.port}", "alertmanager")
        return await made.probe(asked, "GET", False, timeout)


async def test_a_server_is_greeted_and_its_certificate_noted() -> None:
    heard: list[bytes] = []
    reply = await greet(mail(heard=heard))
    assert reply.status == 220
    assert reply.latency > 0
    assert reply.tls_expiry is not None
    assert reply.tls_expiry > 1.7e9
    assert heard[:2] == [b"EHLO localhost\r\n", b"STARTTLS\r\n"]
    assert not [line for line in heard if line.startswith((b"MAIL", b"RCPT", b"AUTH"))]


@pytest.mark.parametrize("offers", [b"250 mail\r\n", b"502 not here\r\n", b"250-mail\r\n250 XSTARTTLS\r\n"])
async def test_a_server_without_tls_is_reached_too(offers: bytes) -> None:
    reply = await greet(mail(offers=offers))
    assert (reply.status, reply.tls_expiry) == (220, None)


@pytest.mark.parametrize(("greeting", "status"), [(b"554 go away\r\n", 554), (b"421-busy\r\n421 later\r\n", 421)])
async def test_a_server_that_does_not_want_us_is_heard(greeting: bytes, status: int) -> None:
    assert (await greet(mail(greeting))).status == status


async def test_a_server_that_offers_tls_and_has_none_is_heard() -> None:
    assert (await greet(mail(ready=b"454 no certificate\r\n"))).status == 454


async def test_a_certificate_that_is_not_valid_is_a_failure() -> None:
    assert await fails(greet(mail(tls=server_tls("expired")))) == (Reason.TLS, "the certificate has expired")
    assert await fails(greet(mail(), TlsOptions())) == (Reason.TLS, "the certificate's authority is not trusted")


async def test_no_protocol_is_offered_that_a_mail_server_does_not_know() -> None:
    """Some hang up on a client that offers HTTP."""
    hello = b""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal hello
        for said in (GREETING, b"250 STARTTLS\r\n"):
            writer.write(said)
            await reader.readline()
        writer.write(b"220 go\r\n")
        hello = await reader.read(4096)

    await fails(greet(script))
    assert hello.startswith(b"\x16\x03"), "the beginning of a handshake"
    assert b"http" not in hello


async def test_plain_text_behind_the_agreement_on_tls_is_refused() -> None:
    """Whoever sits in between could have put it there."""
    assert await fails(greet(mail(ready=b"220 go\r\n250 AUTH PLAIN\r\n"))) == (
        Reason.DECODE,
        "the server goes on in plain text after it agreed to TLS",
    )


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (answer(200), Reason.DECODE),
        (b"220ready\r\n", Reason.DECODE),
        (b"220-" + b"x" * 4000, Reason.DECODE),
        (b"220-more\r\n" * 500, Reason.DECODE),
        (b"", Reason.CONNECT),
        (b"220", Reason.CONNECT),
    ],
)
async def test_what_is_no_mail_server_is_told(script: bytes, reason: Reason) -> None:
    assert (await fails(greet(script)))[0] is reason


@pytest.mark.parametrize("script", [hangs, drips])
async def test_a_server_that_takes_its_time_has_the_time_of_a_probe(script: Script) -> None:
    reason, _ = await fails(greet(script, timeout=0.1))
    assert reason in (Reason.TIMEOUT, Reason.DECODE)


async def test_the_guard_of_addresses_holds() -> None:
    denied = AddressPolicy(deny=(ip_network("127.0.0.0/8"),))
    assert await fails(greet(mail(), policy=denied)) == (Reason.CONFIG, "address refused by targets.policy")


async def test_on_its_own_port_tls_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the greeting is encrypted already, and nothing is left to begin."""
    heard: list[bytes] = []
    async with serve(mail(heard=heard), server_tls(), read=False) as remote, prober() as made:
        monkeypatch.setattr(smtp, "_TLS_AT_ONCE", remote.port)
        reply = await made.probe(target(f"smtp://127.0.0.1:{remote.port}"), "GET", False, 5.0)
    assert reply.status == 220
    assert reply.tls_expiry is not None
    assert b"STARTTLS\r\n" not in heard


def test_a_url_tells_host_and_port() -> None:
    assert place("smtp://mail.example.org:587") == Place("mail.example.org", 587)
    assert place("smtp://[::1]:25") == Place("::1", 25)
    assert place("smtp://bücher.example:465") == Place("xn--bcher-kva.example", 465)
    assert place("smtp://h:465").encrypted
    for bad in ("smtp://", "smtp://:25", "smtp://h:99999", "smtp://" + "ü" * 80):
        with pytest.raises(Failure):
            place(bad)
