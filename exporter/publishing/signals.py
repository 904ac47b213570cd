"""Whether a target can be delivered to, not only reached: what probes and services say together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from exporter.model.reason import Reason
from exporter.publishing.deliveries import NONE, Counts, Origin, Published, Tally
from exporter.publishing.health import TargetHealth
from exporter.publishing.verdict import HealthState


class Signal(StrEnum):
    """The steps of a delivery, each of them a question with yes or no for an answer, or none."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    ANSWER = "answer"
    PUBLISH = "publish"


class Use(StrEnum):
    """Whether a target that is configured here is published to, or one that is published to is configured here."""

    USED = "used"
    UNUSED = "unused"
    UNCONFIGURED = "unconfigured"


Signals = Mapping[Signal, bool]

# How far a probe came that ended for one of these reasons.
_STEPS: Mapping[Reason, Signals] = {
    Reason.DNS: {Signal.RESOLVE: False},
    Reason.CONNECT: {Signal.RESOLVE: True, Signal.CONNECT: False},
    Reason.TLS: {Signal.RESOLVE: True, Signal.CONNECT: True, Signal.TLS: False},
    # It may have come any distance; there was no answer for sure.
    Reason.TIMEOUT: {Signal.ANSWER: False},
}
# Nothing was asked, or for reasons of our own.
_NOTHING = frozenset({Reason.LIMIT, Reason.CONFIG, Reason.INTERNAL, Reason.OVERRUN})


def probed(health: TargetHealth) -> Signals:
    """What the last probe says; nothing of what is known too long ago."""
    reason = health.last_reason
    if health.last_probe is None or health.state is HealthState.UNKNOWN or reason in _NOTHING:
        return {}
    if reason is not None and reason in _STEPS:
        return _STEPS[reason]
    found = {Signal.RESOLVE: True, Signal.CONNECT: True}
    if health.tls_expiry is not None or health.shown.startswith("https://"):
        found[Signal.TLS] = True
    # A probe shows no credentials: that they are asked for says nothing about a delivery, which has them.
    if reason is not Reason.AUTH:
        found[Signal.ANSWER] = reason is None
    return found


@dataclass(frozen=True, slots=True)
class LastPublish:
    """When something was last delivered to a target, when a delivery last failed, and which it was at last."""

    success: float | None = None
    failure: float | None = None
    succeeded: bool | None = None

    def times(self) -> Mapping[str, float]:
        """By result; what is not known is left out."""
        known = {"success": self.success, "failure": self.failure}
        return {result: at for result, at in known.items() if at is not None}


NEVER = LastPublish()


class Publishes:
    """Notices deliveries by how the services' counts rise from one look to the next."""

    def __init__(self) -> None:
        self._last: dict[str, LastPublish] = {}
        self._counts: Counts = {}
        self._watched: frozenset[Origin] = frozenset()

    def observe(self, counts: Counts, looked: Mapping[Origin, float]) -> None:
        """`looked` has the time of every replica that could be scraped: one that could not has said nothing."""
        rises: dict[str, list[tuple[float, Tally]]] = {}
        for (origin, target), now in counts.items():
            if target and origin in looked and origin in self._watched:
                # What is new has begun at 0, as the replica was watched when it was not there yet.
                rise = _rise(self._counts.get((origin, target), NONE), now)
                if rise.finished > 0:
                    rises.setdefault(target, []).append((looked[origin], rise))
        for target, found in rises.items():
            self._last[target] = _after(self._last.get(target, NEVER), found)
        kept = {at: tally for at, tally in self._counts.items() if at[0] not in looked}
        self._counts = {**kept, **counts}
        self._watched |= looked.keys()

    def recall(self, earlier: Mapping[str, LastPublish]) -> None:
        """What happened before this process began; what it has seen itself counts."""
        for target, last in earlier.items():
            self._last.setdefault(target, last)

    def forget(self, targets: Collection[str], origins: Iterable[Origin]) -> None:
        """Keeps only these targets, and what these replicas counted."""
        self._last = {name: last for name, last in self._last.items() if name in targets}
        self._watched &= frozenset(origins)
        self._counts = {at: tally for at, tally in self._counts.items() if at[0] in self._watched}

    def of(self, target: str) -> LastPublish:
        return self._last.get(target, NEVER)


def _rise(before: Tally, now: Tally) -> Tally:
    """How much more it is; if it is less, what counts was restarted and began at 0."""
    if now.succeeded < before.succeeded or now.failed < before.failed:
        return now
    return Tally(now.succeeded - before.succeeded, now.failed - before.failed)


def _after(last: LastPublish, rises: Iterable[tuple[float, Tally]]) -> LastPublish:
    """In which order they ended within one look nobody knows: what there was more of counts."""
    together = NONE
    for at, rise in rises:
        together = together.plus(rise)
        if rise.succeeded > 0:
            last = replace(last, success=max(at, last.success or at))
        if rise.failed > 0:
            last = replace(last, failure=max(at, last.failure or at))
    return replace(last, succeeded=together.succeeded > together.failed)


def use_of(target: str, configured: Collection[str], published: Published) -> Use | None:
    """None if no service says that it publishes there, and one may do so nevertheless."""
    if target not in configured:
        return Use.UNCONFIGURED
    if target in published.targets:
        return Use.USED
    return Use.UNUSED if published.whole else None
