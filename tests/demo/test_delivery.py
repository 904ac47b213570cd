"""Requests over real connections, and what their ends mean."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from exporter.demo.delivery import Answer, Cause, Courier, ErrorType, Request
from exporter.demo.receivers import CA_FILE, Receivers, server_tls, webhook
from tests.demo.build import alert


@pytest.fixture
async def running() -> AsyncIterator[Receivers]:
    started = Receivers()
    yield started
    await started.close()


@pytest.fixture
async def courier() -> AsyncIterator[Courier]:
    started = Courier(0.3, time.monotonic, ssl.create_default_context(cafile=str(CA_FILE)))
    yield started
    await started.close()


def to(url: str) -> Request:
    return Request(target="t", alert=alert(), action="post", url=url, headers={"X-Told": "yes"}, body=b"{}")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (0, ErrorType.TRANSIENT),
        (408, ErrorType.TRANSIENT),
        (429, ErrorType.TRANSIENT),
        (500, ErrorType.TRANSIENT),
        (503, ErrorType.TRANSIENT),
        (400, ErrorType.PERMANENT),
        (404, ErrorType.PERMANENT),
        (302, ErrorType.UNKNOWN),
    ],
)
def test_only_what_may_pass_is_worth_another_attempt(status: int, error: ErrorType) -> None:
    assert not Answer(status, 0.1).accepted
    assert Answer(status, 0.1).error is error


async def test_headers_and_body_arrive_and_a_redirect_is_not_followed(running: Receivers, courier: Courier) -> None:
    seen = []

    async def receive(request: web.Request) -> web.Response:
        seen.append((request.method, request.headers["X-Told"], await request.text()))
        return web.Response(status=302, headers={"Location": str(request.url)})

    answer = await courier(to(f"http://127.0.0.1:{await running.serve(receive)}/"))
    assert (answer.status, answer.cause) == (302, None)
    assert 0 < answer.seconds < 0.3
    assert seen == [("POST", "yes", "{}")]


async def test_a_receiver_that_hangs_is_left_after_the_timeout(running: Receivers, courier: Courier) -> None:
    left = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError

    answer = await courier(to(f"http://127.0.0.1:{await running.serve(hang)}/"))
    assert (answer.status, answer.cause) == (0, Cause.TIMEOUT)
    await asyncio.wait_for(left.wait(), 10)  # the receiver holds nothing for somebody who has gone


async def test_nobody_there_and_nonsense_are_answers_too(courier: Courier) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert (await courier(to(f"http://127.0.0.1:{port}/"))).cause is Cause.NETWORK
    assert (await courier(to("no address"))).cause is Cause.NETWORK


async def test_the_demos_own_certificate_is_trusted(running: Receivers, courier: Courier) -> None:
    port = await running.serve(webhook, server_tls())
    assert (await courier(to(f"https://127.0.0.1:{port}/"))).accepted
