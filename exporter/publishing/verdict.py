"""What an answer to a probe means.

Publishing endpoints are made to be written to. Asked without credentials and without an alert they refuse, and a
refusal proves that something is there which reads requests. What it proves beyond that differs by type: a webhook's
root may well answer 404, but at Slack, Rootly and PagerDuty that says the address has been revoked or mistyped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from exporter.model.reason import Reason


class HealthState(StrEnum):
    """States of a target; the number is what the series shows."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"

    @property
    def number(self) -> int:
        return _NUMBERS[self]


_NUMBERS = {state: number for number, state in enumerate(HealthState)}


class Finding(StrEnum):
    """What one probe found."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one probe found, and why; a slow answer is degraded without a reason, its latency tells."""

    finding: Finding
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class ProbePolicy:
    """How one type of target is asked, and which refusals count as reachable."""

    method: str = "GET"
    reachable: frozenset[int] = frozenset({400, 405, 415, 422})
    send_headers: bool = False

    @classmethod
    def of(
        cls, type: str, method: str = "GET", reachable: Iterable[int] | None = None, send_headers: bool = False
    ) -> ProbePolicy:
        """The policy of a type with what the operator set; `reachable` replaces the default set."""
        if reachable is None:
            reachable = cls().reachable | ({404} if type == "webhook" else set())
        return cls(method, frozenset(reachable), send_headers)


_FINE = Verdict(Finding.HEALTHY)
_SLOW = Verdict(Finding.DEGRADED)
_LIMITED = Verdict(Finding.DEGRADED, Reason.RATE_LIMITED)
_UNWELCOME = Verdict(Finding.DEGRADED, Reason.AUTH)
_REFUSED = Verdict(Finding.DEGRADED, Reason.HTTP_STATUS)
_MOVED = Verdict(Finding.FAILURE, Reason.REDIRECT)
_BROKEN = Verdict(Finding.FAILURE, Reason.HTTP_STATUS)


def judge(policy: ProbePolicy, status: int, latency: float, degraded_latency: float) -> Verdict:
    """The verdict on one answer."""
    if 200 <= status < 300 or (status in policy.reachable and 400 <= status < 500):
        return _SLOW if latency >= degraded_latency else _FINE
    if status == 429:
        return _LIMITED
    if status in (401, 403, 407):
        return _UNWELCOME
    if 400 <= status < 500:
        return _REFUSED
    return _MOVED if 300 <= status < 400 else _BROKEN
