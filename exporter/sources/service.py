"""The services that publish alerts: each replica scraped once per cycle, for all collectors together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import NamedTuple

from exporter.config.schema import PublishingService
from exporter.model.collector import Clock, Offload, Run
from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.model.secret import Secret
from exporter.publishing.dialects.labels import Labelling
from exporter.publishing.dialects.mapping import Dialect
from exporter.publishing.upstream import ReplicaState, UpstreamState
from exporter.sources.credentials import credentials, tls_options
from exporter.sources.http import Client, Request
from exporter.sources.reading import Reader
from exporter.sources.replica import ACCEPT, Replica
from exporter.sources.resolver import Resolver
from exporter.sources.tls import TlsOptions
from exporter.sources.url import PORTS, parse

MOST_REPLICAS = 256  # of one service: a name that leads to more is a mistake, or malice
_RESERVE = 0.5  # seconds at the end of a run in which nothing is asked any more, at most a tenth of it


class _Tools(NamedTuple):
    """What all services share: `offload` is for reading pages, `files` for reading files."""

    resolver: Resolver
    clock: Clock
    offload: Offload
    files: Offload


class _Shared:
    """One scrape of everything, and how many wait for it."""

    def __init__(self, cycle: int, task: asyncio.Task[tuple[UpstreamState, ...]]) -> None:
        self.cycle = cycle
        self.task = task
        self.waiters = 0

    def serves(self, cycle: int) -> bool:
        """Whether a collector of that cycle takes its result: one that is under way is never done twice at once."""
        return not self.task.done() or (self.cycle == cycle and not self.task.cancelled())


class PublishingServices:
    """Scrapes the configured services. What is configured may be replaced at any time."""

    def __init__(self, resolver: Resolver, clock: Clock, offload: Offload, files: Offload) -> None:
        self._tools = _Tools(resolver, clock, offload, files)
        self._services: tuple[_Service, ...] = ()
        self._gone: list[_Service] = []
        self._shared: _Shared | None = None

    def configure(self, services: Sequence[PublishingService], dialects: Mapping[str, Dialect]) -> None:
        """Takes over what is to be watched; a service of which nothing changed keeps its connections and memory."""
        kept = {service.options.name: service for service in self._services}
        fresh = []
        for options in services:
            same, dialect = kept.get(options.name), dialects[options.dialect]
            if same is not None and (same.options, same.dialect) == (options, dialect):
                same.renew()
                fresh.append(same)
            else:
                fresh.append(_Service(options, dialect, self._tools))
        self._gone += [service for service in self._services if service not in fresh]
        self._services = tuple(fresh)

    async def scrape(self, run: Run) -> tuple[UpstreamState, ...]:
        """The state of every service in this cycle. Whoever comes second gets what the first has asked for."""
        shared = self._shared
        if shared is None or not shared.serves(run.cycle):
            task = asyncio.get_running_loop().create_task(self._all(run.deadline))
            shared = self._shared = _Shared(run.cycle, task)
        shared.waiters += 1
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.waiters -= 1
            if not shared.waiters and not shared.task.done():
                shared.task.cancel()
                await asyncio.wait([shared.task])

    async def _all(self, deadline: float) -> tuple[UpstreamState, ...]:
        while self._gone:
            await self._gone.pop().close()
        left = deadline - self._tools.clock.monotonic()
        timeout = max(left - min(_RESERVE, left / 10), 0.0)
        return tuple(await asyncio.gather(*[service.scrape(timeout) for service in self._services]))

    async def close(self) -> None:
        """Ends what is under way."""
        if self._shared is not None:
            self._shared.task.cancel()
        for service in (*self._services, *self._gone):
            await service.close()
        await self._tools.resolver.close()


class _Service:
    """One configured service."""

    def __init__(self, options: PublishingService, dialect: Dialect, tools: _Tools) -> None:
        self.options = options
        self.dialect = dialect
        self._tools = tools
        self._labelling = Labelling(options.target_map, _hash_key(options))
        self._client = Client(tools.resolver, tools.clock, TlsOptions(server_name=tls_options(options).server_name))
        self._reader = Reader(tools.files)
        self.renew()
        self._replicas: dict[str, Replica] = {}
        self._places = _named(options.urls or ([options.url] if options.url else []))
        self._found: dict[str, Secret] = {}  # the addresses of a name, as they were last

    def renew(self) -> None:
        """Reads the files of TLS, checked a moment ago: what has gone since leaves what was before in force."""
        with suppress(Failure):
            self._client.tls = tls_options(self.options)

    async def scrape(self, timeout: float) -> UpstreamState:
        """Every replica by itself, all at once."""
        return UpstreamState(
            upstream=self.options.name,
            dialect=self.options.dialect,
            replicas=await self._scraped(timeout),
            target_map=self.options.target_map,
        )

    async def _scraped(self, timeout: float) -> tuple[ReplicaState, ...]:
        at, begin = self._tools.clock.wall(), self._tools.clock.monotonic()
        try:
            async with asyncio.timeout(timeout):
                headers = {**self._host(), "Accept": ACCEPT, **await credentials(self.options, self._reader)}
                places = await self._located()
        except Failure as failure:
            return self._none(at, begin, failure)
        except TimeoutError:
            return self._none(at, begin, self._late())
        except Exception as error:  # what goes wrong with one service must not cost the others theirs
            return self._none(at, begin, Failure(Reason.INTERNAL, type(error).__name__))
        self._replicas = {name: self._replicas.get(name) or self._replica(name) for name in places}
        left = timeout - (self._tools.clock.monotonic() - begin)
        requests = [Request(url=url, headers=headers) for url in places.values()]
        return tuple(
            await asyncio.gather(
                *[
                    replica.scrape(self._client, request, left, self._tools.clock, self._tools.offload)
                    for replica, request in zip(self._replicas.values(), requests, strict=True)
                ]
            )
        )

    def _late(self) -> Failure:
        if self.options.dns is None:
            return Failure(Reason.TIMEOUT, "the bearer_token_file was not read in time")
        return Failure(Reason.DNS, "the host name was not resolved in time")

    def _none(self, at: float, begin: float, failure: Failure) -> tuple[ReplicaState, ...]:
        """The states when nobody could be asked: of those known, or of the service as such."""
        dns = self.options.dns
        names = list(self._replicas or self._places) or [f"{dns.name}:{dns.port}" if dns else ""]
        duration = self._tools.clock.monotonic() - begin
        return tuple(
            [(self._replicas.get(name) or self._replica(name)).failed(at, duration, failure) for name in names]
        )

    def _replica(self, name: str) -> Replica:
        return Replica(self.options.name, name, self.dialect, self._labelling)

    async def _located(self) -> Mapping[str, Secret]:
        """The URL of every replica, by what it is called on our page."""
        dns = self.options.dns
        if dns is None:
            return self._places
        addresses = await self._tools.resolver.addresses(dns.name)
        if len(addresses) > MOST_REPLICAS:
            raise Failure(Reason.LIMIT, f"the name has more than {MOST_REPLICAS} addresses")
        scheme = _scheme(self.options)
        names = [f"{_bracketed(address)}:{dns.port}" for address in sorted(addresses)]
        self._found = {name: self._found.get(name) or Secret(f"{scheme}://{name}{dns.path}") for name in names}
        return self._found

    def _host(self) -> dict[str, str]:
        """What an address of a name is asked for."""
        dns = self.options.dns
        if dns is None:
            return {}
        return {"Host": dns.name if dns.port == PORTS[_scheme(self.options)] else f"{dns.name}:{dns.port}"}

    async def close(self) -> None:
        self._reader.close()
        await self._client.close()


def _scheme(options: PublishingService) -> str:
    return "http" if options.tls is None else "https"


def _named(urls: Sequence[Secret]) -> dict[str, Secret]:
    """URLs by host and port, which is all of them that may be seen; equal ones are numbered."""
    found: dict[str, Secret] = {}
    for url in urls:
        name, number = _shown(url), 2
        while name in found:
            name, number = f"{_shown(url)}#{number}", number + 1
        found[name] = url
    return found


def _shown(url: Secret) -> str:
    try:
        parts = parse(url.reveal())
    except Failure:  # whoever asks is told
        return "unknown"
    return f"{_bracketed(parts.host)}:{parts.port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _hash_key(options: PublishingService) -> bytes:
    """What hashes of the service's secrets are made with: the same after a restart, and not known to others."""
    places = [url.reveal() for url in (options.url, *(options.urls or ())) if url is not None]
    parts = [options.name, *places, *(value.reveal() for value in options.headers.values())]
    if options.basic_auth is not None:
        parts.append(options.basic_auth.password.reveal())
    return blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=32).digest()
