"""From the readings of one metric, in the order of cycles, to cells.

A counter is judged from one reading to the next. If any number of the metric fell, what counts was restarted, and all
of each number came since. What came across a gap is kept apart: it would look like a spike in the minute after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

from exporter.history.cells import Cell, Cells, add

MINUTE = 60_000  # all times here are milliseconds


class Reading(NamedTuple):
    """One metric in one snapshot. After `gap` without a reading there is a gap.

    `scope_before` tells whether the snapshot before this one had other metrics from where this one comes from.
    """

    at: int
    gap: int
    values: Sequence[float]
    scope_before: Callable[[], bool]


class Base(NamedTuple):
    """The last reading so far."""

    at: int
    values: Sequence[float]


@dataclass(slots=True)
class Sums:
    """The minutes of each number of one metric, and its last reading."""

    counts: Sequence[bool]  # which numbers are counters
    base: Base | None
    minutes: list[Cells]

    @classmethod
    def of(cls, counts: Sequence[bool], base: Base | None) -> Sums:
        return cls(counts, base, [{} for _ in counts])

    def take(self, readings: Iterable[Reading]) -> Sums:
        for reading in readings:
            if all(isfinite(value) for value, counts in zip(reading.values, self.counts, strict=True) if counts):
                self._one(reading)
        return self

    def _one(self, reading: Reading) -> None:
        base, self.base = self.base, Base(reading.at, reading.values)
        since = -1 if base is None else reading.at - base.at
        near = 0 <= since <= reading.gap  # a clock that was set back leaves a gap as well
        covered = since / 1000 if near else 0.0
        if base is None:
            # Never seen: it began at 0 if we would have seen it before, else nobody knows where it began.
            fell = False
            rises = list(reading.values) if reading.scope_before() else [0.0] * len(self.counts)
            near = True
        else:
            pairs = list(zip(reading.values, base.values, self.counts, strict=True))
            fell = any(value < before for value, before, counts in pairs if counts)
            rises = list(reading.values) if fell else [value - before for value, before, _ in pairs]
            near = near or (fell and reading.scope_before())
        slot = reading.at // MINUTE
        for minutes, value, rise, counts in zip(self.minutes, reading.values, rises, self.counts, strict=True):
            if counts:
                add(minutes, slot, _counted(value, rise, near, covered, fell))
            elif isfinite(value):
                add(minutes, slot, [value, value, value, value, 1.0, 0.0, covered, 0.0])


def _counted(value: float, rise: float, near: bool, covered: float, fell: bool) -> Cell:
    seen, jump = (rise, 0.0) if near else (0.0, rise)
    return [seen, seen, seen, value, 1.0, jump, covered, float(fell)]
