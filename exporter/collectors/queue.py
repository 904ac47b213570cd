"""The queues of the watched services, and whether the services could be asked at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from exporter.collectors.parts import Parts
from exporter.collectors.upstreams import Catalogue, ended
from exporter.config.schema import CollectorOptions
from exporter.model.collector import Run
from exporter.model.metric import Family, Result, Samples
from exporter.publishing.dialects.catalogue import ORIGIN, QUEUE
from exporter.publishing.upstream import UpstreamDetail, UpstreamState
from exporter.sources.service import PublishingServices


class Options(CollectorOptions):
    """What may be set under `collectors.queue`."""


class Queue:
    """Passes on what the services say of their queues, each replica by itself."""

    name = "queue"

    def __init__(self, services: PublishingServices, prefix: str) -> None:
        self._services = services
        self._catalogue = Catalogue(QUEUE, prefix)
        self._up = Family(f"{prefix}_upstream_up", "Whether the last scrape of the replica went well.", labels=ORIGIN)
        self._duration = Family(
            f"{prefix}_upstream_scrape_duration_seconds", "How long that scrape took.", labels=ORIGIN, unit="seconds"
        )
        self._samples = Family(f"{prefix}_upstream_scrape_samples", "Samples on the replica's page.", labels=ORIGIN)
        self._last = Family(
            f"{prefix}_upstream_last_scrape_timestamp_seconds",
            "When a scrape of the replica last went well.",
            labels=ORIGIN,
            unit="seconds",
        )
        self.families: Sequence[Family] = (
            *self._catalogue.families,
            self._up,
            self._duration,
            self._samples,
            self._last,
        )

    async def collect(self, run: Run) -> Result:
        """Shares the cycle's scrape. A service that could not be asked is seen by what is said of its scrape."""
        upstreams = await self._services.scrape(run)
        samples = (*self._catalogue.samples(upstreams), *self._scrapes(upstreams))
        return ended(Result(samples, UpstreamDetail(upstreams)), upstreams)

    def _scrapes(self, upstreams: Sequence[UpstreamState]) -> Iterator[Samples]:
        found = {(one.upstream, replica.replica): replica for one in upstreams for replica in one.replicas}
        yield Samples.of(self._up, {at: float(replica.up) for at, replica in found.items()})
        yield Samples.of(self._duration, {at: replica.duration for at, replica in found.items()})
        yield _column(self._samples, {at: replica.samples for at, replica in found.items()})
        yield _column(self._last, {at: replica.last_success for at, replica in found.items()})


def _column(family: Family, found: Mapping[tuple[str, str], float | None]) -> Samples:
    return Samples.of(family, {at: float(value) for at, value in found.items() if value is not None})


def build(options: Options, parts: Parts) -> Queue | None:
    """The collector, if there is a service to watch."""
    return Queue(parts.services, parts.prefix) if parts.services is not None else None
