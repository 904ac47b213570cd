"""Jobs waiting for a worker: by priority, then in turn for each target, within fixed bounds."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from exporter.demo.delivery import Answer, Request
from exporter.demo.traffic import Alert, Event

FAIR_EVERY = 8  # this many jobs are taken by priority, less one that the lowest gets: it must not starve


class Priority(StrEnum):
    """From the most urgent to the least."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


def priority_of(alert: Alert) -> Priority:
    """What wakes somebody goes first; what is over can wait."""
    if alert.event in (Event.RESOLVE, Event.DEPLOY) or alert.severity == "info":
        return Priority.LOW
    return Priority.HIGH if alert.severity == "critical" else Priority.MEDIUM


@dataclass(slots=True, order=True)
class Job:
    """One alert for one target."""

    id: int
    target: str = field(compare=False)
    alert: Alert = field(compare=False)
    priority: Priority = field(compare=False)
    submitted: float = field(compare=False)
    started: float | None = field(compare=False, default=None)
    attempts: int = field(compare=False, default=0)
    request: Request | None = field(compare=False, default=None)
    answer: Answer | None = field(compare=False, default=None)  # to the last attempt
    reserved: bool = field(compare=False, default=False)  # it has been given a time by the receiver's rate limit
    letter: int | None = field(compare=False, default=None)  # the dead letter it is a second chance for


class JobQueue:
    """Takes jobs while there is room for their priority; hands them out to whoever waits."""

    def __init__(self, capacities: Mapping[Priority, int], now: Callable[[], float]) -> None:
        self._capacities = capacities
        self._now = now
        # The targets of a lane are in the order of their turn.
        self._lanes: dict[Priority, dict[str, deque[Job]]] = {priority: {} for priority in Priority}
        self._sizes = dict.fromkeys(Priority, 0)
        self._later: list[tuple[float, Job]] = []
        self._taken = 0
        self._changed = asyncio.Event()

    def submit(self, job: Job) -> bool:
        """Whether there was room."""
        if self._sizes[job.priority] >= self._capacities[job.priority]:
            return False
        self._sizes[job.priority] += 1
        self._line_up(job)
        return True

    def put_back(self, job: Job, delay: float) -> None:
        """Keeps a job for later. It was admitted once: it never loses its place to newer ones, even beyond capacity."""
        self._sizes[job.priority] += 1
        heapq.heappush(self._later, (self._now() + delay, job))
        self._changed.set()

    async def take(self, free: Callable[[str], bool]) -> Job:
        """The next job whose target is free, as soon as there is one.

        Nobody is woken when a target becomes free: whoever has freed it is the next to ask.
        """
        while (job := self._next(free)) is None:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._until_due()):
                    await self._changed.wait()
        return job

    def size(self, priority: Priority) -> int:
        """How many wait, those kept for later included."""
        return self._sizes[priority]

    def utilization(self, priority: Priority) -> float:
        """How full it is, between 0 and 1."""
        return min(1.0, self._sizes[priority] / self._capacities[priority])

    def _line_up(self, job: Job) -> None:
        self._lanes[job.priority].setdefault(job.target, deque()).append(job)
        self._changed.set()

    def _until_due(self) -> float | None:
        # Not less than a clock shows: the loop's may be behind the one that says when a job is due.
        return max(0.001, self._later[0][0] - self._now()) if self._later else None

    def _next(self, free: Callable[[str], bool]) -> Job | None:
        while self._later and self._later[0][0] <= self._now():
            self._line_up(heapq.heappop(self._later)[1])
        order = tuple(Priority) if (self._taken + 1) % FAIR_EVERY else tuple(reversed(Priority))
        for priority in order:
            lane = self._lanes[priority]
            target = next(filter(free, lane), None)
            if target is not None:
                self._taken += 1
                self._sizes[priority] -= 1
                return _pop(lane, target)
        return None


def _pop(lane: dict[str, deque[Job]], target: str) -> Job:
    jobs = lane.pop(target)
    job = jobs.popleft()
    if jobs:
        lane[target] = jobs  # at the end: the other targets have their turn first
    return job
