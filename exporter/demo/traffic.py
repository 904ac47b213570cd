"""Alerts as a shift on call sees them: a trickle, now and then a storm; the same ones for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from random import Random

STORM_EVERY = 30  # rounds; the first comes after a third of that
STORM = 15  # alerts at once: more than some places of the queue, and than some receivers allow
LONG_EVERY = 30  # alerts
LONG = "stack trace " * 6_000  # more than a webhook may be sent; one object however many alerts have it

_SEVERITIES = {
    "HighErrorRate": "critical",
    "DiskAlmostFull": "critical",
    "HighLatency": "warning",
    "PodRestarts": "warning",
    "QueueGrowing": "warning",
    "CertificateExpiresSoon": "warning",
    "BackupLate": "info",
    "VersionSkew": "info",
}
_SERVICES = ("checkout", "search", "billing")


class Event(StrEnum):
    """What happened to an alert; a deployment is a change somebody wants to know about, not an alert."""

    FIRE = "fire"
    CHANGE = "change"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    DEPLOY = "deploy"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell the receivers."""

    fingerprint: str
    name: str
    service: str
    severity: str
    event: Event
    details: str = ""


class Traffic:
    """What happens from round to round."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311  # reproducible on purpose, and no secret
        self._identities = tuple(product(_SEVERITIES, _SERVICES))
        self._firing: set[tuple[str, str]] = set()
        self._rounds = 0
        self._alerts = 0

    def round(self) -> list[Alert]:
        """What happens next."""
        self._rounds += 1
        storm = self._rounds % STORM_EVERY == STORM_EVERY // 3
        return [self._alert() for _ in range(STORM if storm else self._random.randint(0, 2))]

    def _alert(self) -> Alert:
        self._alerts += 1
        identity = self._random.choice(self._identities)
        event = self._event(identity)
        name, service = identity
        details = LONG if self._alerts % LONG_EVERY == 0 else ""
        return Alert(f"{name}-{service}".lower(), name, service, _SEVERITIES[name], event, details)

    def _event(self, identity: tuple[str, str]) -> Event:
        if self._random.random() < 0.1:
            return Event.DEPLOY
        if identity not in self._firing:
            self._firing.add(identity)
            return Event.FIRE
        event = self._random.choice((Event.CHANGE, Event.ACKNOWLEDGE, Event.RESOLVE, Event.RESOLVE))
        if event is Event.RESOLVE:
            self._firing.remove(identity)
        return event
