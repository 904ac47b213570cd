"""What the watched services say of each publisher: delivered, failed, how long it took."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.collectors.parts import Parts
from exporter.collectors.upstreams import Catalogue, ended, require_one
from exporter.config.schema import CollectorOptions
from exporter.model.collector import Run
from exporter.model.metric import Family, Result
from exporter.publishing.dialects.catalogue import PUBLISHERS
from exporter.publishing.upstream import UpstreamDetail
from exporter.sources.service import PublishingServices


class Options(CollectorOptions):
    """What may be set under `collectors.publishers`."""


class Publishers:
    """Passes on what the services say of their publishers, each replica by itself."""

    name = "publishers"

    def __init__(self, services: PublishingServices, prefix: str) -> None:
        self._services = services
        self._catalogue = Catalogue(PUBLISHERS, prefix)
        self.families: Sequence[Family] = self._catalogue.families

    async def collect(self, run: Run) -> Result:
        """Shares the cycle's scrape; fails if no replica could be scraped, as there is nothing to show then."""
        upstreams = await self._services.scrape(run)
        require_one(upstreams)
        return ended(Result(tuple(self._catalogue.samples(upstreams)), UpstreamDetail(upstreams)), upstreams)


def build(options: Options, parts: Parts) -> Publishers | None:
    """The collector, if there is a service to watch."""
    return Publishers(parts.services, parts.prefix) if parts.services is not None else None
