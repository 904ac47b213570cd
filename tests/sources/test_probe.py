"""Probes over real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network
from typing import Any, TypeVar

import pytest

from exporter.engine.threads import DaemonPool
from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.model.secret import Secret
from exporter.model.target import Target
from exporter.publishing.policy import AddressPolicy
from exporter.sources.probe import Prober
from exporter.sources.reply import Reply
from exporter.sources.tls import TlsOptions
from tests.fakes.clock import RealClock
from tests.fakes.remote import TLS, Script, answer, drips, hangs, serve, server_tls

T = TypeVar("T")

TRUSTING = TlsOptions(ca_file=TLS / "ca.pem")
CANARY = "c4n4ry"


def target(url: str, origin: str = "static", **headers: str) -> Target:
    return Target(
        name="ops",
        type="webhook",
        format="webhook",
        url=Secret(url),
        origin=origin,
        headers={name.replace("_", "-"): Secret(value) for name, value in headers.items()},
    )


@asynccontextmanager
async def prober(
    policy: AddressPolicy | None = None, tls: TlsOptions = TRUSTING, offload: Any = None
) -> AsyncIterator[Prober]:
    made = Prober(offload or DaemonPool("dns", 4), policy or AddressPolicy(), RealClock(), tls)
    try:
        yield made
    finally:
        await made.close()


async def ask(url: str, timeout: float = 5.0, origin: str = "static", **more: Any) -> Reply:
    async with prober(**more) as made:
        return await made.probe(target(url, origin), "GET", False, timeout)


async def failure_of(probe: Awaitable[Reply]) -> Failure:
    with pytest.raises(Failure) as caught:
        await probe
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value


def connected_to(port: int) -> int:
    """How many sockets of this process are connected to this port, whichever end is whose."""
    number = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError), socket.socket(fileno=os.dup(int(name))) as found:
            number += found.family is socket.AF_INET and found.getpeername()[1] == port
    return number


def resolving_to(*answers: str) -> Callable[[Callable[[], Any]], Awaitable[Any]]:
    """A pool whose lookups find these addresses, one after the other."""
    rest = list(answers)

    async def offload(call: Callable[[], T]) -> Any:
        address = rest.pop(0) if len(rest) > 1 else rest[0]
        return (address,)

    return offload


@pytest.mark.parametrize("status", [200, 204, 301, 307, 400, 401, 404, 405, 410, 422, 429, 500, 503])
async def test_a_status_comes_back_as_it_is(status: int) -> None:
    async with serve(answer(status, "Location: /elsewhere")) as remote:
        found = await ask(remote.url("/hook"))
        assert found.status == status
        assert 0 < found.latency < 5
        assert found.tls_expiry is None
        assert remote.connections == 1, "a redirect is not followed"


async def test_a_probe_sends_one_plain_request() -> None:
    async with serve(answer(200, "Set-Cookie: a=b; Path=/")) as remote, prober() as made:
        for _ in range(2):
            url = remote.url("/hook%2Fa?x=%2B+y", host="localhost")
            await made.probe(target(url, Authorization="Bearer " + CANARY), "GET", False, 5)
        assert remote.connections == 2, "each probe has a connection of its own"
        assert (
            remote.heads
            == [
                "GET /hook%2Fa?x=%2B+y HTTP/1.1\r\n"
                f"Host: localhost:{remote.port}\r\n"
                "User-Agent: platform-exporter\r\nAccept: */*\r\nConnection: close\r\n\r\n"
            ]
            * 2
        )


async def test_when_a_probe_has_ended_its_connection_has_too() -> None:
    async with serve(hangs) as silent, serve(answer(200)) as fine, prober() as made:
        for remote, timeout in ((fine, 5.0), (silent, 0.05)) * 3:
            with suppress(Failure):
                await made.probe(target(remote.url()), "GET", False, timeout)
            assert connected_to(remote.port) == 0


async def test_headers_of_the_target_are_sent_only_when_asked_for_and_never_those_that_frame_the_message() -> None:
    async with serve(answer(200)) as remote, prober() as made:
        secret = target(remote.url(), X_Api_Key=CANARY, Content_Length="5", Transfer_Encoding="chunked")
        await made.probe(secret, "HEAD", True, 5)
        assert f"X-Api-Key: {CANARY}\r\n" in remote.heads[0]
        assert remote.heads[0].startswith("HEAD ")
        assert "chunked" not in remote.heads[0]
        assert "Content-Length: 5" not in remote.heads[0]


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with serve(answer(200)) as remote:
        assert (await ask(remote.url())).status == 200


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (b"", Reason.CONNECT),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Reason.DECODE),
        (b"\x00\xff\x00\xff garbage\r\n\r\n", Reason.DECODE),
        (b"HTTP/1.1 200 OK\r\nX: " + b"z" * 100_000 + b"\r\n\r\n", Reason.DECODE),
        (b"HTTP/1.1 200 OK\r\n" + b"X: z\r\n" * 5_000 + b"\r\n", Reason.DECODE),
        (b"HTTP/1.1 200", Reason.CONNECT),
    ],
    ids=["says nothing", "another protocol", "garbage", "endless header", "endless headers", "breaks off"],
)
async def test_what_is_no_answer_has_its_reason(script: bytes, reason: Reason) -> None:
    async with serve(script) as remote:
        failed = await failure_of(ask(remote.url("/" + CANARY)))
        assert failed.reason is reason
        assert CANARY not in repr(failed)
        assert remote.connections == 1, "a request whose connection broke is not repeated"


@pytest.mark.parametrize("script", [hangs, drips], ids=["hangs", "drips"])
async def test_up2_up3_the_deadline_counts_for_the_whole_probe(script: Script) -> None:
    async with serve(script) as remote:
        begin = asyncio.get_running_loop().time()
        failed = await failure_of(ask(remote.url(), timeout=0.3))
        assert failed.reason is Reason.TIMEOUT
        assert 0.25 < asyncio.get_running_loop().time() - begin < 2.0


async def test_the_body_is_not_read() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"z" * 0x10000 + b"\r\n")
            await writer.drain()

    async with serve(endless) as remote:
        assert (await ask(remote.url(), timeout=2)).status == 200


async def test_up1_a_refused_connection_is_connect() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        failed = await failure_of(ask(f"http://127.0.0.1:{taken.getsockname()[1]}/"))
    assert (failed.reason, failed.detail) == (Reason.CONNECT, "connection refused")


async def test_up1_a_name_that_does_not_resolve_is_dns() -> None:
    async def unknown(call: Callable[[], T]) -> T:
        raise socket.gaierror(socket.EAI_NONAME, "no " + CANARY)

    failed = await failure_of(ask("http://nowhere.invalid/", offload=unknown))
    assert (failed.reason, failed.detail) == (Reason.DNS, "the host name does not resolve")


async def test_up1_a_name_server_that_hangs_is_dns() -> None:
    async def stuck(call: Callable[[], T]) -> T:
        await asyncio.Event().wait()
        raise AssertionError

    assert (await failure_of(ask("http://slow.invalid/", 0.1, offload=stuck))).reason is Reason.DNS


async def test_a_connection_that_does_not_come_about_is_a_timeout() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        failed = await failure_of(ask(f"http://127.0.0.1:{address[1]}/", 0.2))
        for filler in fillers:
            filler.close()
    assert (failed.reason, failed.detail) == (Reason.TIMEOUT, "no connection in time")


async def test_a_certificate_that_is_verified_tells_its_expiry() -> None:
    async with serve(answer(200), tls=server_tls()) as remote, prober() as made:
        for host in ("127.0.0.1", "localhost"):
            found = await made.probe(target(remote.url(host=host)), "GET", False, 5)
            assert found.tls_expiry == 4733510400.0  # 2120-01-01
        made.tls = TlsOptions(ca_file=TLS / "ca.pem", server_name="other.example")
        failed = await failure_of(made.probe(target(remote.url()), "GET", False, 5))
        assert failed.reason is Reason.TLS


@pytest.mark.parametrize(
    ("certificate", "tls", "detail"),
    [
        ("expired", TRUSTING, "the certificate has expired"),
        ("other", TRUSTING, "the certificate is for another address"),
        ("server", TlsOptions(), "the certificate's authority is not trusted"),
        ("server", TlsOptions(ca_file=TLS / "ca.pem", server_name="a.b"), "the certificate is for another name"),
    ],
)
async def test_a_certificate_that_is_no_good_is_tls(certificate: str, tls: TlsOptions, detail: str) -> None:
    async with serve(answer(200), tls=server_tls(certificate)) as remote:
        failed = await failure_of(ask(remote.url(), tls=tls))
        assert (failed.reason, failed.detail) == (Reason.TLS, detail)
        assert not remote.heads


async def test_a_server_name_lets_a_certificate_for_another_name_pass() -> None:
    async with serve(answer(200), tls=server_tls("other")) as remote:
        tls = TlsOptions(ca_file=TLS / "ca.pem", server_name="other.example")
        assert (await ask(remote.url(), tls=tls)).status == 200


async def test_a_target_without_tls_where_tls_is_expected_is_tls() -> None:
    async with serve(b"HTTP/1.1 400 Bad Request\r\n\r\n", read=False) as remote:
        failed = await failure_of(ask(f"https://127.0.0.1:{remote.port}/"))
        assert (failed.reason, failed.detail) == (Reason.TLS, "the remote does not speak TLS")


async def test_a_tls_handshake_that_hangs_is_a_timeout_and_leaves_no_socket() -> None:
    async with serve(hangs, read=False) as remote:
        before = len(os.listdir("/proc/self/fd"))
        assert (await failure_of(ask(f"https://127.0.0.1:{remote.port}/", 0.2))).reason is Reason.TIMEOUT
        await asyncio.sleep(0)
        assert len(os.listdir("/proc/self/fd")) <= before + 1, "the remote's end may still be open, ours is not"


async def test_a_target_that_wants_a_certificate_gets_ours() -> None:
    own = TlsOptions(ca_file=TLS / "ca.pem", cert_file=TLS / "server.pem")
    async with serve(answer(200), tls=server_tls(client_authority=True)) as remote:
        assert (await ask(remote.url(), tls=own)).status == 200
        # This one hangs up without a word, and after the handshake: for the client all was well.
        assert (await failure_of(ask(remote.url()))).reason is Reason.CONNECT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0),
        ("0", None),
        ("-5", None),
        ("soon", None),
        ("99999999999999999999", 3600.0),
        ("Fri, 31 Dec 2100 23:59:59 GMT", 3600.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", None),
        ("Fri, 99 Foo 0000 99:99:99", None),
        ("1e3", None),
        ("\xb2", None),
    ],
)
async def test_a_pause_the_target_asks_for_is_understood_and_bounded(header: str, seconds: float | None) -> None:
    async with serve(answer(429, f"Retry-After: {header}")) as remote:
        assert (await ask(remote.url())).retry_after == seconds


METADATA_ADDRESSES = ["http://169.254.169.254/latest", "http://[::ffff:169.254.169.254]/", "http://[fd00:ec2::254]/"]
LOOPBACK = [
    "127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "[::]", "127.9.9.9",
    "0x7f000001", "2130706433", "127.1", "0177.0.0.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
]  # fmt: skip


@pytest.mark.parametrize("url", METADATA_ADDRESSES)
async def test_metadata_services_are_out_of_reach_whoever_wrote_the_target(url: str) -> None:
    failed = await failure_of(ask(url))
    assert (failed.reason, failed.detail) == (Reason.CONFIG, "address refused by targets.policy")


@pytest.mark.parametrize("host", LOOPBACK)
async def test_the_own_host_is_out_of_reach_for_targets_from_the_cluster_in_every_spelling(host: str) -> None:
    async with serve(answer(200), host="") as remote:
        failed = await failure_of(ask(remote.url(host=host), origin="kubernetes"))
        assert (failed.reason, failed.detail) == (Reason.CONFIG, "address refused by targets.policy")
        assert remote.connections == 0


async def test_a_name_that_moves_to_a_refused_address_is_refused_there() -> None:
    """The first lookup finds a harmless address, the second one an address inside: the connection is what counts."""
    async with serve(answer(200)) as remote:
        policy = AddressPolicy(allow=(ip_network("127.0.0.2/32"),))
        offload = resolving_to("127.0.0.2", "127.0.0.1")
        made = Prober(offload, policy, RealClock(), TRUSTING)  # type: ignore[arg-type]
        rebinding = target(f"http://rebind.example:{remote.port}/", "kubernetes")
        assert (await failure_of(made.probe(rebinding, "GET", False, 5))).reason is Reason.CONNECT
        made._resolver._known.clear()
        assert (await failure_of(made.probe(rebinding, "GET", False, 5))).reason is Reason.CONFIG
        assert remote.connections == 0
        await made.close()


async def test_of_several_addresses_only_those_that_are_fine_are_tried() -> None:
    async def both(call: Callable[[], T]) -> Any:
        return ("169.254.169.254", "127.0.0.1")

    async with serve(answer(200)) as remote:
        assert (await ask(f"http://both.example:{remote.port}/", offload=both)).status == 200


async def test_a_new_policy_counts_at_once() -> None:
    async with serve(answer(200)) as remote, prober() as made:
        assert (await made.probe(target(remote.url()), "GET", False, 5)).status == 200
        made.policy = AddressPolicy(deny=(ip_network("127.0.0.0/8"),))
        assert (await failure_of(made.probe(target(remote.url()), "GET", False, 5))).reason is Reason.CONFIG


async def test_a_probe_that_is_cancelled_leaves_nothing_behind() -> None:
    async with serve(hangs) as remote, prober() as made:
        tasks = len(asyncio.all_tasks())
        probe = asyncio.ensure_future(made.probe(target(remote.url(host="localhost")), "GET", False, 60))
        while not remote.open:
            await asyncio.sleep(0.01)
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        while remote.connections != 1 or len(asyncio.all_tasks()) > tasks + 1:  # the remote's own
            await asyncio.sleep(0.01)


async def test_what_the_library_did_not_foresee_is_internal_and_keeps_its_text() -> None:
    async def broken(call: Callable[[], T]) -> T:
        raise RuntimeError(CANARY)

    failed = await failure_of(ask("http://name.example/", offload=broken))
    assert (failed.reason, failed.detail) == (Reason.INTERNAL, "RuntimeError")


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:1/{CANARY}?token={CANARY}",
        f"http://{CANARY}.invalid/",
        f"http://{CANARY}:{CANARY}@127.0.0.1:1/",
        f"https://127.0.0.1:99999/{CANARY}",
        f"ftp://127.0.0.1/{CANARY}",
        f"http:///{CANARY}",
        f"{CANARY}",
        f"http://[::1/{CANARY}",
        f"http://{'a' * 300}/{CANARY}",
    ],
)
async def test_nothing_of_a_url_or_a_header_shows_in_a_failure(url: str) -> None:
    async with prober() as made:
        secret = target(url, X_Api_Key=CANARY)
        failed = await failure_of(made.probe(secret, "GET", True, 2))
        shown = "".join(traceback.format_exception(failed)) + repr(failed) + str(failed) + repr(secret)
        assert CANARY not in shown


@pytest.mark.parametrize(
    "options",
    [
        TlsOptions(ca_file=TLS / "none.pem"),
        TlsOptions(ca_file=TLS),
        TlsOptions(cert_file=TLS / "none.pem"),
        TlsOptions(cert_file=TLS / "ca.pem"),
    ],
)
async def test_tls_files_of_no_use_are_told_at_once_and_change_nothing(options: TlsOptions) -> None:
    async with serve(answer(200), tls=server_tls()) as remote, prober() as made:
        with pytest.raises(Failure) as caught:
            made.tls = options
        assert caught.value.reason is Reason.CONFIG
        assert (await made.probe(target(remote.url()), "GET", False, 5)).status == 200
        assert made.tls == TRUSTING


async def test_closing_twice_is_closing_once() -> None:
    async with serve(answer(200)) as remote, prober() as made:
        await made.probe(target(remote.url()), "GET", False, 5)
        await made.close()
