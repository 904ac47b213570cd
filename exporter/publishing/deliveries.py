"""What became of the messages the watched services had to deliver, and to which of our targets they went.

A service with a queue says how its jobs ended. Of one without, the outcomes that its publishers count stand in, if it
says how much was delivered: failures alone would look as if nothing ever was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Generic, NamedTuple, TypeVar

from exporter.model.metric import Key
from exporter.publishing.dialects.catalogue import FAMILIES
from exporter.publishing.upstream import UpstreamState

JOBS, REQUESTS = "jobs_processed_total", "publisher_requests_total"
SUCCEEDED, SUCCESS = "succeeded", "success"  # the state of a job, the status of a request
# A server that sends to Alertmanagers is the hop before; those are no targets.
HOP_BEFORE = "alertmanager"

_ABOUT_TARGETS = frozenset(name for name, family in FAMILIES.items() if family.labels[:1] == ("target",))

T = TypeVar("T")
Origin = tuple[str, str]  # upstream and replica


class Tally(NamedTuple):
    """How many deliveries ended, and how."""

    succeeded: float = 0.0
    failed: float = 0.0

    @property
    def finished(self) -> float:
        return self.succeeded + self.failed

    @property
    def percent(self) -> float | None:
        """The share that succeeded; None if nothing has ended: without data there is no success."""
        return 100.0 * self.succeeded / self.finished if self.finished > 0 else None

    def plus(self, other: Tally) -> Tally:
        return Tally(self.succeeded + other.succeeded, self.failed + other.failed)


NONE = Tally()


@dataclass(frozen=True, slots=True)
class Names:
    """How a target is called here: by the map of the service, or as it is configured here."""

    maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    configured: Collection[str] = frozenset()

    @classmethod
    def of(cls, upstreams: Iterable[UpstreamState], configured: Collection[str]) -> Names:
        return cls({one.upstream: one.target_map for one in upstreams}, configured)

    def receiver(self, upstream: str, publisher: str, receiver: str) -> str | None:
        """The target behind a receiver's publisher; None if that cannot be told, empty if it is no target."""
        spelled = f"{receiver}/{publisher}" if receiver else publisher
        mapped = self.maps.get(upstream, {})
        for name in (spelled, receiver):
            if name and name in mapped:
                return mapped[name]
        if publisher == HOP_BEFORE:
            return ""
        if not receiver:
            return None
        if receiver in self.configured:
            return receiver
        if f"{spelled}/1" in self.configured:
            return None  # several integrations of one kind, and the service counts them together
        return f"{spelled}/0" if f"{spelled}/0" in self.configured else spelled


class Reading(NamedTuple, Generic[T]):
    """Something that is known of one series of `JOBS` or `REQUESTS`; the key ends in upstream and replica."""

    family: str
    key: Key
    value: T


class Ended(NamedTuple, Generic[T]):
    """The same, of deliveries that ended alike; for targets without a name see `Names.receiver`."""

    origin: Origin
    target: str | None
    succeeded: bool
    value: T


def ended(readings: Iterable[Reading[T]], names: Names) -> Iterator[Ended[T]]:
    """What each replica says of its deliveries, by its jobs or else by its publishers."""
    replicas: dict[Origin, dict[str, list[Reading[T]]]] = {}
    for reading in readings:
        upstream, replica = reading.key[-2:]
        replicas.setdefault((upstream, replica), {}).setdefault(reading.family, []).append(reading)
    for origin, found in replicas.items():
        requests = found.get(REQUESTS, [])
        if JOBS in found:
            for reading in found[JOBS]:
                yield Ended(origin, reading.key[0], reading.key[1] == SUCCEEDED, reading.value)
        elif any(reading.key[2] == SUCCESS for reading in requests):
            for reading in requests:
                publisher, receiver, status = reading.key[:3]
                target = names.receiver(origin[0], publisher, receiver)
                yield Ended(origin, target, status == SUCCESS, reading.value)


Counts = Mapping[tuple[Origin, str | None], Tally]


def counts(upstreams: Sequence[UpstreamState], names: Names) -> Counts:
    """What every replica has counted so far, by target."""
    found: dict[tuple[Origin, str | None], Tally] = {}
    for origin, target, succeeded, number in ended(_readings(upstreams), names):
        if isfinite(number):
            at = (origin, target)
            found[at] = found.get(at, NONE).plus(Tally(number, 0.0) if succeeded else Tally(0.0, number))
    return found


def _readings(upstreams: Sequence[UpstreamState]) -> Iterator[Reading[float]]:
    for upstream in upstreams:
        for replica in upstream.replicas:
            for rows in replica.rows:
                if rows.family in (JOBS, REQUESTS):
                    for key, value in zip(rows.keys, rows.values, strict=True):
                        yield Reading(rows.family, key, value)


def by_target(found: Counts) -> dict[str, Tally]:
    """The same, of all replicas together."""
    totals: dict[str, Tally] = {}
    for (_, target), tally in found.items():
        if target:
            totals[target] = totals.get(target, NONE).plus(tally)
    return totals


def total(found: Counts) -> Tally:
    """All deliveries to targets; what the hop before passes on counts only if nobody says what became of it."""
    chosen = [tally for (_, target), tally in found.items() if target != ""] or list(found.values())
    return Tally(sum(tally.succeeded for tally in chosen), sum(tally.failed for tally in chosen))


class Published(NamedTuple):
    """The targets the services know of, whether anything was delivered there yet or not.

    `whole` if there can be no others: every service answered, and none delivers to targets that it does not name.
    """

    targets: frozenset[str] = frozenset()
    whole: bool = False

    @classmethod
    def of(cls, upstreams: Sequence[UpstreamState], found: Counts) -> Published:
        replicas = [replica for upstream in upstreams for replica in upstream.replicas]
        columns = [rows for replica in replicas for rows in replica.rows if rows.family in _ABOUT_TARGETS]
        named = {key[0] for rows in columns for key in rows.keys} | {target for _, target in found if target}
        nameless = any(target is None and tally.finished > 0 for (_, target), tally in found.items())
        whole = bool(named) and all(replica.up for replica in replicas) and not nameless
        return cls(frozenset(named - {""}), whole)
