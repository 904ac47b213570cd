"""The client against remotes that are fine, broken and hostile, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
import ssl
import time
import tracemalloc
from contextlib import AsyncExitStack
from email.utils import formatdate
from ipaddress import ip_network
from typing import Any

import pytest

from exporter.model.errors import Backoff, Failure
from exporter.model.reason import Reason
from exporter.model.secret import Secret
from exporter.publishing.policy import AddressPolicy
from exporter.sources.exchange import Limits
from exporter.sources.http import Request
from exporter.sources.tls import TlsOptions
from tests.fakes.bodies import MIB, bomb, each, endless, head, packed
from tests.fakes.clock import ManualClock
from tests.fakes.handshake import shaking_hands
from tests.fakes.receiver import BlackHole
from tests.fakes.remote import TLS, answer, drips, hangs, says, serve, server_tls
from tests.sources.asking import CANARY, TRUSTING, ask, client, fails, request, resolving_to

BROKE_OFF = (Reason.DECODE, "the answer broke off")
NOT_HTTP = (Reason.DECODE, "the answer is not HTTP")
UNCLEAR = (Reason.DECODE, "the length of the answer is not clear")
ENCODING = (Reason.DECODE, "the content encoding is not one that was asked for")
WRONGLY_ENCODED = (Reason.DECODE, "the body is not encoded as it says")
LARGE = (Reason.TOO_LARGE, "the answer is larger than 16777216 bytes")
INFLATED = (Reason.TOO_LARGE, "the answer is larger than 16777216 bytes once inflated")
REFUSED = (Reason.CONFIG, "address refused by targets.policy")

CHUNKED = head(200, "Transfer-Encoding: chunked")


# -- what is fine


async def test_an_answer_comes_with_its_headers_and_its_body() -> None:
    async with serve(answer(200, "X-One: 1", "x-one:\t2 ", "Content-Type: text/plain", body=b"hello")) as remote:
        reply = await ask(remote.url("/a?b=c d%20e"[:6]))
        assert (reply.status, reply.body, reply.complete) == (200, b"hello", True)
        assert reply.headers["x-one"] == "1, 2"
        assert 0 < reply.latency < 5
        assert remote.heads == [
            f"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:{remote.port}\r\nUser-Agent: platform-exporter\r\n"
            "Accept: */*\r\nAccept-Encoding: gzip, deflate\r\n\r\n"
        ]
        assert "hello" not in repr(reply)


async def test_what_is_to_be_sent_is_sent_and_what_frames_the_message_is_ours() -> None:
    received: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readexactly(5))
        writer.write(answer(200))

    async with serve(script) as remote, client() as made:
        asked = request(remote.url(), "POST", b"query", Content_Length="99", Accept="text/x", Host="other", X_Key="k")
        assert (await made.ask(asked, 5)).status == 200
        lines = remote.heads[0].split("\r\n")
        assert received == [b"query"]
        assert {"Content-Length: 5", "Accept: text/x", "Host: other", "X-Key: k"} < set(lines)
        assert len([line for line in lines if line.lower().startswith(("content-length", "accept:", "host"))]) == 3
        assert "query" not in repr(asked)


@pytest.mark.parametrize("header", ["a\r\nX-Injected: b", "a\nb", "a\0b"])
async def test_a_header_cannot_smuggle_in_another(header: str) -> None:
    async with serve(answer(200)) as remote, client() as made:
        asked = made.ask(request(remote.url(), X_Key=header + CANARY), 5)
        assert await fails(asked) == (Reason.CONFIG, "a header holds what cannot be sent")
        assert not remote.heads


@pytest.mark.parametrize("kind", ["gzip", "deflate", "raw"])
@pytest.mark.parametrize("size", [0, 1, 100_000, 3 * MIB])
async def test_a_body_may_be_compressed(kind: str, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    encoding = {"raw": "deflate"}.get(kind, kind)
    async with serve(answer(200, f"Content-Encoding: {encoding}", body=packed(body, kind))) as remote:
        assert (await ask(remote.url())).body == body


async def test_a_body_may_come_in_pieces_of_any_kind() -> None:
    plain = b"some text " * 1000
    two = packed(plain[:5000]) + packed(plain[5000:])
    chunks = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(two[at : at + 7]), two[at : at + 7]) for at in range(0, len(two), 7))
    start = head(200, "Transfer-Encoding: Chunked", "Content-Encoding: GZIP")
    async with serve(each(start + chunks + b"0\r\nX-Trailer: 1\r\n\r\n")) as remote:
        assert (await ask(remote.url())).body == plain


@pytest.mark.parametrize("status", [101, 204, 304])
async def test_some_answers_have_no_body_whatever_they_say(status: int) -> None:
    async with serve(each(head(status, "Content-Length: 5"))) as remote:
        reply = await ask(remote.url(), timeout=1)
        assert (reply.status, reply.body) == (status, b"")


async def test_answers_in_between_are_skipped() -> None:
    async with serve(b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * 8 + answer(200, body=b"ok")) as remote:
        assert (await ask(remote.url())).body == b"ok"


async def test_lines_may_end_as_they_do_on_unix() -> None:
    async with serve(b"HTTP/1.0 200\nContent-Length: 2\n\nok") as remote:
        assert (await ask(remote.url())).body == b"ok"


# -- what is broken


@pytest.mark.parametrize(
    "wire",
    [
        head(200, "Content-Length: 10") + b"short",
        CHUNKED + b"a\r\nshort",
        CHUNKED + b"5\r\nshort",
        CHUNKED + b"5\r\nshort\r\n",
        CHUNKED + b"5\r\nshort\r\n0\r\nX: y",
        CHUNKED + b"5",
    ],
)
async def test_up4_an_answer_that_breaks_off_is_no_answer(wire: bytes) -> None:
    async with serve(wire) as remote:
        assert await fails(ask(remote.url("/" + CANARY))) == BROKE_OFF


@pytest.mark.parametrize("start", [head(200), head(200, "Content-Length: 10"), CHUNKED])
async def test_up4_a_reset_in_the_middle_is_no_answer(start: bytes) -> None:
    async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with serve(resets) as remote:
        assert await fails(ask(remote.url())) == BROKE_OFF


async def test_up5_a_body_that_ends_with_the_connection_is_marked() -> None:
    async with serve(head(200) + b"a 1\nb 2\n") as remote:
        reply = await ask(remote.url())
        assert (reply.body, reply.complete) == (b"a 1\nb 2\n", False)


@pytest.mark.parametrize("body", [b"not packed at all", packed(b"x" * 9999)[:-9], packed(b"x") + b"garbage", b"\x1f"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_up11_a_body_that_is_not_what_it_says_is_refused(body: bytes, encoding: str) -> None:
    async with serve(answer(200, f"Content-Encoding: {encoding}", body=body)) as remote:
        assert await fails(ask(remote.url())) == WRONGLY_ENCODED


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "identity, gzip", "x" * 99])
async def test_up10_other_and_stacked_encodings_are_refused(encoding: str) -> None:
    async with serve(answer(200, f"Content-Encoding: {encoding}", body=packed(packed(b"x")))) as remote:
        assert await fails(ask(remote.url())) == ENCODING


@pytest.mark.parametrize(
    ("lines", "failure"),
    [
        (["Content-Length: 5", "Transfer-Encoding: chunked"], UNCLEAR),
        (["Transfer-Encoding: gzip, chunked"], UNCLEAR),
        (["Transfer-Encoding: identity"], UNCLEAR),
        (["Content-Length: 5", "Content-Length: 6"], UNCLEAR),
        (["Content-Length: -5"], UNCLEAR),
        (["Content-Length: 5.0"], UNCLEAR),
        (["Content-Length: 0x5"], UNCLEAR),
        (["Content-Length: "], UNCLEAR),
        (["Content-Length: \xb2"], UNCLEAR),
        (["No colon"], NOT_HTTP),
        ([" Folded: line"], NOT_HTTP),
        (["Space : before"], NOT_HTTP),
        ([": no name"], NOT_HTTP),
        (["X: a\0b"], NOT_HTTP),
        (["X: a\rb"], NOT_HTTP),
    ],
)
async def test_what_can_be_understood_in_two_ways_is_refused(lines: list[str], failure: tuple[Reason, str]) -> None:
    async with serve(head(200, *lines) + b"0\r\n\r\n") as remote:
        assert await fails(ask(remote.url())) == failure


async def test_a_length_that_is_told_twice_alike_is_fine() -> None:
    async with serve(head(200, "Content-Length: 2", "Content-Length: 2") + b"ok") as remote:
        assert (await ask(remote.url())).body == b"ok"


@pytest.mark.parametrize("size", [b"", b"g", b"-1", b"0x5", b"5 5", b"1" * 16, b"\xff"])
async def test_a_chunk_without_a_proper_size_is_refused(size: bytes) -> None:
    async with serve(CHUNKED + size + b"\r\nshort\r\n0\r\n\r\n") as remote:
        assert await fails(ask(remote.url())) == NOT_HTTP


async def test_a_chunk_that_is_longer_than_it_says_is_refused() -> None:
    async with serve(CHUNKED + b"3\r\nlonger\r\n0\r\n\r\n") as remote:
        assert await fails(ask(remote.url())) == NOT_HTTP


# -- what is hostile


@pytest.mark.parametrize(
    ("start", "again", "failure"),
    [
        (head(200), b"x" * 65536, LARGE),
        (CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n", LARGE),
        (CHUNKED, b"1;" + b"x" * 8000 + b"\r\nx\r\n", LARGE),
        (head(200, f"Content-Length: {10**15}"), b"x" * 65536, LARGE),
        (head(200, f"Content-Length: {10**300}"), b"x" * 65536, LARGE),
        (head(200, f"Content-Length: {1 << 30}"), b"x" * 65536, LARGE),
        (CHUNKED + b"fffffffffffffff\r\n", b"x" * 65536, LARGE),
        (CHUNKED + b"0\r\n", b"X: y\r\n", (Reason.DECODE, "the head of the answer is too large")),
        (CHUNKED, b"1;" + b"x" * 65536, (Reason.DECODE, "a line of the answer is too long")),
        (head(500), b"x" * 65536, LARGE),
        (head(302, "Location: /"), b"x" * 65536, LARGE),
    ],
)
async def test_up9_a_body_without_end_is_left_at_the_limit(
    start: bytes, again: bytes, failure: tuple[Reason, str]
) -> None:
    async with serve(endless(start, again)) as remote:
        assert await fails(ask(remote.url(), timeout=20.0)) == failure


async def test_up9_chunks_of_one_byte_are_left_at_the_limit_too() -> None:
    async with serve(endless(CHUNKED, b"1\r\nx\r\n" * 10_000)) as remote:
        failure = await fails(ask(remote.url(), timeout=20.0, limits=Limits(body=MIB)))
        assert failure == (Reason.TOO_LARGE, "the answer is larger than 1048576 bytes")


async def cost_of(asked: Any) -> tuple[tuple[Reason, str], float]:
    """How a call failed, and the most memory it had at once, in MiB."""
    gc.collect()
    tracemalloc.start()
    try:
        failure = await fails(asked)
        return failure, tracemalloc.get_traced_memory()[1] / MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("status", [200, 302, 404, 429, 500])
@pytest.mark.parametrize("kind", ["gzip", "deflate", "raw"])
async def test_up10_a_bomb_of_512_mib_costs_little_whatever_the_status(status: int, kind: str) -> None:
    encoding = {"raw": "deflate"}.get(kind, kind)
    parts = head(status, f"Content-Encoding: {encoding}", "Location: /again"), bomb(kind)
    async with serve(says(*parts)) as remote:
        failure, mib = await cost_of(ask(remote.url(), timeout=20.0, redirects=3))
        assert failure == INFLATED
        assert mib < 40
        assert remote.connections == 1


async def test_up10_a_bomb_in_many_small_members_is_one_too() -> None:
    members = packed(bytes(MIB)) * 100
    async with serve(answer(200, "Content-Encoding: gzip", body=members)) as remote:
        assert await fails(ask(remote.url())) == INFLATED


@pytest.mark.parametrize("size", [999, 1000, 1001])
@pytest.mark.parametrize("pack", [False, True])
async def test_up10_a_body_that_just_fits_is_fine(size: int, pack: bool) -> None:
    body = b"x" * size
    lines = ["Content-Encoding: gzip"] if pack else []
    async with serve(answer(200, *lines, body=packed(body) if pack else body)) as remote:
        asked = ask(remote.url(), limits=Limits(body=1000))
        if size > 1000:
            assert (await fails(asked))[0] is Reason.TOO_LARGE
        else:
            assert (await asked).body == body


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16\n",
        b"<html>HTTP/0.9</html>\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 1000 High\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"220 mail.example ESMTP\r\n",
        b"\n\n\n\n",
    ],
)
async def test_up15_what_is_not_http_is_known_by_its_first_line(wire: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(wire)
        await hangs(reader, writer)

    async with serve(script) as remote:
        assert await fails(ask(remote.url())) == NOT_HTTP


@pytest.mark.parametrize(
    ("start", "again", "detail"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-%d: y\r\n", "the head of the answer is too large"),
        (b"HTTP/1.1 200 OK\r\n", b"X-%d: " + b"y" * 8000 + b"\r\n", "the head of the answer is too large"),
        (b"HTTP/1.1 200 OK\r\nX: %d", b"y" * 1000, "a line of the answer is too long"),
        (b"HTTP/1.1 200 %d", b"O" * 1000, "a line of the answer is too long"),
        (b"", b"HTTP/1.1 100 Go %d\r\n\r\n", "too many interim answers"),
    ],
)
async def test_up15_a_head_without_end_is_left_early(start: bytes, again: bytes, detail: str) -> None:
    async with serve(endless(start, again * 100)) as remote:
        failure, mib = await cost_of(ask(remote.url()))
        assert failure == (Reason.DECODE, detail)
        assert mib < 4


@pytest.mark.parametrize(
    "script",
    [hangs, drips, says(head(200, "Content-Length: 9"), pause=9), says(CHUNKED, pause=9)],
    ids=["hangs", "drips", "begins", "begins chunks"],
)
async def test_up2_up3_one_deadline_counts_for_all_of_it(script: Any) -> None:
    async with serve(script) as remote:
        begin = time.monotonic()
        assert (await fails(ask(remote.url(), timeout=0.2)))[0] is Reason.TIMEOUT
        assert 0.15 < time.monotonic() - begin < 1.0


async def test_up3_a_body_that_drips_is_left_at_the_deadline() -> None:
    async with serve(says(head(200), *[b"x"] * 1000, pause=0.01)) as remote:
        assert await fails(ask(remote.url(), timeout=0.2)) == (Reason.TIMEOUT, "the answer did not end in time")


# -- redirects


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{own}/",
        "http://127.0.0.1.example/",
        "http://u:p@127.0.0.1:{own}/",
        "//other.example/",
        "http://169.254.169.254/",
        "https://127.0.0.1:{own}/",
    ],
)
async def test_up13_nothing_follows_a_redirect_to_elsewhere(location: str) -> None:
    async def redirects(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = location.replace("{own}", str(remote.port)).replace("{port}", str(other.port))
        writer.write(answer(302, f"Location: {there}"))

    async with serve(answer(200)) as other, serve(redirects) as remote, client() as made:
        asked = made.ask(request(remote.url(), Authorization=CANARY, Cookie=CANARY), 5, redirects=5)
        assert await fails(asked) == (Reason.REDIRECT, "the redirect leads elsewhere")
        assert (remote.connections, other.connections) == (1, 0)


@pytest.mark.parametrize(
    "location",
    [
        *("file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "http://[::1"),
        *("http://127.0.0.1:99999/", "http://127.0.0.1:0/", "a b", "a\tb", "/" + "x" * 7000 + " y"),
        None,
    ],
)
async def test_up13_a_redirect_to_nowhere_is_not_followed(location: str | None) -> None:
    lines = [] if location is None else [f"Location: {location}"]
    async with serve(each(answer(302, *lines))) as remote:
        assert await fails(ask(remote.url(), redirects=2)) == (Reason.REDIRECT, "the redirect leads nowhere")
        assert remote.connections == 1


async def test_up13_a_location_of_64_kib_is_refused() -> None:
    async with serve(answer(302, "Location: /" + "x" * 65536)) as remote:
        assert await fails(ask(remote.url(), redirects=2)) == (Reason.DECODE, "a line of the answer is too long")


async def test_up13_a_redirect_from_https_to_http_is_refused() -> None:
    async with serve(answer(301, "Location: http://127.0.0.1/"), tls=server_tls()) as remote:
        failure = await fails(ask(remote.url(), redirects=2))
        assert failure == (Reason.REDIRECT, "the redirect leads from https to http")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_up13_redirects_within_the_origin_are_followed_if_asked_for(status: int) -> None:
    replies = [answer(status, "Location: /next"), answer(status, "Location: ?b=c"), answer(200, body=b"ok")]
    async with serve(each(*replies)) as remote, client() as made:
        asked = request(remote.url("/first"), X_Key="k")
        assert (await made.ask(asked, 5, redirects=2)).body == b"ok"
        assert remote.connections == 1
    async with serve(each(*replies)) as remote:
        assert await fails(ask(remote.url(), redirects=1)) == (Reason.REDIRECT, "too many redirects")
    async with serve(each(*replies)) as remote:
        assert (await ask(remote.url())).status == status


async def test_up13_a_loop_ends_at_the_limit() -> None:
    async with serve(each(answer(302, "Location: /"))) as remote:
        assert await fails(ask(remote.url(), redirects=10)) == (Reason.REDIRECT, "too many redirects")


async def test_up13_what_changes_something_is_not_redirected() -> None:
    async with serve(answer(307, "Location: /next")) as remote, client() as made:
        assert (await made.ask(request(remote.url(), "POST", b"x"), 5, redirects=3)).status == 307


async def test_up13_each_hop_is_checked_again() -> None:
    async def refused_from_now_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.policy = AddressPolicy(deny=(ip_network("127.0.0.0/8"),))
        writer.write(answer(302, "Location: /next"))
        await hangs(reader, writer)

    async with serve(refused_from_now_on) as remote, client(policy=AddressPolicy()) as made:
        assert await fails(made.ask(request(remote.url()), 5, redirects=3)) == REFUSED
        assert len(remote.heads) == 1


# -- TLS


FAULTY = TlsOptions(ca_file=TLS / "faulty-ca.pem")


@pytest.mark.parametrize(
    ("certificate", "tls", "detail"),
    [
        ("expired", TRUSTING, "the certificate has expired"),
        ("future", FAULTY, "the certificate is not valid yet"),
        ("other", TRUSTING, "the certificate is for another address"),
        ("server", TlsOptions(ca_file=TLS / "ca.pem", server_name="a.b"), "the certificate is for another name"),
        ("selfsigned", FAULTY, "the certificate is self-signed"),
        ("server", FAULTY, "the certificate's authority is not trusted"),
        ("server", TlsOptions(), "the certificate's authority is not trusted"),
        ("weak", FAULTY, "the key of the certificate is too weak"),
    ],
)
async def test_up14_a_certificate_that_is_no_good_has_its_text(certificate: str, tls: TlsOptions, detail: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(TLS / f"{certificate}.pem")
    with shaking_hands(context) as url:
        assert await fails(ask(url + CANARY, tls=tls)) == (Reason.TLS, detail)


async def test_up14_versions_that_are_not_safe_are_refused() -> None:
    unsafe = (Reason.TLS, "the remote speaks no version of TLS that is safe")
    old = server_tls()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1
    with shaking_hands(old) as url:
        assert await fails(ask(url)) == unsafe
    recent = server_tls()
    recent.maximum_version = ssl.TLSVersion.TLSv1_2
    with shaking_hands(recent) as url:
        assert (await ask(url)).status == 204
        strict = TlsOptions(ca_file=TLS / "ca.pem", minimum=ssl.TLSVersion.TLSv1_3)
        assert await fails(ask(url, tls=strict)) == unsafe


async def test_up14_a_remote_that_wants_a_certificate_says_so() -> None:
    with shaking_hands(server_tls(client_authority=True)) as url:
        assert await fails(ask(url)) == (Reason.TLS, "the remote wants a certificate of ours")
        own = TlsOptions(ca_file=TLS / "ca.pem", cert_file=TLS / "server.pem")
        assert (await ask(url, tls=own)).status == 204
        expired = TlsOptions(ca_file=TLS / "ca.pem", cert_file=TLS / "expired.pem")
        assert await fails(ask(url, tls=expired)) == (Reason.TLS, "the remote does not accept our certificate")


async def test_up14_no_tls_where_tls_is_expected_is_told() -> None:
    async with serve(answer(400), read=False) as remote:
        failure = await fails(ask(f"https://127.0.0.1:{remote.port}/"))
        assert failure == (Reason.TLS, "the remote does not speak TLS")


async def test_up14_a_handshake_that_stalls_is_a_timeout() -> None:
    async with serve(hangs, read=False) as remote:
        failure = await fails(ask(f"https://127.0.0.1:{remote.port}/", 0.2))
        assert failure == (Reason.TIMEOUT, "no connection in time")


async def test_up14_an_unknown_fault_has_a_text_too() -> None:
    async with serve(b"\x15\x03\x03\x00\x02\x02\x50", read=False) as remote:
        assert await fails(ask(f"https://127.0.0.1:{remote.port}/")) == (Reason.TLS, "the TLS handshake failed")


async def test_up14_the_end_of_the_certificate_is_told() -> None:
    async with serve(answer(200), tls=server_tls()) as remote:
        assert (await ask(remote.url())).tls_expiry == 4733510400.0  # 2120-01-01


# -- connections


async def test_up17_a_connection_is_used_again_also_over_tls() -> None:
    for tls in (None, server_tls()):
        async with serve(each(answer(200, body=b"a")), tls=tls) as remote, client() as made:
            for _ in range(3):
                assert (await made.ask(request(remote.url()), 5)).body == b"a"
            assert remote.connections == 1


@pytest.mark.parametrize(
    "wire",
    [
        head(200, "Connection: close", "Content-Length: 0"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        head(200, "Content-Length: 1") + b"ab",
        head(101),
    ],
)
async def test_up17_a_connection_that_is_not_to_be_used_again_is_closed(wire: bytes) -> None:
    async with serve(each(wire)) as remote, client() as made:
        for _ in range(2):
            await made.ask(request(remote.url()), 5)
        assert remote.connections == 2


async def test_up17_one_that_was_closed_meanwhile_is_no_failure() -> None:
    async with serve(answer(200, body=b"a")) as remote, client() as made:
        for _ in range(3):
            assert (await made.ask(request(remote.url()), 5)).body == b"a"
            await asyncio.sleep(0.02)
        assert remote.connections == 3


class ClosesOnTheSecond:
    """Answers the first request of a connection, takes the second and hangs up."""

    def __init__(self) -> None:
        self.requests = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests += 1
        writer.write(answer(200))
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1


async def test_up17_one_that_closes_upon_the_request_is_given_one_more_chance() -> None:
    script = ClosesOnTheSecond()
    async with serve(script) as remote, client() as made:
        for _ in range(2):
            assert (await made.ask(request(remote.url()), 5)).status == 200
        assert (script.requests, remote.connections) == (3, 2)


async def test_up17_what_changes_something_is_never_sent_twice() -> None:
    script = ClosesOnTheSecond()
    async with serve(script) as remote, client() as made:
        await made.ask(request(remote.url()), 5)
        failure = await fails(made.ask(request(remote.url(), "POST"), 5))
        assert failure == (Reason.CONNECT, "the connection was closed before an answer")
        assert (script.requests, remote.connections) == (2, 1)


async def test_up17_a_fresh_connection_that_breaks_is_a_failure_at_once() -> None:
    async with serve(b"") as remote:
        assert (await fails(ask(remote.url())))[0] is Reason.CONNECT
        assert remote.connections == 1


async def test_up17_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    async with serve(each(answer(200), b"HTTP/1.1 2")) as remote, client() as made:
        await made.ask(request(remote.url()), 5)
        asked = made.ask(request(remote.url()), 0.3)
        assert await fails(asked) == (Reason.TIMEOUT, "no answer in time")
        assert remote.connections == 1


async def test_up17_when_a_name_moves_the_old_address_is_left() -> None:
    addresses = ["127.0.0.1"]

    async def names(call: object) -> Any:
        return tuple(addresses)

    clock = ManualClock()
    async with serve(each(answer(200)), host="0.0.0.0") as remote, client(names=names, clock=clock) as made:
        asked = request(remote.url(host="name.example"))
        await made.ask(asked, 5)
        addresses[:] = ["127.0.0.2"]
        await made.ask(asked, 5)
        assert remote.connections == 1, "what a name led to is remembered for a moment"
        clock.advance(10.1)
        await made.ask(asked, 5)
        assert remote.connections == 2


async def test_a_new_policy_counts_for_kept_connections_too() -> None:
    async with serve(each(answer(200))) as remote, client(policy=AddressPolicy()) as made:
        await made.ask(request(remote.url()), 5)
        made.policy = AddressPolicy(deny=(ip_network("127.0.0.0/8"),))
        assert await fails(made.ask(request(remote.url()), 5)) == REFUSED


async def test_a_change_of_trust_counts_for_kept_connections_too() -> None:
    async with serve(each(answer(200)), tls=server_tls()) as remote, client() as made:
        await made.ask(request(remote.url()), 5)
        made.tls = TlsOptions(ca_file=TLS / "faulty-ca.pem")
        failure = await fails(made.ask(request(remote.url()), 5))
        assert failure == (Reason.TLS, "the certificate's authority is not trusted")


async def test_requests_to_one_origin_at_once_are_bounded_and_others_do_not_wait_for_them() -> None:
    async def lingers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(0.01)
            writer.write(answer(200))
            await reader.readuntil(b"\r\n\r\n")

    async with serve(lingers) as remote, serve(hangs) as hung, client(per_host=3) as made:
        hanging = [asyncio.ensure_future(fails(made.ask(request(hung.url()), 0.6))) for _ in range(3)]
        waiting = asyncio.ensure_future(fails(made.ask(request(hung.url()), 0.2)))
        found = await asyncio.gather(*[made.ask(request(remote.url()), 5) for _ in range(20)])
        assert [reply.status for reply in found] == [200] * 20
        assert remote.most_open == 3
        assert await waiting == (Reason.TIMEOUT, "too many requests to this host are under way")
        assert await asyncio.gather(*hanging) == [(Reason.TIMEOUT, "no answer in time")] * 3
        assert hung.connections == 3


async def test_up19_a_dead_address_costs_no_more_than_the_stagger() -> None:
    async with serve(answer(200), host="127.0.0.2") as remote:
        dead = BlackHole(remote.port)
        begin = time.monotonic()
        reply = await ask(f"http://name.example:{remote.port}/", names=resolving_to("127.0.0.1", "127.0.0.2"))
        assert reply.status == 200
        assert time.monotonic() - begin < 0.5
        dead.close()


@pytest.mark.parametrize("addresses", [("::1", "127.0.0.1"), ("127.0.0.1", "::1"), ("127.0.0.1",)])
async def test_up19_an_address_nobody_listens_at_costs_nothing(addresses: tuple[str, ...]) -> None:
    async with serve(answer(200), host="127.0.0.1") as remote:
        begin = time.monotonic()
        reply = await ask(f"http://name.example:{remote.port}/", names=resolving_to(*addresses))
        assert reply.status == 200
        assert time.monotonic() - begin < 0.2


async def test_up19_ipv6_alone_will_do() -> None:
    async with serve(answer(200), host="::1") as remote:
        assert (await ask(remote.url(host="[::1]"))).status == 200
        assert remote.heads[0].split("\r\n")[1] == f"Host: [::1]:{remote.port}"


# -- pauses, clocks, the end


async def test_up7_a_remote_that_asks_for_a_pause_is_given_it() -> None:
    clock = ManualClock()
    for status, reason in ((429, Reason.RATE_LIMITED), (503, Reason.HTTP_STATUS)):
        script = each(answer(status, "Retry-After: 60"), answer(200))
        async with serve(script) as remote, client(clock=clock) as made:
            asked, other = request(remote.url("/a?q=1")), request(remote.url("/b"))
            assert (await fails(made.fetch(asked, 5)))[0] is reason
            for _ in range(2):
                with pytest.raises(Backoff) as caught:
                    await made.fetch(request(remote.url("/a?q=2")), 5)
                assert (caught.value.reason, caught.value.__context__) == (Reason.RATE_LIMITED, None)
                clock.advance(29.9)
            assert (await made.fetch(other, 5)).status == 200, "only this place asked for it"
            clock.advance(0.3)
            assert (await made.fetch(asked, 5)).status == 200


@pytest.mark.parametrize("header", ["-1", "soon", "", "Fri, 99 Foo 0000 99:99:99 GMT", "1e9", "0"])
async def test_up7_a_pause_that_makes_no_sense_is_none(header: str) -> None:
    async with serve(each(answer(429, f"Retry-After: {header}"))) as remote, client() as made:
        for _ in range(2):
            assert (await fails(made.fetch(request(remote.url()), 5)))[0] is Reason.RATE_LIMITED


async def test_up21_the_clock_of_the_remote_means_nothing() -> None:
    clock = ManualClock()
    skewed = [f"Date: {formatdate(clock.wall() + 1e6, usegmt=True)}", f"Age: {10**9}"]
    until = formatdate(clock.wall() + 60, usegmt=True)
    async with serve(each(answer(503, *skewed, f"Retry-After: {until}"))) as remote, client(clock=clock) as made:
        reply = await made.ask(request(remote.url()), 5)
        assert reply.retry_after == pytest.approx(60, abs=1)
        assert reply.latency == 0


async def test_a_pause_is_heard_only_where_it_means_one() -> None:
    async with serve(answer(200, "Retry-After: 60")) as remote:
        assert (await ask(remote.url())).retry_after is None


async def test_without_descriptors_it_is_not_the_remote_that_is_to_blame() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with serve(answer(200)) as remote, client() as made:
        asked = request(remote.url())
        with socket.socket() as lowest:  # the next descriptor there would be
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest.fileno(), hard))
        try:
            assert await fails(made.ask(asked, 5)) == (Reason.LIMIT, "no file descriptor left")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (await made.ask(asked, 5)).status == 200


async def test_a_url_with_a_password_is_refused() -> None:
    failure = await fails(ask(f"http://user:{CANARY}@127.0.0.1/"))
    assert failure == (Reason.CONFIG, "the url must not carry a user or password; use headers")


async def test_what_was_learnt_of_a_url_is_forgotten_with_it() -> None:
    async with serve(each(answer(200))) as remote, client() as made:
        asked: Request | None = request(remote.url())
        assert asked is not None
        await made.ask(asked, 5)
        assert len(made._urls) == 1
        asked = None
        gc.collect()
        assert len(made._urls) == 0


async def test_what_nobody_uses_any_more_is_not_kept_for_ever() -> None:
    clock = ManualClock()
    async with AsyncExitStack() as stack:
        used, left, closing = [
            await stack.enter_async_context(serve(script))
            for script in (each(answer(200)), each(answer(200)), answer(200))
        ]
        made = await stack.enter_async_context(client(clock=clock))
        for remote in (left, closing, used):
            await made.ask(request(remote.url()), 5)
        for _ in range(3):
            clock.advance(45)
            await made.ask(request(used.url()), 5)
        assert (used.connections, used.open) == (1, 1)
        assert [port for _, _, port in made._hosts] == [used.port]
        while left.open:
            await asyncio.sleep(0.01)


async def test_closing_closes_what_was_kept() -> None:
    async with serve(each(answer(200))) as remote, client() as made:
        await made.ask(request(remote.url()), 5)
        assert remote.open == 1
        await made.close()
        while remote.open:
            await asyncio.sleep(0.01)


async def test_a_failure_from_further_down_comes_without_its_history() -> None:
    async def names(call: object) -> Any:
        try:
            raise ValueError(CANARY)
        except ValueError:
            raise Failure(Reason.DNS, "no")  # noqa: B904

    assert await fails(ask("http://name.example/", names=names)) == (Reason.DNS, "no")


async def test_no_failure_shows_what_was_secret_wherever_it_was() -> None:
    async def said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{CANARY}\r\n".encode())

    async with serve(said) as remote, client() as made:
        asked = Request(
            url=Secret(remote.url(f"/{CANARY}?{CANARY}")),
            method="POST",
            headers={"Authorization": Secret(CANARY)},
            content=CANARY.encode(),
        )
        assert CANARY not in repr(asked)
        assert await fails(made.ask(asked, 5)) == NOT_HTTP


async def test_a_remote_that_sends_its_body_while_it_is_not_wanted_is_left() -> None:
    async with serve(endless(head(200), b"x" * 65536)) as remote, client() as made:
        reply = await made.ask(request(remote.url()), 5, body=False)
        assert (reply.status, reply.body) == (200, b"")
        while remote.open:
            await asyncio.sleep(0.01)


async def test_a_head_without_its_body_leaves_the_connection_for_the_next() -> None:
    async with serve(each(head(200, "Content-Length: 5"))) as remote, client() as made:
        for _ in range(2):
            assert (await made.ask(request(remote.url(), "HEAD"), 5)).status == 200
        assert remote.connections == 1


def test_a_client_is_made_of_nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://user:{CANARY}@127.0.0.1:1")

    async def work() -> int:
        async with serve(answer(200)) as remote:
            return (await ask(remote.url())).status

    assert asyncio.run(work()) == 200
