"""Everything the web needs from the rest of the daemon, wired once by the composition root."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from exporter.exposition.pages import Pages
from exporter.instruments.meter import Meter
from exporter.model.collector import Clock, Offload
from exporter.model.metric import Samples
from exporter.model.problem import Reloaded
from exporter.model.snapshot import Feed
from exporter.publishing.canary import Aviary
from exporter.publishing.health import TargetHealth
from exporter.publishing.refresh import Asked
from exporter.web.access import Access


@dataclass(frozen=True, kw_only=True)
class Site:
    """What is served, where, and what a request may set in motion."""

    feed: Feed
    pages: Pages
    own: Callable[[], tuple[Samples, ...]]  # what the daemon counts about itself, as it stands now
    reload: Callable[[bool], Awaitable[Reloaded]]  # True: a dry run
    refresh: Callable[[], Asked]  # lists the origins of targets anew
    check: Callable[[str], Awaitable[TargetHealth | None]]  # probes one target; None: there is none
    alive: Callable[[], bool]
    clock: Clock
    offload: Offload  # for answers that take long to put together
    meter: Meter
    version: str
    short_of_memory: Callable[[], bool] = lambda: False
    telemetry_path: str = "/metrics"
    enable_lifecycle: bool = False
    route_prefix: str = ""
    external_url: str = ""
    canaries: Aviary | None = None  # where they come home to
    access: Access | None = None  # None: everybody may come in

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What the listeners are encrypted with."""
        return self.access.context if self.access is not None else None

    @property
    def prefix(self) -> str:
        """The route prefix with a slash in front and none behind; empty if there is none."""
        bare = self.route_prefix.strip("/")
        return f"/{bare}" if bare else ""
