"""Time that stands still until a test moves it, and time as it is."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass
class ManualClock:
    """Both clocks move together, and only by hand."""

    now: float = 1_000.0
    epoch: float = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.epoch + self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class RealClock:
    """The system's clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()
