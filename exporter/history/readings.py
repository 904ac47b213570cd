"""From the readings of one metric, in the order of cycles, to cells.

A counter is judged from one reading to the next. If any number of the metric fell, what counts was restarted, and all
of each number came since. What came across a gap is kept apart: it would look like a spike in the minute after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from operator import sub
from typing import NamedTuple

from exporter.history.cells import Cell, Cells, add

MINUTE = 60_000  # all times here are milliseconds

Column = Sequence[float]


class Reading(NamedTuple):
    """One metric in one snapshot. After `gap` without a reading there is a gap.

    `scope_before` tells whether a snapshot shortly before had other metrics from where this one comes from.
    """

    at: int
    gap: int
    values: Sequence[float]
    scope_before: Callable[[], bool]


class Base(NamedTuple):
    """The last reading so far."""

    at: int
    values: Sequence[float]


class Slice(NamedTuple):
    """Rows of a block that are in the same minute."""

    minute: int
    begin: int
    end: int
    covered: float


class Block:
    """Some snapshots in a row that have the same metrics; `scope_before` is about the scope of a metric and a row."""

    def __init__(self, ats: Sequence[int], gaps: Sequence[int], scope_before: Callable[[str, int], bool]) -> None:
        self.ats = ats
        self.gaps = gaps
        self.scope_before = scope_before
        self.steady = all(0 <= now - then <= gap for then, now, gap in zip(ats, ats[1:], gaps[1:], strict=False))
        self.slices = self._slices()

    def _slices(self) -> list[Slice]:
        """All rows but the first, which is judged by what came before the block."""
        found, begin = [], 1
        for row in range(1, len(self.ats)):
            minute = self.ats[row] // MINUTE
            if row + 1 == len(self.ats) or self.ats[row + 1] // MINUTE != minute:
                covered = (self.ats[row] - self.ats[begin - 1]) / 1000
                found.append(Slice(minute, begin, row + 1, covered))
                begin = row + 1
        return found


@dataclass(slots=True)
class Sums:
    """The minutes of each number of one metric, and its last reading."""

    counts: Sequence[bool]  # which numbers are counters
    scope: str
    base: Base | None
    minutes: list[Cells]

    @classmethod
    def of(cls, counts: Sequence[bool], scope: str, base: Base | None) -> Sums:
        return cls(counts, scope, base, [{} for _ in counts])

    def take(self, block: Block, columns: Sequence[Column]) -> None:
        """Goes on with a block: one column for each number of the metric."""
        rows = len(block.ats)
        rises = self._rises(columns) if block.steady and rows > 1 else None
        for row in range(1 if rises else rows):
            values = [column[row] for column in columns]
            before = _Before(block, self.scope, row)
            self.one(Reading(block.ats[row], block.gaps[row], values, before))
        if rises:
            for minutes, column, rise in zip(self.minutes, columns, rises, strict=True):
                _sum_up(minutes, block.slices, column, rise)
            self.base = Base(block.ats[-1], [column[-1] for column in columns])

    def _rises(self, columns: Sequence[Column]) -> list[Column] | None:
        """What is summed up of each number, from the second row on; None if a number is none, or a counter fell."""
        rises: list[Column] = []
        for column, counts in zip(columns, self.counts, strict=True):
            if not isfinite(sum(column)):
                return None
            rise = [0.0, *map(sub, column[1:], column)] if counts else column
            if counts and min(rise) < 0:
                return None
            rises.append(rise)
        return rises

    def one(self, reading: Reading) -> None:
        """Goes on with one reading, whatever it is."""
        if not all(isfinite(value) for value, counts in zip(reading.values, self.counts, strict=True) if counts):
            return
        base, self.base = self.base, Base(reading.at, reading.values)
        since = -1 if base is None else reading.at - base.at
        near = 0 <= since <= reading.gap  # a clock that was set back leaves a gap as well
        covered = since / 1000 if near else 0.0
        if base is None:
            # Never seen: it began at 0 if we would have seen it before, else nobody knows where it began.
            fell, near = False, True
            rises = list(reading.values) if reading.scope_before() else [0.0] * len(self.counts)
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


class _Before:
    """Asked only for the few readings that need it: the answer takes a look at other metrics."""

    __slots__ = ("_block", "_row", "_scope")

    def __init__(self, block: Block, scope: str, row: int) -> None:
        self._block, self._scope, self._row = block, scope, row

    def __call__(self) -> bool:
        return self._block.scope_before(self._scope, self._row)


def _sum_up(minutes: Cells, slices: Sequence[Slice], column: Column, rises: Column) -> None:
    for minute, begin, end, covered in slices:
        some = rises[begin:end]
        cell = [min(some), max(some), sum(some), column[end - 1], float(end - begin), 0.0, covered, 0.0]
        if minute in minutes:
            add(minutes, minute, cell)
        else:
            minutes[minute] = cell


def _counted(value: float, rise: float, near: bool, covered: float, fell: bool) -> Cell:
    seen, jump = (rise, 0.0) if near else (0.0, rise)
    return [seen, seen, seen, value, 1.0, jump, covered, float(fell)]
