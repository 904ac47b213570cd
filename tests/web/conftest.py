"""A site on real sockets, fed with snapshots made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest

from exporter.engine.threads import DaemonPool
from exporter.exposition.pages import Pages
from exporter.instruments.meter import Meter
from exporter.model.metric import Family, Kind, Samples
from exporter.model.problem import Reloaded
from exporter.model.reason import Flaw, Outcome, Reason
from exporter.model.snapshot import Record, Snapshot
from exporter.publishing.health import HealthDetail, TargetHealth
from exporter.publishing.listing import Invalid
from exporter.publishing.refresh import (
    Asked,
    DiscoveryDetail,
    RefreshDetail,
    RefreshState,
    SourceState,
    TargetPicture,
)
from exporter.publishing.verdict import HealthState
from exporter.web.connections import Limits
from exporter.web.server import Server
from exporter.web.site import Site

WALL = 1_780_000_000.0

STATUS = Family("publishing_health_status", "State of a target.", labels=("target", "type"))
JOBS = Family("publishing_jobs_processed_total", "Jobs done.", Kind.COUNTER, ("target",))


class Feed:
    """Holds what a test puts into it."""

    def __init__(self) -> None:
        self._current: Snapshot | None = None
        self._queues: list[asyncio.Queue[Snapshot]] = []

    def current(self) -> Snapshot | None:
        return self._current

    def subscribe(self) -> AsyncIterator[Snapshot]:
        queue: asyncio.Queue[Snapshot] = asyncio.Queue()
        self._queues.append(queue)
        return self._follow(queue)

    async def _follow(self, queue: asyncio.Queue[Snapshot]) -> AsyncIterator[Snapshot]:
        while True:
            yield await queue.get()

    def publish(self, snapshot: Snapshot) -> None:
        self._current = snapshot
        for queue in self._queues:
            queue.put_nowait(snapshot)


@dataclass
class Clock:
    """Stands still unless a test moves it."""

    passed: float = 0.0

    def monotonic(self) -> float:
        return 1000.0 + self.passed

    def wall(self) -> float:
        return WALL + self.passed


@dataclass
class Home:
    """Where canaries come home to: those of one service."""

    token: bytes = b"the-token-of-the-canary"
    expecting: bool = True
    returned_ids: list[str] = field(default_factory=list)

    def holders(self, token: bytes) -> tuple[str, ...]:
        return ("am",) if token == self.token else ()

    def returned(self, holders: Sequence[str], ids: Sequence[str]) -> int:
        assert holders == ("am",)
        self.returned_ids += ids
        return len(ids)


@dataclass
class Running:
    """A served site and a client for it."""

    site: Site
    feed: Feed
    clock: Clock
    meter: Meter
    server: Server
    client: aiohttp.ClientSession
    reloads: list[bool] = field(default_factory=list)
    refreshes: list[Asked] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.server.addresses[0]

    def url(self, path: str) -> str:
        scheme = "http" if self.site.access is None else self.site.access.scheme
        return f"{scheme}://{self.address}{path}"

    async def get(self, path: str, **more: Any) -> tuple[int, str]:
        async with self.client.get(self.url(path), **more) as answer:
            return answer.status, await answer.text()

    def counted(self, name: str = "http_requests_total") -> dict[tuple[str, ...], float]:
        found = next(samples for samples in self.meter.capture() if samples.family.name == name)
        return {key: values[0] for key, values in found.rows()}


@asynccontextmanager
async def serving(
    outcome: Reloaded | Exception | None = None,
    addresses: Sequence[str] = ("127.0.0.1:0",),
    limits: Limits | None = None,
    asked: Asked | None = None,
    checked: Sequence[TargetHealth] = (),
    **settings: Any,
) -> AsyncIterator[Running]:
    """Serves a site; `outcome` is what a reload gives, `asked` a refresh, `checked` what may be probed."""
    feed, clock, meter = Feed(), Clock(), Meter()
    reloads: list[bool] = []
    refreshes: list[Asked] = []
    checks: list[str] = []

    def refresh() -> Asked:
        refreshes.append(asked or Asked("accepted", WALL))
        return refreshes[-1]

    async def check(name: str) -> TargetHealth | None:
        checks.append(name)
        return next((one for one in checked if one.name == name), None)

    async def reload(dry_run: bool) -> Reloaded:
        reloads.append(dry_run)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome or Reloaded()

    site = Site(
        **{
            "feed": feed,
            "pages": Pages(DaemonPool("render", 1)),
            "own": meter.capture,
            "reload": reload,
            "refresh": refresh,
            "check": check,
            "alive": lambda: True,
            "clock": clock,
            "offload": DaemonPool("aside", 1),
            "meter": meter,
            "version": "1.2.3",
            **settings,
        }
    )
    server = Server(site, limits)
    await server.start(addresses)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as client:
            yield Running(site, feed, clock, site.meter, server, client, reloads, refreshes, checks)
    finally:
        await server.stop(2.0)


@pytest.fixture
async def site() -> AsyncIterator[Running]:
    async with serving() as running:
        yield running


def target(name: str, state: HealthState = HealthState.HEALTHY, **more: Any) -> TargetHealth:
    usual: dict[str, Any] = {
        "type": "webhook",
        "shown": f"https://{name}.example.org",
        "enabled": True,
        "origin": "static",
        "last_probe": WALL - 12.0,
        "latency": 0.0342,
        "success_rate": 100.0,
    }
    return TargetHealth(name=name, state=state, **{**usual, **more})


def snapshot(number: int = 1, /, **more: Any) -> Snapshot:
    """A good one: two collectors, two targets."""
    usual = Snapshot(
        id=number,
        wall=WALL - 4.0,
        monotonic=996.0,
        duration=0.0123,
        expires=1041.0,
        samples={
            "health": (Samples.of(STATUS, {("ops-slack", "slack"): 1.0, ("on-call", "pagerduty"): 1.0}),),
            "queue": (Samples.of(JOBS, {("ops-slack",): 17.0}),),
        },
        records={
            "health": Record("health", Outcome.OK, None, "", WALL - 4.1, 0.0121, WALL - 4.0),
            "queue": Record("queue", Outcome.OK, None, "", WALL - 4.1, 0.0008, WALL - 4.0),
        },
        details={"health": HealthDetail((target("ops-slack", type="slack"), target("on-call", type="pagerduty")))},
        own=(),
    )
    return replace(usual, **more)


def trouble(number: int = 1, /) -> Snapshot:
    """Some of everything that can be wrong."""
    day = 86400.0
    targets = (
        target("ops-slack", type="slack", shown="https://hooks.slack.com", tls_expiry=WALL + 63 * day),
        target(
            "on-call",
            HealthState.UNHEALTHY,
            type="pagerduty",
            shown="https://events.pagerduty.com",
            last_reason=Reason.TIMEOUT,
            consecutive_failures=7,
            latency=5.0,
            success_rate=41.7,
        ),
        target(
            "audit-webhook",
            HealthState.DEGRADED,
            last_reason=Reason.RATE_LIMITED,
            last_status=429,
            retry_at=WALL + 240.0,
            success_rate=96.2,
            tls_expiry=WALL + 6 * day,
            shown="https://audit.internal.example.org:8443",
        ),
        target(
            "rootly-prod",
            type="rootly",
            shown="https://webhooks.rootly.com",
            success_rate=99.8,
            latency=0.812,
            tls_expiry=WALL + 900 * day,
        ),
        target("new-team", HealthState.UNKNOWN, last_probe=None, latency=None, success_rate=None),
        target("old-team", HealthState.UNKNOWN, enabled=False, last_probe=None, latency=None, success_rate=None),
        target(
            "legacy-receiver",
            HealthState.UNHEALTHY,
            last_reason=Reason.TLS,
            consecutive_failures=2881,
            success_rate=0.0,
            latency=None,
            tls_expiry=WALL - 2 * day,
        ),
    )
    records = {
        "health": Record("health", Outcome.OK, None, "", WALL - 4.1, 5.02, WALL - 4.0),
        "discovery": Record("discovery", Outcome.NODATA, None, "", WALL - 4.1, 0.00004, WALL - 4.0),
        "queue": Record("queue", Outcome.TIMEOUT, Reason.TIMEOUT, "alert-history", WALL - 14.0, 10.0, WALL - 740.0),
        "publishers": Record("publishers", Outcome.PARTIAL, Reason.PARTIAL, "1 of 3 replicas", WALL - 4, 0.2, WALL - 4),
        "usage": Record("usage", Outcome.DISABLED),
    }
    return snapshot(number, records=records, details={"health": HealthDetail(targets)})


def picture(name: str, **more: Any) -> TargetPicture:
    usual: dict[str, Any] = {
        "type": "webhook",
        "format": "webhook",
        "enabled": True,
        "shown": f"https://{name}.example.org",
        "origin": "static",
        "source": "",
    }
    return TargetPicture(name=name, **{**usual, **more})


def source(origin: str, **more: Any) -> SourceState:
    return SourceState(**{"name": origin, "origin": origin, "last_success": WALL - 100.0, **more})


def found(number: int = 1, /, *targets: TargetPicture, **refresh: Any) -> Snapshot:
    """A snapshot with these targets, found by a refresh that ended well."""
    usual: dict[str, Any] = {
        "state": RefreshState.SUCCESS,
        "last_refresh": WALL - 100.2,
        "last_success": WALL - 100.0,
        "next_refresh": WALL + 200.0,
        "duration": 0.2,
        "targets_discovered": len(targets),
        "targets_valid": len(targets),
        "sources": (source("static", targets=len(targets)),),
    }
    healthy = HealthDetail(
        tuple(
            target(one.name, type=one.type, shown=one.shown, origin=one.origin, enabled=one.enabled) for one in targets
        )
    )
    details = {
        "health": healthy,
        "discovery": DiscoveryDetail(targets),
        "refresh": RefreshDetail(**{**usual, **refresh}),
    }
    return snapshot(number, details=details)


# What is wrong with the sources of targets, as far as anything can be.
BROKEN: dict[str, Any] = {
    "state": RefreshState.FAILED,
    "targets_discovered": 4,
    "targets_invalid": 2,
    "consecutive_failures": 3,
    "reason": Reason.CONNECT,
    "detail": "the API server cannot be reached",
    "sources": (
        source("static", targets=2),
        source("kubernetes", invalid=2, skipped=1, reason=Reason.CONNECT, detail="the API server cannot be reached"),
    ),
    "invalid": (
        Invalid("kubernetes", "alerts/ops-rootly", Flaw.FIELD, "url: the url names no host"),
        Invalid("kubernetes", "alerts/audit", Flaw.DUPLICATE),
    ),
}
