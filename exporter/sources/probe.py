"""One HTTP request to a target: can it be reached, how fast, and what does it say."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextvars import ContextVar
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from aiohttp.connector import AddrInfoType, Connection

from exporter.model.collector import Clock, Offload
from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.model.target import Target
from exporter.publishing.policy import AddressPolicy
from exporter.sources.resolver import Resolver
from exporter.sources.tls import TlsOptions

LONGEST_RETRY_AFTER = 3600.0

# One deadline counts for the whole probe. The library's own would round those over five seconds up to whole ones.
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)

# They frame the message: a target's own would contradict the request that is sent.
_FRAMING = frozenset({"connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"})

_CERTIFICATE_FAULTS = {
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    18: "the certificate is self-signed",
    19: "the certificate chain ends in an authority that is not trusted",
    20: "the certificate's authority is not trusted",
    62: "the certificate is for another name",
    64: "the certificate is for another address",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a target answered; `latency` runs from the name to the end of the headers."""

    status: int
    latency: float
    tls_expiry: float | None = None
    retry_after: float | None = None


class _Call:
    """What the connector learns about the probe on whose behalf it connects."""

    __slots__ = ("attempted", "connected", "origin", "refused", "tls_expiry")

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.attempted = False
        self.refused = False
        self.connected = False
        self.tls_expiry: float | None = None


# The connector is shared and its hooks are given addresses only; they run in the probe's context, also when
# several addresses are tried at once.
_call: ContextVar[_Call] = ContextVar("_call")


class Prober:
    """Probes targets, each over a connection of its own; `policy` may be replaced at any time."""

    def __init__(self, offload_dns: Offload, policy: AddressPolicy, clock: Clock, tls: TlsOptions) -> None:
        self.policy = policy
        self.tls = tls
        self._clock = clock
        self._resolver = Resolver(offload_dns, clock)
        self._open: aiohttp.ClientSession | None = None

    @property
    def tls(self) -> TlsOptions:
        """How targets are verified. Setting it reads the files, and fails if they are of no use."""
        return self._tls

    @tls.setter
    def tls(self, options: TlsOptions) -> None:
        self._ssl = options.context()
        self._tls = options

    async def probe(self, target: Target, method: str, send_headers: bool, timeout: float) -> Answer:
        """Sends one request and reads the headers of the answer; raises a failure without any text of the remote."""
        call = _Call(target.origin)
        token = _call.set(call)
        try:
            async with asyncio.timeout(timeout):
                return await self._ask(target, method, send_headers, call)
        except TimeoutError:
            failure = _timed_out(call)
        except Exception as caught:
            failure = _failure(caught, call)
        finally:
            _call.reset(token)
        # Raised here so that it carries no context: the texts of the library's exceptions hold URLs.
        raise failure

    async def _ask(self, target: Target, method: str, send_headers: bool, call: _Call) -> Answer:
        begin = self._clock.monotonic()
        response = await self._session().request(
            method,
            target.url.reveal(),
            headers=_headers(target) if send_headers else None,
            allow_redirects=False,
            ssl=self._ssl,
            server_hostname=self._tls.server_name,
        )
        latency = self._clock.monotonic() - begin
        response.close()  # not release: the body is of no interest, and may have no end
        retry_after = response.headers.get("Retry-After")
        return Answer(
            response.status,
            latency,
            call.tls_expiry,
            retry_after and self._seconds(retry_after),  # type: ignore[arg-type]  # never the empty text
        )

    def _session(self) -> aiohttp.ClientSession:
        if self._open is None:
            self._open = aiohttp.ClientSession(
                connector=_Connector(
                    resolver=self._resolver,
                    socket_factory=self._socket,
                    use_dns_cache=False,
                    force_close=True,
                    limit=0,
                ),
                headers={"User-Agent": "platform-exporter", "Accept": "*/*"},
                skip_auto_headers=("Accept-Encoding",),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=_NO_TIMEOUT,
                trust_env=False,
                middlewares=(_once,),
                auto_decompress=False,  # or the little of the body that came with the headers could become a lot
            )
        return self._open

    def _socket(self, info: AddrInfoType) -> socket.socket:
        """Makes the socket of one attempt, unless its address is one that must not be reached."""
        family, kind, protocol, _, address = info
        call = _call.get()
        call.attempted = True
        if self.policy.refuses(str(address[0]), call.origin):
            call.refused = True
            raise PermissionError
        return socket.socket(family, kind, protocol)

    def _seconds(self, retry_after: str) -> float | None:
        """The pause a target asked for, in seconds; None if it makes no sense."""
        if retry_after.isascii() and retry_after.isdigit():
            seconds = float(retry_after[:10])
        else:
            try:
                seconds = parsedate_to_datetime(retry_after[:64]).timestamp() - self._clock.wall()
            except (ValueError, TypeError, OverflowError):
                return None
        return min(seconds, LONGEST_RETRY_AFTER) if seconds > 0 else None

    async def close(self) -> None:
        """Closes whatever is open."""
        await self._resolver.close()
        if self._open is not None:
            session, self._open = self._open, None
            await session.close()


class _Connector(aiohttp.TCPConnector):
    """Sees each connection before the request goes over it."""

    async def connect(self, req: aiohttp.ClientRequest, *args: Any, **kwargs: Any) -> Connection:
        call = _call.get()
        connection = await super().connect(req, *args, **kwargs)
        call.connected = True
        certificate = connection.transport and connection.transport.get_extra_info("peercert")
        if certificate:
            call.tls_expiry = float(ssl.cert_time_to_seconds(certificate["notAfter"]))
        return connection


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Turns what goes wrong into our own failure: the library would repeat a request whose connection broke."""
    try:
        return await send(request)
    except aiohttp.ClientError as caught:
        failure = _failure(caught, _call.get())
    raise failure


def _headers(target: Target) -> dict[str, str]:
    return {name: value.reveal() for name, value in target.headers.items() if name.lower() not in _FRAMING}


def _timed_out(call: _Call) -> Failure:
    if not call.attempted:
        return Failure(Reason.DNS, "the host name was not resolved in time")
    if not call.connected:
        return Failure(Reason.TIMEOUT, "no connection in time")
    return Failure(Reason.TIMEOUT, "no answer in time")


def _failure(caught: Exception, call: _Call) -> Failure:
    """The reason and a text of our own for whatever the client library raised."""
    match caught:
        case Failure():
            return caught
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError(verify_code=code)):
            return Failure(Reason.TLS, _CERTIFICATE_FAULTS.get(code, "the certificate is not valid"))
        case aiohttp.ClientSSLError():
            return Failure(Reason.TLS, "the TLS handshake failed")
        case aiohttp.ClientConnectorError() if call.refused:
            return Failure(Reason.CONFIG, "address refused by targets.policy")
        case aiohttp.ClientConnectorError(os_error=OSError(errno=int(number))):
            return Failure(Reason.CONNECT, os.strerror(number).lower())
        case aiohttp.ClientConnectionError():
            return Failure(Reason.CONNECT, "the connection was closed before an answer")
        case aiohttp.InvalidURL():
            return Failure(Reason.CONFIG, "the url cannot be used")
        case aiohttp.ClientError():
            return Failure(Reason.DECODE, "the answer is not HTTP")
    return Failure(Reason.INTERNAL, type(caught).__name__)
