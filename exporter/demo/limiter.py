"""How often a receiver may be called."""

from __future__ import annotations

from collections.abc import Callable


class Limiter:
    """One call per interval, after a burst of a few at once."""

    def __init__(self, now: Callable[[], float], interval: float, burst: int = 3) -> None:
        self._now = now
        self._interval = interval
        self._ahead = interval * (burst - 1)
        self._next = 0.0

    def reserve(self) -> float:
        """Seconds until the call may be made, which has its time from now on; 0 for at once."""
        now = self._now()
        self._next = max(now, self._next) + self._interval
        return max(0.0, self._next - self._interval - self._ahead - now)
