"""How long deliveries take, from histograms of several processes which need not have the same buckets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import inf, isfinite
from operator import add
from typing import NamedTuple

from exporter.model.metric import Key
from exporter.publishing.deliveries import HOP_BEFORE, Origin
from exporter.publishing.dialects.translate import Rows
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
    """One number of a histogram: of a bucket, or its sum if there is no bound. `before`: of the hop before ours."""

    family: str
    origin: Origin
    before: bool
    bound: float | None
    number: float


def latency(found: Iterable[Timing]) -> Latency:
    """All services together, each by its jobs, or by its publishers if it says nothing of jobs.

    A server that sends to Alertmanagers is quick and has much to send: it counts only where there is nothing else.
    """
    all_of_them = list(found)
    by_jobs = {timing.origin for timing in all_of_them if timing.family == JOB_SECONDS}
    own = [one for one in all_of_them if one.family == JOB_SECONDS or one.origin not in by_jobs]
    chosen = [one for one in own if not one.before] or own
    sums = [one.number for one in chosen if one.bound is None and isfinite(one.number)]
    return Latency.of((Cell(one.bound, one.number) for one in chosen if one.bound is not None), sum(sums))


def timings(upstreams: Sequence[UpstreamState]) -> Iterator[Timing]:
    """What the services say of durations since they were started."""
    for upstream in upstreams:
        for replica in upstream.replicas:
            for rows in replica.rows:
                if rows.family in (JOB_SECONDS, PUBLISHER_SECONDS):
                    yield from _timings(rows, (upstream.upstream, replica.replica))


def _timings(rows: Rows, origin: Origin) -> Iterator[Timing]:
    bounds: tuple[float | None, ...] = (*rows.bounds, inf, None)
    sums: dict[bool, list[float]] = {}
    for at, key in enumerate(rows.keys):
        numbers = rows.values[at * len(bounds) : (at + 1) * len(bounds)]
        before = is_before(rows.family, key)
        known = sums.get(before)
        sums[before] = list(map(add, known, numbers)) if known else list(numbers)
    for before, total in sums.items():
        for bound, number in zip(bounds, total, strict=True):
            yield Timing(rows.family, origin, before, bound, number)


def is_before(family: str, key: Key) -> bool:
    """Whether these durations are those of a server that sends to Alertmanagers."""
    return family == PUBLISHER_SECONDS and key[0] == HOP_BEFORE
