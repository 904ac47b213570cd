"""What statistics and trends may know of earlier cycles: a protocol, and the tracks it answers with.

A track is one number over time, in steps: all its columns have one entry per step. Where nothing was stored `count`
and `covered` are 0, and what cannot be known (`low`, `high`, `last`) is not a number: a gap is a gap, never a 0.

For a gauge `low`, `high`, `total` (the sum) and `last` are about its values; `mean` divides. For a counter, each bucket
of a histogram and its sum included, they are about how much it rose from one cycle to the next; that is never negative,
as a restart of what counts is noticed (`resets`). `last` alone is the reading itself. What a counter rose across a gap
is in `jump`, at the end of the gap, because nobody knows when it happened: add it for a sum over all the time, leave it
out where a rate per step is meant.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import NamedTuple, Protocol

from exporter.model.metric import Kind

MINUTE, HOUR = 60, 3600


class BadRange(ValueError):
    """A question about the past that makes no sense, or is too large; the text is for whoever asked."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Which series: all of a family whose labels include these.

    `part` picks one number of a histogram or summary: a bucket by its bound (`0.5`, `+Inf`; it holds what fell between
    that and the bound below, not cumulated as on the page), a quantile, `sum` or `count`. None takes all.
    """

    family: str
    labels: Mapping[str, str] = field(default_factory=dict)
    part: str | None = None


class Series(NamedTuple):
    """Which number it is that was kept."""

    family: str
    kind: Kind
    labels: Mapping[str, str]
    part: str = ""

    @property
    def counts(self) -> bool:
        """Whether it only rises, until what counts is restarted."""
        if self.kind is Kind.SUMMARY:
            return self.part in ("sum", "count")
        return self.kind in (Kind.COUNTER, Kind.HISTOGRAM)


def _none(size: int) -> array[float]:
    return array("d", bytes(8 * size))


def _unknown(size: int) -> array[float]:
    return array("d", [nan]) * size


@dataclass(frozen=True, slots=True)
class Track:
    """One number over time; step i is about [start + i·step, start + (i + 1)·step). See the top of this module."""

    series: Series
    start: int
    step: int
    low: array[float]
    high: array[float]
    total: array[float]
    last: array[float]
    count: array[float]
    jump: array[float]
    covered: array[float]  # seconds; a cycle covers the time since the one before it
    resets: array[float]

    @classmethod
    def empty(cls, series: Series, start: int, step: int, size: int) -> Track:
        known = [_none(size) for _ in range(5)]
        low, high, last = (_unknown(size) for _ in range(3))
        return cls(series, start, step, low, high, known[0], last, *known[1:])

    def __len__(self) -> int:
        return len(self.count)

    @property
    def columns(self) -> tuple[array[float], ...]:
        """As they are stored."""
        return self.low, self.high, self.total, self.last, self.count, self.jump, self.covered, self.resets

    def mean(self, at: int) -> float:
        """The mean value of a gauge within a step; of a counter, how much it rose per cycle."""
        return self.total[at] / self.count[at] if self.count[at] else nan

    def coverage(self, at: int) -> float:
        """The share of a step that was watched."""
        return min(1.0, self.covered[at] / self.step)

    def regrouped(self, step: int) -> Track:
        """The same in longer steps: a multiple of this track's; the last one may be cut short."""
        if step == self.step:
            return self
        if step <= 0 or step % self.step:
            raise BadRange(f"the step must be a multiple of {self.step} seconds")
        many = step // self.step
        longer = Track.empty(self.series, self.start, step, -(-len(self) // many))
        for at in range(len(longer)):
            here = slice(at * many, (at + 1) * many)
            counts = self.count[here]
            longer.count[at] = sum(counts)
            if not longer.count[at]:
                continue
            known = [index for index, count in enumerate(counts, at * many) if count]
            longer.low[at] = min(self.low[index] for index in known)
            longer.high[at] = max(self.high[index] for index in known)
            longer.last[at] = self.last[known[-1]]
            longer.total[at], longer.jump[at] = sum(self.total[here]), sum(self.jump[here])
            longer.covered[at], longer.resets[at] = sum(self.covered[here]), sum(self.resets[here])
        return longer


class Increase(NamedTuple):
    """How much a counter rose within a time: while watched, and across gaps. `coverage` is a share of that time."""

    series: Series
    watched: float
    across_gaps: float
    coverage: float
    resets: int

    @property
    def amount(self) -> float:
        return self.watched + self.across_gaps


@dataclass(frozen=True, slots=True)
class Sum:
    """Many series together, by step: of counters how much they rose, of gauges the sum of their means."""

    labels: Mapping[str, str]
    start: int
    step: int
    total: array[float]
    jump: array[float]  # see the top of this module; none for gauges
    coverage: array[float]  # of the series watched best: where it is 0 nothing is known

    @classmethod
    def empty(cls, labels: Mapping[str, str], start: int, step: int, size: int) -> Sum:
        return cls(labels, start, step, _none(size), _none(size), _none(size))

    def add(self, track: Track) -> None:
        """Adds a series whose track has steps that are as long or go into these."""
        many = self.step // track.step
        for at, begin in enumerate(range(0, len(track), many)):
            here = slice(begin, begin + many)
            if not (count := sum(track.count[here])):
                continue
            total = sum(track.total[here])
            self.total[at] += total if track.series.counts else total / count
            self.jump[at] += sum(track.jump[here])
            self.coverage[at] = max(self.coverage[at], min(1.0, sum(track.covered[here]) / self.step))


class Past(Protocol):
    """Earlier cycles. Times are wall-clock seconds.

    Whoever asks must reckon with `BadRange`, with `Unavailable` (history is off, broken or too busy) and with
    `TimeoutError`. A slow answer never holds up a cycle or a write. A series nobody has seen is absent from the answer;
    one that is new when the cycle before already watched its upstream began at 0.
    """

    async def tracks(self, selector: Selector, start: float, end: float, step: int = MINUTE) -> tuple[Track, ...]:
        """One track per series over [start, end), widened to whole steps; `step` is a multiple of a minute.

        Minutes are kept for `history.minutes`, hours for `history.retention`: steps that are multiples of an hour are
        answered from the latter.
        """
        ...

    async def sums(
        self, selector: Selector, start: float, end: float, step: int = MINUTE, by: Sequence[str] = ()
    ) -> tuple[Sum, ...]:
        """The series together, or those with the same values of these labels: for many more series than `tracks`."""
        ...

    async def increases(self, selector: Selector, start: float, end: float) -> tuple[Increase, ...]:
        """How much each counter rose in [start, end): by whole minutes, and where those are gone by whole hours."""
        ...
