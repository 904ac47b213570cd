"""From probes to the health of a target: pure state, told the time by its caller."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from exporter.model.reason import Reason
from exporter.model.target import Target
from exporter.publishing.verdict import Finding, HealthState, Verdict

# A missed probe or two says nothing; after this many intervals without one, the last answer is history.
STALE_INTERVALS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetHealth:
    """What is known of one target. Times are wall clock; None means never, or not known."""

    name: str
    type: str
    shown: str
    enabled: bool
    origin: str
    state: HealthState
    last_probe: float | None = None
    latency: float | None = None
    last_reason: Reason | None = None
    last_status: int | None = None
    consecutive_failures: int = 0
    checks: int = 0
    successes: int = 0
    failures: int = 0
    success_rate: float | None = None
    last_success: float | None = None
    last_failure: float | None = None
    retry_at: float | None = None
    tls_expiry: float | None = None


@dataclass(frozen=True, slots=True)
class HealthDetail:
    """All targets, also those that are not probed, in the order of the configuration."""

    targets: tuple[TargetHealth, ...]


@dataclass(frozen=True, slots=True)
class HealthRules:
    """How probes add up: `interval` is the time between two probes of one target, as it really is."""

    interval: float
    unhealthy_after: int
    window: float


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on both clocks: what is compared is monotonic, what is shown is wall time."""

    monotonic: float
    wall: float


@dataclass(frozen=True, slots=True)
class Observation:
    """One probe that has ended: when, with what verdict, and what it learnt."""

    at: Moment
    latency: float
    verdict: Verdict
    status: int | None = None
    tls_expiry: float | None = None
    retry_after: float | None = None


class Window:
    """Successes and failures of the last `span` seconds, in a fixed number of slots so that memory is bounded."""

    SLOTS = 60

    def __init__(self, span: float) -> None:
        self._width = span / self.SLOTS
        self._slots: deque[tuple[int, int, int]] = deque(maxlen=self.SLOTS)  # slot number, successes, probes

    def add(self, now: float, success: bool) -> None:
        number = int(now // self._width)
        successes, probes = 0, 0
        if self._slots and self._slots[-1][0] == number:
            _, successes, probes = self._slots.pop()
        self._slots.append((number, successes + success, probes + 1))

    def percent(self, now: float) -> float | None:
        """The share of successes; None if the window holds no probe."""
        oldest = int(now // self._width) - self.SLOTS
        while self._slots and self._slots[0][0] <= oldest:
            self._slots.popleft()
        probes = sum(slot[2] for slot in self._slots)
        return 100.0 * sum(slot[1] for slot in self._slots) / probes if probes else None


@dataclass(slots=True, eq=False)
class TargetState:
    """The state machine of one target."""

    target: Target
    rules: HealthRules
    checks: int = 0
    successes: int = 0
    streak: int = 0
    last: Observation | None = None
    last_success: float | None = None
    last_failure: float | None = None
    hold: Moment | None = None
    _shown: str = field(init=False)
    _window: Window = field(init=False)

    def __post_init__(self) -> None:
        self._shown = self.target.shown
        self._window = Window(self.rules.window)

    def observe(self, seen: Observation) -> None:
        """Takes one probe into account; whoever answered was reached, so a degraded answer ends a streak."""
        success = seen.verdict.finding is not Finding.FAILURE
        self.last = seen
        self.checks += 1
        self._window.add(seen.at.monotonic, success)
        if success:
            self.successes += 1
            self.streak = 0
            self.last_success = seen.at.wall
        else:
            self.streak += 1
            self.last_failure = seen.at.wall
        limited = seen.verdict.reason is Reason.RATE_LIMITED and seen.retry_after
        wait = seen.retry_after or 0.0
        self.hold = Moment(seen.at.monotonic + wait, seen.at.wall + wait) if limited else None

    def held_off(self, now: float) -> bool:
        """Whether the target asked not to be probed yet."""
        return self.hold is not None and now < self.hold.monotonic

    def state(self, now: float) -> HealthState:
        """What the target is now; what was known too long ago counts as unknown."""
        if self.last is None:
            return HealthState.UNKNOWN
        # A target that asked for a pause has said how it is, and is not forgotten for having been left alone.
        known = self.last.at.monotonic if self.hold is None else self.hold.monotonic
        if now - known > STALE_INTERVALS * self.rules.interval:
            return HealthState.UNKNOWN
        if self.streak >= self.rules.unhealthy_after:
            return HealthState.UNHEALTHY
        return HealthState.HEALTHY if self.last.verdict.finding is Finding.HEALTHY else HealthState.DEGRADED

    def success_rate(self, now: float) -> float | None:
        """Percent of probes in the window that reached the target."""
        return self._window.percent(now)

    def health(self, now: float) -> TargetHealth:
        """A picture of the target at this moment, independent of what happens to it later."""
        target, last = self.target, self.last
        return TargetHealth(
            name=target.name,
            type=target.type,
            shown=self._shown,
            enabled=target.enabled,
            origin=target.origin,
            state=self.state(now),
            last_probe=last.at.wall if last else None,
            latency=last.latency if last else None,
            last_reason=last.verdict.reason if last else None,
            last_status=last.status if last else None,
            consecutive_failures=self.streak,
            checks=self.checks,
            successes=self.successes,
            failures=self.checks - self.successes,
            success_rate=self.success_rate(now),
            last_success=self.last_success,
            last_failure=self.last_failure,
            retry_at=self.hold.wall if self.hold else None,
            tls_expiry=last.tls_expiry if last else None,
        )
