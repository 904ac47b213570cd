"""The one HTTP client for whatever the daemon asks: each call within one deadline, each answer within its limits.

What goes wrong leaves as a failure with a reason and a text of our own. Nothing is taken from the environment, and a
redirect is followed only if asked for, and only within the same origin.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from exporter.model.collector import Clock
from exporter.model.errors import Backoff, Failure
from exporter.model.reason import Reason
from exporter.model.secret import Secret
from exporter.publishing.policy import AddressPolicy
from exporter.sources.exchange import Limits, read_body, read_head
from exporter.sources.proxy import Proxy, tunnel
from exporter.sources.reply import Reply, pause
from exporter.sources.resolver import Resolver
from exporter.sources.tls import TlsOptions, fault
from exporter.sources.url import Url, parse
from exporter.sources.wire import Wire, dial, first

KEEP_IDLE = 90.0  # seconds: longer than the usual time between two scrapes
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})
_FOLLOWED = frozenset({301, 302, 303, 307, 308})
_BODILESS = frozenset({101, 204, 304})
_UNSENDABLE = re.compile(r"[\x00\r\n]")
_AGENT = "platform-exporter"
# They frame the message: a caller's own would contradict the request that is sent.
_FRAMING = frozenset({"connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"})

_LATE = {
    "turn": (Reason.TIMEOUT, "too many requests to this host are under way"),
    "name": (Reason.DNS, "the host name was not resolved in time"),
    "connection": (Reason.TIMEOUT, "no connection in time"),
    "answer": (Reason.TIMEOUT, "no answer in time"),
    "body": (Reason.TIMEOUT, "the answer did not end in time"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to ask. `origin` says where the URL was defined, which decides to which addresses it may lead."""

    url: Secret
    method: str = "GET"
    headers: Mapping[str, Secret | str] = field(default_factory=dict)
    content: bytes = field(default=b"", repr=False)
    origin: str = "static"


@dataclass(slots=True)
class Call:
    """A request on its way. How far it has come tells one timeout from another."""

    request: Request
    body: bool  # whether it is wanted
    stage: str = "turn"
    begin: float = 0.0

    def failure(self, caught: Exception) -> Failure:
        """The reason, and a text of our own, for whatever was raised."""
        match caught:
            case Failure():
                return Failure(caught.reason, caught.detail)
            case TimeoutError():
                return Failure(*_LATE[self.stage])
            case ssl.SSLError():
                return Failure(Reason.TLS, fault(caught))
            case OSError() | EOFError() if self.stage == "body":
                return Failure(Reason.DECODE, "the answer broke off")
            case OSError(errno=errno.EMFILE | errno.ENFILE):
                return Failure(Reason.LIMIT, "no file descriptor left")
            case OSError(errno=int(number)) if number > 0:
                return Failure(Reason.CONNECT, os.strerror(number).lower())
            case OSError() | EOFError():
                return Failure(Reason.CONNECT, "the connection was closed before an answer")
        return Failure(Reason.INTERNAL, type(caught).__name__)


class _Host:
    """One origin: how many may ask it at once, and the connections that wait for the next request."""

    def __init__(self, most: int) -> None:
        self.turn = asyncio.Semaphore(most)
        self.users = 0
        self.idle: list[Wire] = []

    def take(self, addresses: tuple[str, ...], tls: ssl.SSLContext | None) -> Wire | None:
        """A connection that stands, verified as it would be now, to an address that would be connected to now."""
        while self.idle:
            wire = self.idle.pop()
            if wire.idle and wire.address in addresses and wire.tls is tls:
                return wire
            wire.close()
        return None


class Client:
    """Asks remotes. `policy` and `tls` may be replaced at any time.

    `per_host` bounds the requests to one origin at once, and the connections kept for the next ones; with 0 there is
    no bound, and each request has a connection of its own. A user and password in a URL are never sent.
    """

    ignores_login = False  # whether such a URL is asked all the same

    def __init__(
        self,
        resolver: Resolver,
        clock: Clock,
        tls: TlsOptions,
        policy: AddressPolicy | None = None,
        *,
        limits: Limits | None = None,
        proxy: Proxy | None = None,
        per_host: int = 8,
    ) -> None:
        if policy is not None and proxy is not None:
            raise ValueError("behind a proxy the address that is reached cannot be checked")
        self.policy = policy
        self.tls = tls
        self._resolver = resolver
        self._clock = clock
        self._limits = limits or Limits()
        self._proxy = proxy
        self._per_host = per_host
        self._hosts: dict[tuple[str, str, int], _Host] = {}
        self._urls: WeakKeyDictionary[Secret, Url] = WeakKeyDictionary()  # taken apart once, forgotten with the secret
        self._pauses: dict[tuple[str, ...], float] = {}

    @property
    def tls(self) -> TlsOptions:
        """How remotes are verified. Setting it reads the files, and fails if they are of no use."""
        return self._tls

    @tls.setter
    def tls(self, options: TlsOptions) -> None:
        self._context = options.context() if options.has_files else None  # else made when first needed: it takes long
        self._tls = options

    async def ask(self, request: Request, timeout: float, body: bool = True, redirects: int = 0) -> Reply:
        """Sends a request and returns the answer, whatever its status; without `body` its headers only.

        At most so many redirects of a GET or HEAD are followed; one too many is a failure, as is one to elsewhere.
        """
        call = Call(request, body)
        try:
            async with asyncio.timeout(timeout):
                return await self._follow(call, redirects if request.method in ("GET", "HEAD") else 0)
        except Exception as caught:
            failure = call.failure(caught)
        finally:
            # The event loop closes a socket in its next turn: with none in between, whoever bounds the number of calls
            # at once would have twice as many connections.
            await asyncio.sleep(0)
        # Raised here so that it carries no context: the texts of other exceptions may hold what must not be seen.
        raise failure

    async def fetch(
        self, request: Request, timeout: float, redirects: int = 0, statuses: Collection[int] = (200,)
    ) -> Reply:
        """The answer if it has one of the statuses, else a failure. A remote that asked for a pause is given it."""
        url = self._place(request.url)
        place = (*url.origin[:2], str(url.port), url.resource.partition("?")[0])
        now = self._clock.monotonic()
        self._pauses = {at: until for at, until in self._pauses.items() if now < until}
        if place in self._pauses:
            raise Backoff(Reason.RATE_LIMITED, "the remote asked for a pause")
        reply = await self.ask(request, timeout, redirects=redirects)
        if reply.retry_after is not None:
            self._pauses[place] = self._clock.monotonic() + reply.retry_after
        return reply.expect(*statuses)

    def _place(self, secret: Secret) -> Url:
        url = self._urls.get(secret)
        if url is None:
            url = parse(secret.reveal())
            if url.basic and not self.ignores_login:
                raise Failure(Reason.CONFIG, "the url must not carry a user or password; use headers")
            self._urls[secret] = url
        return url

    async def _follow(self, call: Call, redirects: int) -> Reply:
        url = self._place(call.request.url)
        for _ in range(redirects + 1):
            reply = await self._in_turn(call, url)
            if not redirects or reply.status not in _FOLLOWED:
                return reply
            url = url.redirected(reply.headers.get("location"))
        raise Failure(Reason.REDIRECT, "too many redirects")

    async def _in_turn(self, call: Call, url: Url) -> Reply:
        if not self._per_host:
            return await self._once(call, url, None)
        self._tidy()
        host = self._hosts.setdefault(url.origin, _Host(self._per_host))
        host.users += 1
        call.stage = "turn"
        try:
            async with host.turn:
                return await self._once(call, url, host)
        finally:
            host.users -= 1

    def _tidy(self) -> None:
        """Forgets whom nobody asks any more; of a connection unused for long nobody knows if the remote is there."""
        oldest = self._clock.monotonic() - KEEP_IDLE
        for origin, host in list(self._hosts.items()):
            for wire in [wire for wire in host.idle if wire.kept < oldest or not wire.idle]:
                host.idle.remove(wire)
                wire.close()
            if not host.users and not host.idle:
                del self._hosts[origin]

    async def _once(self, call: Call, url: Url, host: _Host | None) -> Reply:
        call.begin = self._clock.monotonic()
        call.stage = "name"
        proxy = self._proxy.place() if self._proxy is not None and self._proxy.serves(url.host) else None
        addresses = await self._addresses(call, (proxy or url).host)
        tls = (self._context or self._tls.context()) if url.scheme == "https" else None
        if host is not None and (wire := host.take(addresses, tls)) is not None:
            try:
                return await self._send(call, url, wire, proxy, host)
            except (OSError, EOFError):
                # The remote may have closed it at any time since the last answer. If nothing came of this one, and
                # asking twice does no harm, that is no failure yet.
                if wire.received or call.request.method not in _REPEATABLE:
                    raise
        call.stage = "connection"
        wire = await self._connect(url, proxy, addresses, tls)
        return await self._send(call, url, wire, proxy, host)

    async def _addresses(self, call: Call, host: str) -> tuple[str, ...]:
        addresses = await self._resolver.addresses(host)
        if self.policy is None:
            return addresses
        allowed = tuple([one for one in addresses if not self.policy.refuses(one, call.request.origin)])
        if not allowed:
            raise Failure(Reason.CONFIG, "address refused by targets.policy")
        return allowed

    async def _connect(
        self, url: Url, proxy: Url | None, addresses: tuple[str, ...], tls: ssl.SSLContext | None
    ) -> Wire:
        name = self._tls.server_name or url.host.partition("%")[0]
        if proxy is None:
            return await first(addresses, lambda address: dial(address, url.port, tls, name))
        wire = await first(addresses, lambda address: dial(address, proxy.port, None, ""))
        try:
            if tls is not None:
                await tunnel(wire, proxy, url, tls, name, self._limits)
        except BaseException:
            wire.close()
            raise
        return wire

    async def _send(self, call: Call, url: Url, wire: Wire, proxy: Url | None, host: _Host | None) -> Reply:
        call.stage = "answer"
        keep = False
        try:
            wire.send(_head(call, url, proxy, host is not None) + call.request.content)
            head = await read_head(wire, self._limits)
            latency = self._clock.monotonic() - call.begin
            body, complete, rest = b"", True, call.request.method != "HEAD" and head.status not in _BODILESS
            if rest and call.body:
                call.stage = "body"
                body, complete = await read_body(wire, head, self._limits)
                rest = False
            keep = host is not None and head.persistent and complete and not rest and wire.rests()
        finally:
            if keep and host is not None:
                wire.kept = self._clock.monotonic()
                host.idle.append(wire)
            else:
                wire.close()
        asked = head.headers.get("retry-after") if head.status in (429, 503) else None
        return Reply(
            status=head.status,
            latency=latency,
            tls_expiry=wire.tls_expiry,
            retry_after=pause(asked, self._clock.wall()) if asked else None,
            complete=complete,
            headers=head.headers,
            body=body,
        )

    async def close(self) -> None:
        """Closes the connections that are kept."""
        for host in self._hosts.values():
            while host.idle:
                host.idle.pop().close()
        self._hosts.clear()


def _head(call: Call, url: Url, proxy: Url | None, keep: bool) -> bytes:
    """The head of the request. Credentials of the proxy are for the proxy alone."""
    request = call.request
    fields = {"host": f"Host: {url.authority}", "user-agent": f"User-Agent: {_AGENT}", "accept": "Accept: */*"}
    if call.body:
        fields["accept-encoding"] = "Accept-Encoding: gzip, deflate"
    for name, value in request.headers.items():
        if name.lower() not in _FRAMING:
            fields[name.lower()] = f"{name}: {value.reveal() if isinstance(value, Secret) else value}"
    if not keep:
        fields["connection"] = "Connection: close"
    if request.content or request.method in ("POST", "PUT", "PATCH"):
        fields["content-length"] = f"Content-Length: {len(request.content)}"
    plain = proxy is not None and url.scheme == "http"
    if plain and proxy is not None and proxy.basic:
        fields["proxy-authorization"] = f"Proxy-Authorization: {proxy.basic}"
    resource = f"http://{url.authority}{url.resource}" if plain else url.resource
    lines = [f"{request.method} {resource} HTTP/1.1", *fields.values(), "", ""]
    if any(map(_UNSENDABLE.search, lines)):
        raise Failure(Reason.CONFIG, "a header holds what cannot be sent")
    return "\r\n".join(lines).encode(errors="surrogateescape")
