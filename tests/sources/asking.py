"""What tests of the client share: a client on real sockets, and a look at what a failure says."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from exporter.engine.threads import DaemonPool
from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.model.secret import Secret
from exporter.sources.http import Client, Request
from exporter.sources.reply import Reply
from exporter.sources.resolver import Resolver
from exporter.sources.tls import TlsOptions
from tests.fakes.clock import RealClock
from tests.fakes.remote import TLS

T = TypeVar("T")

TRUSTING = TlsOptions(ca_file=TLS / "ca.pem")
CANARY = "c4n4ry"


@asynccontextmanager
async def client(
    tls: TlsOptions = TRUSTING, names: Any = None, clock: Any = None, **more: Any
) -> AsyncIterator[Client]:
    clock = clock or RealClock()
    resolver = Resolver(names or DaemonPool("names", 2), clock)
    made = Client(resolver, clock, tls, **more)
    try:
        yield made
    finally:
        await resolver.close()
        await made.close()


def request(url: str, method: str = "GET", content: bytes = b"", **headers: str) -> Request:
    secret = {name.replace("_", "-"): Secret(value) for name, value in headers.items()}
    return Request(url=Secret(url), method=method, headers=secret, content=content)


async def ask(url: str, timeout: float = 5.0, redirects: int = 0, **more: Any) -> Reply:
    async with client(**more) as made:
        return await made.ask(request(url), timeout, redirects=redirects)


async def fails(asked: Awaitable[Any]) -> tuple[Reason, str]:
    """The reason and the text of a failure, which shows no secret and hides no other exception."""
    with pytest.raises(Failure) as caught:
        await asked
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert CANARY not in "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
    return error.reason, error.detail


def resolving_to(*addresses: str) -> Callable[[Callable[[], Any]], Awaitable[Any]]:
    """A pool whose every lookup finds these addresses."""

    async def offload(call: Callable[[], T]) -> Any:
        return addresses

    return offload
