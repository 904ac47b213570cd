"""What is sent to a receiver, what comes back, and what that means for a second attempt."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import aiohttp

from exporter.demo.traffic import Alert


class ErrorType(StrEnum):
    """Why a job failed: worth another attempt, not worth one, or nobody knows."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """Why there was no answer."""

    TIMEOUT = "timeout"
    NETWORK = "network"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call to a receiver. `action` is the publisher's own word for what it does."""

    target: str
    alert: Alert
    action: str
    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended; status 0 without an answer."""

    status: int
    seconds: float
    cause: Cause | None = None

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300

    @property
    def error(self) -> ErrorType:
        """What it means that this was not accepted."""
        if self.status in (0, 408, 429) or self.status >= 500:
            return ErrorType.TRANSIENT
        return ErrorType.PERMANENT if self.status >= 400 else ErrorType.UNKNOWN


class Invalid(Exception):
    """The alert cannot be sent to this receiver, now or later."""


class Publisher(Protocol):
    """One kind of receiver: how it wants to be told, and what its client counts."""

    def request(self, target: str, url: str, alert: Alert) -> Request | None:
        """What to send; None if there is nothing to tell. Raises Invalid."""

    def attempted(self, request: Request, answer: Answer) -> None:
        """One call has ended."""

    def retried(self, request: Request, attempt: int) -> None:
        """There will be another call, the first repeated one being number 1."""

    def settled(self, request: Request, answer: Answer, seconds: float) -> None:
        """There will be no further call; all of them together took so long."""

    def limited(self) -> None:
        """A call has to wait because the receiver allows no more for now."""


Send = Callable[[Request], Awaitable[Answer]]


class Courier:
    """Sends requests over real connections; whatever happens is an answer."""

    def __init__(self, timeout: float, now: Callable[[], float], tls: ssl.SSLContext) -> None:
        self._now = now
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit_per_host=4), timeout=aiohttp.ClientTimeout(total=timeout)
        )

    async def __call__(self, request: Request) -> Answer:
        began = self._now()
        try:
            async with self._session.request(
                request.method, request.url, data=request.body, headers=request.headers, allow_redirects=False
            ) as answer:
                return Answer(answer.status, self._now() - began)
        except TimeoutError:
            return Answer(0, self._now() - began, Cause.TIMEOUT)
        except (aiohttp.ClientError, OSError, ValueError):
            return Answer(0, self._now() - began, Cause.NETWORK)

    async def close(self) -> None:
        """Ends what is under way."""
        await self._session.close()
