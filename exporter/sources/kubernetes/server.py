"""How an API server is asked, and what it is called when that fails."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import aiohttp

from exporter.model.collector import Clock, Offload
from exporter.model.errors import Backoff, Failure
from exporter.model.reason import Reason
from exporter.sources.kubernetes.client import Client, connect, hang_up, load_library
from exporter.sources.kubernetes.question import Question
from exporter.sources.reply import pause
from exporter.sources.tls import fault

T = TypeVar("T")


class Gone(Failure):
    """What is asked for is older than what the server remembers: only a new list helps."""


class _Outdated(Exception):
    """Tokens and certificates may be others by now."""


class Server:
    """The API server of one cluster."""

    def __init__(self, kubeconfig: Path | None, clock: Clock, offload: Offload) -> None:
        self._kubeconfig = kubeconfig
        self._offload = offload
        self._clock = clock
        self._client: Client | None = None
        self._connecting = asyncio.Lock()
        self._quiet_until = 0.0

    @property
    def pause(self) -> float:
        """The seconds the server still wants to be left alone."""
        return max(0.0, self._quiet_until - self._clock.monotonic())

    async def ask(self, question: Question, read: Callable[[aiohttp.StreamReader], Awaitable[T]]) -> T:
        """What `read` makes of the body of the answer; raises Failure for all that can go wrong on the way."""
        try:
            async with asyncio.timeout(question.total):
                try:
                    return await self._ask(question, read)
                except _Outdated:
                    pass
                return await self._ask(question, read, again=True)
        except (aiohttp.ClientError, OSError) as caught:
            failure = _failure(caught, question)
        # Raised here so that it carries no context: the texts of other exceptions may hold what must not be seen.
        raise failure

    async def _ask(
        self, question: Question, read: Callable[[aiohttp.StreamReader], Awaitable[T]], again: bool = False
    ) -> T:
        if self.pause:
            raise Backoff(Reason.RATE_LIMITED, "the API server asked for a pause")
        async with await self._connected() as client:
            try:
                response = await client.send(question)
            except (aiohttp.ClientSSLError, ssl.SSLError):
                await self._forget(client)
                if again:
                    raise
                raise _Outdated from None
            try:
                if response.status == 401:
                    await self._forget(client)
                    if not again:
                        raise _Outdated
                if response.status != 200:
                    raise self._refusal(response, question, client.anonymous)
                return await read(response.content)
            finally:
                hang_up(response)

    def _refusal(self, response: aiohttp.ClientResponse, question: Question, anonymous: bool) -> Failure:
        whose = " as nobody: no credentials were found" if anonymous else ""
        status, asked = response.status, response.headers.get("Retry-After", "")
        wait = pause(asked, self._clock.wall()) if status in (429, 503) and asked else None
        if wait is not None:
            self._quiet_until = self._clock.monotonic() + wait
        if status == 401:
            return Failure(Reason.AUTH, f"the API server does not accept our credentials, asked to {question}{whose}")
        if status == 403:
            return Failure(Reason.AUTH, f"not allowed to {question}{whose}")
        if status == 410:
            return Gone(Reason.HTTP_STATUS, f"the answer to {question} was 410")
        if status == 429:
            kind = Failure if wait is None else Backoff
            return kind(Reason.RATE_LIMITED, "the API server asks for fewer requests")
        return Failure(Reason.HTTP_STATUS, f"the answer to {question} was {status}")

    async def _connected(self) -> Client:
        async with self._connecting:
            if self._client is None:
                await self._offload(load_library)
                self._client = await connect(self._kubeconfig)
            return self._client

    async def _forget(self, client: Client) -> None:
        """The next request reads tokens and certificates anew, unless that has just been done."""
        if self._client is client:
            self._client = None
            await client.retire()

    async def close(self) -> None:
        """Ends all connections, those in use when they are not any more."""
        if self._client is not None:
            await self._forget(self._client)


def _failure(caught: aiohttp.ClientError | OSError, question: Question) -> Failure:
    """The reason, and a text of our own, for whatever was raised."""
    match caught:
        case TimeoutError():
            return Failure(Reason.TIMEOUT, f"no answer in time, asked to {question}")
        case aiohttp.ClientConnectorDNSError():
            return Failure(Reason.DNS, "the name of the API server cannot be resolved")
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLError() as error):
            return Failure(Reason.TLS, fault(error))
        case aiohttp.ClientConnectorSSLError(os_error=ssl.SSLError() as error) | (ssl.SSLError() as error):
            return Failure(Reason.TLS, fault(error))
        case aiohttp.TooManyRedirects():
            return Failure(Reason.REDIRECT, "the API server redirects without end")
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return Failure(Reason.CONFIG, "the address of the API server is none")
        case aiohttp.ClientHttpProxyError():
            return Failure(Reason.CONNECT, "the proxy does not lead to the API server")
        case aiohttp.ClientResponseError():
            return Failure(Reason.DECODE, "the answer is not HTTP")
        case OSError(errno=int(number)) if number > 0:
            return Failure(Reason.CONNECT, os.strerror(number).lower())
    return Failure(Reason.CONNECT, f"the connection broke, asked to {question}")
