"""How long deliveries take, from histograms of several processes which need not have the same buckets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import inf, isfinite
from typing import NamedTuple

from exporter.publishing.deliveries import Origin
from exporter.publishing.upstream import UpstreamState

JOB_SECONDS, PUBLISHER_SECONDS = "job_duration_seconds", "publisher_duration_seconds"


class Cell(NamedTuple):
    """How many took longer than the bound below and no longer than this one."""

    bound: float
    number: float


class Latency(NamedTuple):
    """Durations of many deliveries: cells with rising bounds, the last without end, and their sum in seconds."""

    cells: tuple[Cell, ...] = ()
    seconds: float = 0.0

    @classmethod
    def of(cls, cells: Iterable[Cell], seconds: float) -> Latency:
        """Cells of any number of histograms, in any order."""
        numbers: dict[float, float] = {}
        for bound, number in cells:
            if isfinite(number):
                numbers[bound] = numbers.get(bound, 0.0) + number
        return cls(tuple(Cell(bound, numbers[bound]) for bound in sorted(numbers)), seconds)

    @property
    def number(self) -> float:
        return sum(cell.number for cell in self.cells)

    def quantile(self, share: float) -> float | None:
        """The duration that this share did not exceed; None without any.

        What is beyond the last bound took at least that long, and on average as long as the sum says.
        """
        if self.number <= 0:
            return None
        grown = list(accumulate(cell.number for cell in self.cells))
        rank = share * self.number
        at = bisect_left(grown, rank)
        low = self.cells[at - 1].bound if at else 0.0
        bound, number = self.cells[at]
        if bound == inf:
            return max(low, self._beyond(low, number))
        return low + (bound - low) * (rank - (grown[at - 1] if at else 0.0)) / number

    def _beyond(self, last: float, number: float) -> float:
        bounds = [cell.bound for cell in self.cells]
        middles = [(low + high) / 2 for low, high in zip([0.0, *bounds], bounds[:-1], strict=False)]
        within = sum(middle * cell.number for middle, cell in zip(middles, self.cells, strict=False))
        mean = (self.seconds - within) / number
        return mean if isfinite(mean) else last


class Timing(NamedTuple):
    """One number of a histogram: of a bucket, or its sum if there is no bound."""

    family: str
    origin: Origin
    bound: float | None
    number: float


def latency(timings: Iterable[Timing]) -> Latency:
    """All services together, each by its jobs, or by its publishers if it says nothing of jobs."""
    replicas: dict[Origin, dict[str, list[Timing]]] = {}
    for timing in timings:
        replicas.setdefault(timing.origin, {}).setdefault(timing.family, []).append(timing)
    chosen = [found.get(JOB_SECONDS) or found[PUBLISHER_SECONDS] for found in replicas.values()]
    cells = [Cell(one.bound, one.number) for all_of_it in chosen for one in all_of_it if one.bound is not None]
    sums = [one.number for all_of_it in chosen for one in all_of_it if one.bound is None and isfinite(one.number)]
    return Latency.of(cells, sum(sums))


def timings(upstreams: Sequence[UpstreamState]) -> Iterator[Timing]:
    """What the services say of durations since they were started."""
    for upstream in upstreams:
        for replica in upstream.replicas:
            origin = (upstream.upstream, replica.replica)
            for rows in replica.rows:
                if rows.family in (JOB_SECONDS, PUBLISHER_SECONDS):
                    parts: tuple[float | None, ...] = (*rows.bounds, inf, None)
                    for at, bound in enumerate(parts):
                        yield Timing(rows.family, origin, bound, sum(rows.values[at :: len(parts)]))
