"""Certificates: which are taken, what is said about the others, and that a new connection gets the newest."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from exporter.config.web_file import CIPHER_SUITES, TlsServer
from exporter.model.secret import Secret
from exporter.web.tls import Live, Unfit, build, names_of
from tests.fakes.authority import Authority, Pair

FAKES = Path(__file__).parents[1] / "fakes" / "tls"
REQUIRED = "RequireAndVerifyClientCert"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("server")


def options(pair: Pair, **more: Any) -> TlsServer:
    cert, key = map(Secret, pair.texts)
    return TlsServer(**{"cert": cert, "key": key, **more})


def client(authority: Authority, pair: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.file)
    if pair is not None:
        context.load_cert_chain(pair.cert, pair.key)
    return context


class _Greeting(asyncio.Protocol):
    """Says which client it sees."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        certificate = transport.get_extra_info("peercert")
        assert isinstance(transport, asyncio.Transport)
        transport.write(" ".join(sorted(names_of(certificate) if certificate else ["nobody"])).encode())
        transport.close()


@asynccontextmanager
async def listening(live: Live) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(_Greeting, "127.0.0.1", 0, ssl=live)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def greet(port: int, context: ssl.SSLContext) -> tuple[str, str]:
    """The subject of the server's certificate, and its greeting."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    try:
        ((_, name),) = writer.get_extra_info("peercert")["subject"][0]
        return name, (await reader.read()).decode()
    finally:
        writer.close()


def live(options: TlsServer) -> Live:
    made = Live(ssl.PROTOCOL_TLS_SERVER)
    made.current = build(options).context
    return made


LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_the_next_connection_gets_the_newest_certificate(
    authority: Authority, pair: Pair, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Also when the key is of another kind: nothing of the old pair is offered any more."""
    rsa = authority.issue("rsa-server", rsa=True)

    async def follow() -> list[tuple[str, str]]:
        context = live(options(pair))
        seen = []
        async with listening(context) as port:
            for next_pair in (pair, rsa, pair):
                context.current = build(options(next_pair)).context
                seen.append(await greet(port, client(authority)))
        return seen

    with asyncio.Runner(loop_factory=loop) as runner:
        assert [name for name, _ in runner.run(follow())] == ["server", "rsa-server", "server"]


async def test_a_client_is_known_by_the_names_in_its_certificate(authority: Authority, pair: Pair) -> None:
    names = "DNS:prometheus.example,IP:10.0.0.1,IP:2001:db8::1,URI:spiffe://example/scraper,email:ops@example.org"
    scraper = authority.issue("scraper", names)
    trusting = options(pair, client_ca=Secret(authority.file.read_text()), client_auth_type=REQUIRED)
    async with listening(live(trusting)) as port:
        assert await greet(port, client(authority)) == ("server", "nobody")
        _, seen = await greet(port, client(authority, scraper))
        assert seen.split() == [
            "10.0.0.1",
            "2001:db8::1",
            "ops@example.org",
            "prometheus.example",
            "spiffe://example/scraper",
        ]


async def test_a_client_of_another_authority_is_cut_off(authority: Authority, pair: Pair, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger").issue("scraper", "DNS:prometheus.example")
    trusting = options(pair, client_ca=Secret(authority.file.read_text()), client_auth_type=REQUIRED)
    async with listening(live(trusting)) as port:
        try:
            _, seen = await greet(port, client(authority, stranger))
        except (ssl.SSLError, ConnectionError):
            seen = ""
        assert seen == ""


def test_what_cannot_name_a_client_names_nobody() -> None:
    certificate = {"subjectAltName": (("DirName", "a"), ("othername", "b"), ("Registered ID", "1.2"), ("DNS", "c"))}
    assert names_of(certificate) == {"c"}
    assert names_of({"subject": ()}) == frozenset()


@pytest.mark.parametrize(
    ("minimum", "maximum", "offered", "accepted"),
    [
        ("TLS12", "TLS13", ssl.TLSVersion.TLSv1_2, True),
        ("TLS12", "TLS13", ssl.TLSVersion.TLSv1_3, True),
        ("TLS13", "TLS13", ssl.TLSVersion.TLSv1_2, False),
        ("TLS12", "TLS12", ssl.TLSVersion.TLSv1_3, False),
    ],
)
async def test_versions_outside_the_range_are_refused(
    authority: Authority, pair: Pair, minimum: str, maximum: str, offered: ssl.TLSVersion, accepted: bool
) -> None:
    context = client(authority)
    context.minimum_version = context.maximum_version = offered
    async with listening(live(options(pair, min_version=minimum, max_version=maximum))) as port:
        if accepted:
            assert await greet(port, context) == ("server", "nobody")
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await greet(port, context)


@pytest.mark.parametrize("suite", [name for name, ours in CIPHER_SUITES.items() if ours])
def test_every_cipher_suite_is_one_openssl_knows(pair: Pair, suite: str) -> None:
    context = build(options(pair, cipher_suites=(suite,))).context
    below_13 = [found["name"] for found in context.get_ciphers() if found["protocol"] != "TLSv1.3"]
    assert below_13 == [CIPHER_SUITES[suite]]


def test_suites_of_13_alone_mean_13_alone(pair: Pair) -> None:
    suites = ("TLS_AES_128_GCM_SHA256",)
    assert build(options(pair, cipher_suites=suites)).context.minimum_version is ssl.TLSVersion.TLSv1_3
    with pytest.raises(Unfit, match="none of these goes with TLS12"):
        build(options(pair, cipher_suites=suites, max_version="TLS12"))


def test_the_order_of_the_suites_is_the_servers_unless_told_otherwise(pair: Pair) -> None:
    def preferring(told: bool) -> bool:
        made = build(options(pair, prefer_server_cipher_suites=told)).context
        return bool(made.options & ssl.OP_CIPHER_SERVER_PREFERENCE)

    assert (preferring(True), preferring(False)) == (True, False)


def test_the_end_of_a_certificate_is_known_also_when_it_is_past(authority: Authority, pair: Pair) -> None:
    decoded = ssl._ssl._test_decode_cert(str(pair.cert))  # type: ignore[attr-defined]
    assert build(options(pair)).expires == ssl.cert_time_to_seconds(decoded["notAfter"])
    for name, end in (("expired", 1609459200.0), ("server", 4733510400.0)):  # 2021 in two digits, 2120 in four
        file = FAKES / f"{name}.pem"
        assert build(options(Pair(file, file))).expires == end


def test_no_more_than_the_first_certificate_of_a_chain_counts(authority: Authority, pair: Pair) -> None:
    chain = f"bag attributes: Überschrift\n{pair.cert.read_text()}{authority.file.read_text()}"
    made = build(options(pair, cert=Secret(chain)))
    assert made.expires == build(options(pair)).expires


ENCRYPTED = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("cert", "key", "words"),
    [
        (None, "other", "do not belong together"),
        (None, "rsa", "do not belong together"),
        ("rsa", None, "do not belong together"),
        ("half", None, "cannot be read"),
        (None, "half", "cannot be read"),
        ("garbage", None, "cannot be read"),
        (None, ENCRYPTED, "without a passphrase"),
        ("a\0b", None, "cannot be read"),
        ("TRUSTED", None, "holds no certificate that can be read"),
    ],
)
def test_a_pair_that_cannot_be_used_is_refused_with_the_reason(
    authority: Authority, pair: Pair, cert: str | None, key: str | None, words: str
) -> None:
    own_cert, own_key = pair.texts
    texts = {
        "half": own_cert[: len(own_cert) // 2] if cert else own_key[: len(own_key) // 2],
        "other": authority.issue("other").key.read_text(),
        "rsa": authority.issue("other-rsa", rsa=True).texts[0 if cert else 1],
        "TRUSTED": re.sub("CERTIFICATE", "X509 CERTIFICATE", own_cert),
    }
    with pytest.raises(Unfit, match=words) as caught:
        build(
            options(
                pair,
                cert=Secret(texts.get(cert, cert) if cert else own_cert),
                key=Secret(texts.get(key, key) if key else own_key),
            )
        )
    assert caught.value.key == "cert"


@pytest.mark.parametrize("text", ["nothing", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"])
def test_authorities_that_are_none_are_refused(pair: Pair, text: str) -> None:
    with pytest.raises(Unfit, match="holds no certificate") as caught:
        build(options(pair, client_ca=Secret(text), client_auth_type=REQUIRED))
    assert caught.value.key == "client_ca"


def test_names_that_are_addresses_are_compared_as_addresses(authority: Authority, pair: Pair) -> None:
    ca = Secret(authority.file.read_text())
    made = build(options(pair, client_ca=ca, client_auth_type=REQUIRED, client_allowed_sans=("2001:DB8:0::1", "a.b")))
    assert made.allowed_names == {"2001:db8::1", "a.b"}


def test_a_machine_out_of_descriptors_keeps_the_pair_it_has(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(name: str) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", exhausted)
    with pytest.raises(Unfit, match="cannot be read"):
        build(options(pair))
