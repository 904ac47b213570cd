"""What the collectors of one cycle left for whoever puts it together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from exporter.publishing.health import HealthDetail, TargetHealth
from exporter.publishing.refresh import DiscoveryDetail, TargetPicture
from exporter.publishing.upstream import UpstreamDetail, UpstreamState

D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class World:
    """Targets by name, what is known of their health, and the watched services."""

    targets: Mapping[str, TargetPicture | TargetHealth]
    health: Mapping[str, TargetHealth]
    upstreams: tuple[UpstreamState, ...]

    @classmethod
    def of(cls, details: Mapping[str, object]) -> World:
        """From the details of collectors by name; those that are switched off or have failed left none."""
        health = {one.name: one for one in (_detail(details, "health", HealthDetail) or HealthDetail(())).targets}
        found = _detail(details, "discovery", DiscoveryDetail)
        # Both tell of one scrape.
        services = _detail(details, "queue", UpstreamDetail) or _detail(details, "publishers", UpstreamDetail)
        targets = {one.name: one for one in found.targets} if found is not None else dict(health)
        return cls(targets, health, services.upstreams if services is not None else ())

    @property
    def configured(self) -> frozenset[str]:
        return frozenset(self.targets)


def _detail(details: Mapping[str, object], collector: str, kind: type[D]) -> D | None:
    found = details.get(collector)
    return found if isinstance(found, kind) else None
