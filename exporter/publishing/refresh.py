"""When the origins of targets are listed anew, and how that went: pure state, told the time by its caller."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.model.target import Target
from exporter.publishing.health import Moment
from exporter.publishing.listing import Invalid

# A refresh comes up to this share of its interval early: daemons that were started together drift apart.
SPREAD = 0.1
# A repeated attempt comes up to this share later, and never earlier than its time.
DELAY_SPREAD = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRules:
    """Times in seconds; `timeout` bounds one attempt to list one origin."""

    interval: float = 300.0
    timeout: float = 30.0
    attempts: int = 5
    backoff: float = 1.0
    backoff_max: float = 30.0
    manual_interval: float = 60.0

    def delay(self, failures: int, luck: float) -> float:
        """How long to wait after so many failures in a row; `luck` is from 0 to 1."""
        highest = self.backoff_max / (1 + DELAY_SPREAD)
        # The exponent is bounded: a float has no room for the thousandth doubling.
        return min(self.backoff * 2.0 ** min(failures - 1, 60), highest) * (1 + DELAY_SPREAD * luck)


class RefreshState(StrEnum):
    """How the last refresh ended, or that one is under way."""

    IDLE = "idle"
    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """One origin of targets: what its last listing held, and why there is no newer one."""

    name: str
    origin: str
    targets: int = 0
    invalid: int = 0
    skipped: int = 0
    last_success: float | None = None
    reason: Reason | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshDetail:
    """Refreshes at one moment. Times are wall clock; None means never, or not known."""

    state: RefreshState = RefreshState.IDLE
    last_refresh: float | None = None
    last_success: float | None = None
    next_refresh: float | None = None
    duration: float | None = None
    targets_discovered: int = 0
    targets_valid: int = 0
    targets_invalid: int = 0
    consecutive_failures: int = 0
    reason: Reason | None = None
    detail: str = ""
    sources: tuple[SourceState, ...] = ()
    invalid: tuple[Invalid, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetPicture:
    """A target as it may be seen: no path of its URL, no value of its headers."""

    name: str
    type: str
    format: str
    enabled: bool
    shown: str
    origin: str
    source: str
    headers: tuple[str, ...] = ()

    @classmethod
    def of(cls, target: Target) -> TargetPicture:
        return cls(
            name=target.name,
            type=target.type,
            format=target.format,
            enabled=target.enabled,
            shown=target.shown,
            origin=target.origin,
            source=target.source,
            headers=tuple(target.headers),
        )


@dataclass(frozen=True, slots=True)
class DiscoveryDetail:
    """All targets there are now, in the order in which they are probed."""

    targets: tuple[TargetPicture, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking for a refresh: when it began, or when it may be asked for again, in seconds."""

    state: Literal["accepted", "limited", "running", "stopped"]
    at: float
    retry_after: float | None = None


class Refreshes:
    """The state machine: at most one refresh at a time, and of those asked for by hand only so many."""

    def __init__(self, rules: RefreshRules | None = None) -> None:
        self.rules = rules or RefreshRules()
        self.next: Moment | None = None
        self._open = False
        self._began: Moment | None = None
        self._by_hand: Moment | None = None
        self._detail = RefreshDetail()

    @property
    def detail(self) -> RefreshDetail:
        """What is known of refreshes; the numbers of targets are for others to fill in."""
        return replace(self._detail, next_refresh=self.next.wall if self.next else None)

    @property
    def running(self) -> bool:
        return self._detail.state is RefreshState.IN_PROGRESS

    def open(self) -> None:
        """From now on it may be asked for a refresh."""
        self._open = True

    def close(self) -> None:
        """No refresh will begin any more; one that was under way has not ended well, and not badly either."""
        self._open = False
        self.next = None
        if self.running:
            self._detail = replace(self._detail, state=RefreshState.IDLE)

    def begin(self, at: Moment) -> None:
        """A refresh is under way."""
        self._began = at
        self.next = None
        self._detail = replace(self._detail, state=RefreshState.IN_PROGRESS, last_refresh=at.wall)

    def end(self, at: Moment, failure: Failure | None, luck: float) -> float:
        """The refresh has ended; sets when the next one comes, and returns how long this one took."""
        assert self._began is not None
        taken = at.monotonic - self._began.monotonic
        failures = 0 if failure is None else self._detail.consecutive_failures + 1
        self._detail = replace(
            self._detail,
            state=RefreshState.SUCCESS if failure is None else RefreshState.FAILED,
            duration=taken,
            last_success=at.wall if failure is None else self._detail.last_success,
            consecutive_failures=failures,
            reason=failure.reason if failure else None,
            detail=failure.detail if failure else "",
        )
        # What failed may be mended at any moment: nobody should wait a whole interval to see that.
        soon = self.rules.backoff_max if failure else self.rules.interval
        wait = min(soon, self.rules.interval) * (1 - SPREAD * luck)
        self.next = Moment(at.monotonic + wait, at.wall + wait)
        return taken

    def ask(self, at: Moment) -> Asked:
        """Asks for a refresh by hand. If that is accepted it has thereby begun; whatever is not costs no budget."""
        if not self._open:
            return Asked("stopped", at.wall)
        if self.running:
            assert self._began is not None
            return Asked("running", self._began.wall)
        if self._by_hand is not None:
            wait = self._by_hand.monotonic + self.rules.manual_interval - at.monotonic
            if wait > 0:
                return Asked("limited", self._by_hand.wall, wait)
        self._by_hand = at
        self.begin(at)
        return Asked("accepted", at.wall)
