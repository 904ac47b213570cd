"""Is it getting worse? The last hour against the day before it.

Everything is measured by how much counters rose within intervals of five minutes. The hour that is judged is no part of
what it is compared with. What is usual is found from whole hours, by medians and without those that are far out: a bad
hour yesterday does not move it. A difference counts if it exceeds several times the usual spread of hours, which has a
floor; and what chance alone does to so few deliveries; and if it is large enough to matter to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from math import asin, inf, isnan, nan, sqrt
from statistics import fmean, median
from typing import NamedTuple

INTERVAL = 300  # seconds
HOUR = 12  # intervals
RECENT, BASELINE = HOUR, 24 * HOUR
LATEST = 2  # intervals: the one that has just begun may be empty yet

# Less than this is no basis for a judgement: an hour to compare with, and something to compare.
LEAST_BASELINE, LEAST_RECENT = HOUR, 1
LEAST_QUEUE = HOUR // 2  # readings of the recent hour from which it can be told where a queue is going

SPREADS = 4.0  # so many times the usual spread is unusual
MAD = 1.4826  # times the median deviation is the standard deviation, if chance is all there is

RATE_FLOOR = 0.01  # the least a rate is said to spread
SPIKE = 0.05  # the least rise of the error rate that is a spike
SPIKE_FAILURES = 3.0  # and the least number of failures
SUCCESS = 0.02  # the least change of the success rate that is a trend
LATENCY, LATENCY_SECONDS = 0.2, 0.005  # of what is usual, and absolute: below that a change of latency is none
QUEUE_JOBS = 10.0  # the least change of a queue within the hour that is a trend


class Direction(StrEnum):
    """All words a trend can have."""

    INCREASING = "increasing"
    DECREASING = "decreasing"
    IMPROVING = "improving"
    DEGRADING = "degrading"
    GROWING = "growing"
    SHRINKING = "shrinking"
    STABLE = "stable"
    INSUFFICIENT = "insufficient_data"


class Ratio(NamedTuple):
    """Two numbers per interval, oldest first: a share and its whole. Not a number where nobody watched."""

    part: Sequence[float]
    whole: Sequence[float]

    @property
    def watched(self) -> int:
        return sum(not isnan(number) for number in self.whole)

    def of(self, begin: int, end: int | None = None) -> Ratio:
        return Ratio(self.part[begin:end], self.whole[begin:end])

    @property
    def size(self) -> float:
        return sum(number for number in self.whole if number > 0)

    @property
    def amount(self) -> float:
        return sum(part for part, number in zip(self.part, self.whole, strict=True) if number > 0)

    @property
    def value(self) -> float:
        """All intervals together; not a number if there is nothing to divide by."""
        size = self.size
        return self.amount / size if size > 0 else nan


NOTHING = Ratio((), ())


@dataclass(frozen=True, slots=True)
class Material:
    """A day and an hour in intervals, oldest first; what nobody counts is empty."""

    errors: Ratio = NOTHING  # failed deliveries of all that ended
    latency: Ratio = NOTHING  # seconds of all that were timed
    depth: Sequence[float] = ()
    targets: Mapping[str, Ratio] = field(default_factory=dict)  # errors


@dataclass(frozen=True, slots=True)
class ErrorTrend:
    """Rates from 0 to 1. Without an answer to the question of a spike there is too little data."""

    baseline: float | None = None
    current: float | None = None
    latest: float | None = None
    spike: bool | None = None
    success_trend: Direction = Direction.INSUFFICIENT
    success_change: float | None = None
    baseline_samples: int = 0
    recent_samples: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """How something moved, in units of its own."""

    trend: Direction = Direction.INSUFFICIENT
    change: float | None = None
    baseline: float | None = None
    current: float | None = None


@dataclass(frozen=True, slots=True)
class Trends:
    """All trends at one moment of the wall clock; None if history could not be asked."""

    at: float | None = None
    errors: ErrorTrend = ErrorTrend()
    latency: Change = Change()
    queue: Change = Change()  # the change is in jobs per minute
    targets: Mapping[str, ErrorTrend] = field(default_factory=dict)


UNKNOWN = Trends()


def trends(material: Material, at: float) -> Trends:
    """What the material says."""
    return Trends(
        at=at,
        errors=of_errors(material.errors),
        latency=of_latency(material.latency),
        queue=of_queue(material.depth),
        targets={name: of_errors(errors) for name, errors in material.targets.items()},
    )


class _Usual(NamedTuple):
    """What was usual in the day before, by whole hours."""

    centre: float
    spread: float


def _usual(hours: Sequence[float]) -> _Usual:
    centre = median(hours)
    return _Usual(centre, MAD * median(abs(hour - centre) for hour in hours))


def _hours(baseline: Ratio) -> list[float]:
    """The value of every hour that has one."""
    values = [baseline.of(begin, begin + HOUR).value for begin in range(0, len(baseline.whole), HOUR)]
    return [value for value in values if not isnan(value)]


def _known(number: float) -> float | None:
    return None if isnan(number) else number


def of_errors(errors: Ratio) -> ErrorTrend:
    """Of deliveries: only more failures are a spike. A day in which none were tried is one without failures."""
    baseline, recent = errors.of(0, -RECENT), errors.of(-RECENT)
    told = ErrorTrend(
        baseline=_known(baseline.value),
        current=_known(recent.value),
        latest=_known(recent.of(-LATEST).value),
        baseline_samples=baseline.watched,
        recent_samples=recent.watched,
    )
    if baseline.watched < LEAST_BASELINE or recent.watched < LEAST_RECENT:
        return told
    usual = _Rate.of(baseline)
    told = replace(told, spike=_spikes(usual, recent))
    if usual.size <= 0 or told.current is None:
        return told
    trend = Direction.STABLE
    if usual.differs(recent, SUCCESS):
        trend = Direction.DECREASING if told.current > usual.centre else Direction.INCREASING
    return replace(told, baseline=usual.centre, success_trend=trend, success_change=usual.centre - told.current)


class _Rate(NamedTuple):
    """The usual error rate: of all deliveries in hours that are not far out themselves."""

    centre: float
    spread: float
    size: float

    @classmethod
    def of(cls, baseline: Ratio) -> _Rate:
        hours = [baseline.of(begin, begin + HOUR) for begin in range(0, len(baseline.whole), HOUR)]
        hours = [hour for hour in hours if hour.size > 0]
        if not hours:
            return cls(0.0, 0.0, 0.0)
        usual = _usual([hour.value for hour in hours])
        # The median alone would take one failure in every other hour for none at all.
        first = cls(usual.centre, usual.spread, sum(hour.size for hour in hours))
        calm = [hour for hour in hours if not first.is_spike(hour)]
        size = sum(hour.size for hour in calm)
        return cls(sum(hour.value * hour.size for hour in calm) / size, usual.spread, size)

    def differs(self, here: Ratio, least: float) -> bool:
        """Whether a rate is another, by that much at least, and neither by chance nor as it always is."""
        change = abs(here.value - self.centre)
        return change > max(least, SPREADS * max(self.spread, RATE_FLOOR)) and self._chance(here) > SPREADS

    def is_spike(self, here: Ratio) -> bool:
        return here.value > self.centre and here.amount >= SPIKE_FAILURES and self.differs(here, SPIKE)

    def _chance(self, here: Ratio) -> float:
        """How many times the spread that chance alone has. Angles, because near 0 and 1 rates spread less."""
        if self.size <= 0:
            return inf
        # As if one more delivery was known that had half failed: that nothing ever failed is no proof that it cannot.
        usual = (self.centre * self.size + 0.5) / (self.size + 1.0)
        angle = asin(sqrt(min(here.value, 1.0))) - asin(sqrt(min(usual, 1.0)))
        return 2.0 * abs(angle) / sqrt(1.0 / here.size + 1.0 / (self.size + 1.0))


def _spikes(usual: _Rate, recent: Ratio) -> bool:
    """Whether the hour, or an interval of it, has far more failures than were to be expected."""
    intervals = [recent.of(at, at + 1) for at in range(len(recent.whole))]
    return any(one.size > 0 and usual.is_spike(one) for one in (recent, *intervals))


def of_latency(latency: Ratio) -> Change:
    """In seconds per delivery."""
    baseline, recent = latency.of(0, -RECENT), latency.of(-RECENT)
    hours, current = _hours(baseline), recent.value
    told = Change(current=_known(current))
    if baseline.watched < LEAST_BASELINE or not hours or isnan(current):
        return told
    usual = _usual(hours)
    change = current - usual.centre
    limit = max(LATENCY * usual.centre, LATENCY_SECONDS, SPREADS * usual.spread)
    trend = _direction(change, limit, Direction.DEGRADING, Direction.IMPROVING)
    return Change(trend, change, usual.centre, current)


def of_queue(depth: Sequence[float]) -> Change:
    """In jobs, and its change per minute: from the first third of what is known of the hour to the last."""
    baseline = [number for number in depth[:-RECENT] if not isnan(number)]
    recent = [(at, number) for at, number in enumerate(depth[-RECENT:]) if not isnan(number)]
    current = recent[-1][1] if recent else None
    if len(baseline) < LEAST_BASELINE or len(recent) < LEAST_QUEUE:
        return Change(current=current)
    third = len(recent) // 3
    first, last = recent[:third], recent[-third:]
    rise = median(number for _, number in last) - median(number for _, number in first)
    minutes = (fmean(at for at, _ in last) - fmean(at for at, _ in first)) * INTERVAL / 60
    # What a queue usually does in as long a time, whatever its size.
    moves = [abs(later - earlier) for earlier, later in pairwise(baseline[::HOUR])]
    limit = max(QUEUE_JOBS, SPREADS * MAD * median(moves or [0.0]))
    trend = _direction(rise, limit, Direction.GROWING, Direction.SHRINKING)
    return Change(trend, rise / minutes, median(baseline), current)


def _direction(change: float, limit: float, up: Direction, down: Direction) -> Direction:
    if abs(change) <= limit:
        return Direction.STABLE
    return up if change > 0 else down
