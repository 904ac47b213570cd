"""The receivers answer as the real services would, and the demo's certificate is fit for what it is for."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from exporter.demo import receivers
from exporter.demo.receivers import (
    CA_FILE,
    TLS,
    Receivers,
    Schedule,
    pagerduty,
    revoked_slack,
    rootly,
    server_tls,
    slack,
    webhook,
)


@pytest.fixture
async def running() -> AsyncIterator[Receivers]:
    started = Receivers()
    yield started
    await started.close()


async def ask(port: int, method: str = "GET") -> tuple[int, str, str | None]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{port}/any/path?query") as answer,
    ):
        return answer.status, await answer.text(), answer.headers.get("Allow")


async def test_rootly_answers_and_creates_incidents(running: Receivers) -> None:
    port = await running.serve(rootly)
    assert await ask(port) == (200, '{"data": []}', None)
    assert (await ask(port, "POST"))[0] == 201


async def test_slack_takes_its_time_and_calls_an_empty_request_bad(
    running: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receivers, "SLOW", 0.05)
    port = await running.serve(slack)
    began = asyncio.get_running_loop().time()
    assert await ask(port) == (400, "invalid_payload", None)
    assert asyncio.get_running_loop().time() - began >= 0.05
    assert await ask(port, "POST") == (200, "ok", None)


async def test_a_revoked_slack_webhook_is_gone(running: Receivers) -> None:
    assert await ask(await running.serve(revoked_slack)) == (404, "no_service", None)


async def test_pagerduty_fails_and_recovers_by_the_clock(running: Receivers) -> None:
    now = 1000.0
    port = await running.serve(pagerduty(Schedule(works=40.0, fails=20.0), lambda: now))
    assert await ask(port) == (405, "", "POST")
    assert (await ask(port, "POST"))[0] == 202
    now += 20
    assert (await ask(port))[0] == 503
    now += 20
    assert (await ask(port))[0] == 405


def test_the_schedule_first_fails_early_and_then_regularly() -> None:
    schedule = Schedule(works=40.0, fails=20.0)
    failing = [second for second in range(140) if schedule.failing(float(second))]
    assert failing == [*range(20, 40), *range(80, 100)]


async def test_the_webhook_is_reached_through_tls_under_each_of_its_names(running: Receivers) -> None:
    port = await running.serve(webhook, server_tls())
    trust = ssl.create_default_context(cafile=CA_FILE)
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    async with aiohttp.ClientSession() as session:
        for host in ("127.0.0.1", "localhost"):
            async with session.get(f"https://{host}:{port}/", ssl=trust) as answer:
                assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        async with session.post(f"https://127.0.0.1:{port}/", ssl=trust) as answer:
            assert answer.status == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"https://127.0.0.1:{port}/")


def peer_certificate(name: str) -> dict[str, object]:
    """What a client sees that trusts the demo's authority and expects this name."""
    client, server = ssl.create_default_context(cafile=CA_FILE), server_tls()
    inside, outside, echo, back = (ssl.MemoryBIO() for _ in range(4))
    client_side = client.wrap_bio(inside, outside, server_hostname=name)
    server_side = server.wrap_bio(echo, back, server_side=True)
    for _ in range(4):
        for side in (client_side, server_side):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
            echo.write(outside.read())
            inside.write(back.read())
    return dict(client_side.getpeercert() or {})


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_the_certificate_verifies_for_loopback_and_lasts(name: str) -> None:
    expiry = ssl.cert_time_to_seconds(str(peer_certificate(name)["notAfter"]))
    assert datetime.fromtimestamp(expiry, UTC) - datetime.now(UTC) > timedelta(days=50 * 365)


def test_the_certificate_is_refused_for_any_other_name() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        peer_certificate("hooks.example.org")


def test_certificate_and_key_belong_together_and_say_what_they_are_for() -> None:
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(TLS / "demo-server.pem", TLS / "demo-server-key.pem")
    authority = ssl.create_default_context(cafile=CA_FILE).get_ca_certs()
    assert "platform-exporter demo CA (trust it for the demo only)" in str(authority)
    assert all(file.name.startswith("demo-") for file in TLS.iterdir())


async def test_closing_frees_the_ports_and_cuts_off_slow_answers(running: Receivers) -> None:
    port = await running.serve(slack)
    waiting = asyncio.create_task(ask(port))
    while not asyncio.all_tasks() - {asyncio.current_task(), waiting}:
        await asyncio.sleep(0)
    await asyncio.wait_for(running.close(), 1.0)
    with pytest.raises(aiohttp.ClientError):
        await waiting
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(port)
