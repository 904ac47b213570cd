"""What is known of the watched services after a scrape, for collectors and for the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.model.errors import Backoff, Failure
from exporter.model.reason import Reason
from exporter.publishing.dialects.translate import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaState:
    """One scrape of one replica. Without a reason it went well; else there are no rows. Times are wall clock.

    With `backoff` it was not asked at all, as it had asked to be left alone.
    """

    replica: str
    at: float
    duration: float
    reason: Reason | None = None
    detail: str = ""
    backoff: bool = False
    samples: int | None = None
    last_success: float | None = None
    absent: tuple[str, ...] = ()
    rows: tuple[Rows, ...] = field(default=(), repr=False)

    @property
    def up(self) -> bool:
        return self.reason is None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamState:
    """One watched service: its replicas, and how what it publishes to is called here."""

    upstream: str
    dialect: str
    replicas: tuple[ReplicaState, ...]
    target_map: Mapping[str, str] = field(default_factory=dict)

    @property
    def absent(self) -> tuple[str, ...]:
        """The families no replica that answered has. With none that answered nothing can be said."""
        listed = [replica.absent for replica in self.replicas if replica.up]
        return tuple([name for name in listed[0] if all(name in other for other in listed)]) if listed else ()


@dataclass(frozen=True, slots=True)
class UpstreamDetail:
    """What the collectors of watched services tell the API."""

    upstreams: tuple[UpstreamState, ...] = ()


def failures(upstreams: Sequence[UpstreamState]) -> Iterator[tuple[str, str, Failure]]:
    """The replicas that could not be scraped, each with its service and why."""
    for upstream in upstreams:
        for replica in upstream.replicas:
            if replica.reason is not None:
                kind = Backoff if replica.backoff else Failure
                yield upstream.upstream, replica.replica, kind(replica.reason, replica.detail)
