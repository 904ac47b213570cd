"""Spreads probes over their interval, so that a thousand targets are not asked in the same second."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from zlib import crc32


@dataclass(frozen=True, slots=True)
class Slots:
    """Divides an interval into ticks and gives every name one of them, the same at each start."""

    interval: float
    tick: float

    @property
    def count(self) -> int:
        return max(1, round(self.interval / self.tick))

    @property
    def period(self) -> float:
        """The interval as it really is: whole ticks."""
        return self.count * self.tick

    def next(self, name: str, epoch: float, now: float) -> float:
        """When the slot of this name comes next, on the grid that began at `epoch`.

        Half a tick of grace: the slot of a tick that came a moment early has been served and must not come again.
        """
        first = epoch + (crc32(name.encode()) % self.count) * self.tick
        passed = floor((now + self.tick / 2 - first) / self.period) + 1
        return first + max(0, passed) * self.period

    def is_due(self, at: float, now: float) -> bool:
        """Whether the tick nearest to this time has come; a tick that is a moment early counts."""
        return now + self.tick / 2 > at
