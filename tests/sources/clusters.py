"""A fake API server with Secrets in it, and a cluster over it whose pauses take no time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from exporter.publishing.listing import Listing
from exporter.publishing.policy import AddressPolicy
from exporter.sources.kubernetes import Cluster, ClusterOptions, Limits
from tests.fakes.clock import ManualClock, RealClock
from tests.fakes.kubernetes.api import KubernetesApi

LABELS = {"publishing-target": "true"}
PLACE = "alerts"


def config(name: str, **fields: object) -> dict[str, str]:
    """The data of a Secret that is a target."""
    document = {"name": name, "type": "webhook", "url": f"https://hooks.example/{name}", "format": "webhook"}
    return {"config": json.dumps(document | fields)}


def fill(api: KubernetesApi, names: list[str], namespace: str = PLACE) -> None:
    api.put_all([(namespace, name, config(name), LABELS) for name in names])


def names(listing: Listing) -> list[str]:
    return [target.name for target in listing.targets]


@dataclass
class Pauses:
    """Sleeps that only move the clock; the one that would go beyond `enough` seconds in all never ends."""

    clock: ManualClock = field(default_factory=ManualClock)
    enough: float = 1e9
    chance: float = 0.0
    taken: list[float] = field(default_factory=list)
    over: bool = False

    async def sleep(self, seconds: float) -> None:
        self.taken.append(seconds)
        if sum(self.taken) > self.enough:
            self.over = True
            await asyncio.Event().wait()
        self.clock.advance(seconds)
        await asyncio.sleep(0)


def cluster_of(
    kubeconfig: Path | None,
    *namespaces: str,
    selector: str = "publishing-target=true",
    limits: Limits | None = None,
    pauses: Pauses | None = None,
    policy: AddressPolicy | None = None,
) -> Cluster:
    options = ClusterOptions(namespaces or (PLACE,), selector, kubeconfig)
    limits = limits or Limits(timeout=5.0, silence=5.0)
    if pauses is None:
        return Cluster(options, policy or AddressPolicy(), RealClock(), limits=limits)
    return Cluster(
        options,
        policy or AddressPolicy(),
        pauses.clock,
        limits=limits,
        sleep=pauses.sleep,
        chance=lambda: pauses.chance,
    )


class Follower:
    """Watches a cluster as a discovery would: it lists again when told to, and remembers the latest that was said."""

    def __init__(self, cluster: Cluster, relist: bool = True) -> None:
        self.cluster = cluster
        self.latest = Listing(origin="kubernetes")
        self.told = 0
        self.stale = 0
        self._relist = relist
        self._wanted = asyncio.Event()
        self._news = asyncio.Event()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[Follower]:
        """Lists once, and then watches until the end of the context."""
        self.latest = await self.cluster.list()
        tasks = [
            asyncio.create_task(self.cluster.watch(self._changed, self._stale)),
            asyncio.create_task(self._lister()),
        ]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended

    async def until(self, true: Callable[[], bool], timeout: float = 10.0) -> None:
        """Waits until something holds, looked at after each news and now and then."""
        async with asyncio.timeout(timeout):
            while not true():
                self._news.clear()
                try:
                    await asyncio.wait_for(self._news.wait(), 0.02)
                except TimeoutError:
                    continue

    async def sees(self, *expected: str) -> None:
        await self.until(lambda: sorted(names(self.latest)) == sorted(expected))

    def _changed(self, listing: Listing) -> None:
        self.latest = listing
        self.told += 1
        self._news.set()

    def _stale(self) -> None:
        self.stale += 1
        self._wanted.set()

    async def _lister(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if self._relist:
                self.latest = await self.cluster.list()
                self._news.set()
