"""What the watched services say of each publisher: delivered, failed, how long it took; and canaries."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.collectors.parts import Parts
from exporter.collectors.prefixed import Prefixed
from exporter.collectors.upstreams import Catalogue, ended, require_one
from exporter.config.schema import CollectorOptions
from exporter.model.collector import Run
from exporter.model.metric import Family, Result
from exporter.publishing.canary import Tally
from exporter.publishing.dialects.catalogue import PUBLISHERS
from exporter.publishing.upstream import UpstreamDetail
from exporter.sources.service import PublishingServices


class Options(CollectorOptions):
    """What may be set under `collectors.publishers`."""


class Publishers:
    """Passes on what the services say of their publishers, each replica by itself."""

    name = "publishers"

    def __init__(self, services: PublishingServices, canaries: Tally, prefix: str) -> None:
        self._services = services
        self._catalogue = Catalogue(PUBLISHERS, prefix)
        self._canaries = Prefixed(prefix, [canaries.meter])
        self.families: Sequence[Family] = (*self._catalogue.families, *self._canaries.families)

    async def collect(self, run: Run) -> Result:
        """Shares the cycle's scrape; fails if no replica could be scraped and there is nothing else to show."""
        upstreams = await self._services.scrape(run)
        canaries = self._canaries.samples()
        if not canaries:  # else they are what is left to tell of a service that is gone
            require_one(upstreams)
        samples = (*self._catalogue.samples(upstreams), *canaries)
        return ended(Result(samples, UpstreamDetail(upstreams)), upstreams)


def build(options: Options, parts: Parts) -> Publishers | None:
    """The collector, if there is a service to watch."""
    return Publishers(parts.services, parts.canaries, parts.prefix) if parts.services is not None else None
