"""Which collectors are due at which tick. Pure: time comes in as a number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Schedule:
    """A grid of ticks that never moves; a collector's interval is rounded to whole ticks."""

    def __init__(self, start: float, interval: float) -> None:
        self._start = start
        self._interval = interval
        self._every: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def set(self, intervals: Mapping[str, float]) -> None:
        """Replaces what is scheduled. Those that stay keep their place in the grid; new ones are due at once."""
        self._every = {name: max(1, round(every / self._interval)) for name, every in intervals.items()}
        self._last = {name: tick for name, tick in self._last.items() if name in self._every}

    def tick(self, now: float) -> int:
        """The number of the tick that `now` belongs to."""
        # A timer may fire a hair early: a tick that is a microsecond away has come.
        return int((now - self._start) / self._interval + 1e-6)

    def at(self, tick: int) -> float:
        """When a tick begins."""
        return self._start + tick * self._interval

    def take(self, tick: int) -> list[str]:
        """The collectors due at this tick, which are thereby taken: skipped ticks make one due once, not twice."""
        due = []
        for name, every in self._every.items():
            last = self._last.get(name)
            if last is None or tick // every > last // every:
                self._last[name] = tick
                due.append(name)
        return due

    def mark(self, names: Iterable[str], tick: int) -> None:
        """Counts collectors as taken at this tick: they run at once, and need not again at the next."""
        self._last.update(dict.fromkeys(names, tick))
