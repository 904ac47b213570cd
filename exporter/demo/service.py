"""A publishing service: takes alerts, and does what it can to get them to every receiver that wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import count

from exporter.demo.breaker import State
from exporter.demo.delivery import Send
from exporter.demo.destination import Destination, Pace
from exporter.demo.dispatch import Dispatcher
from exporter.demo.queue import Job, JobQueue, Priority, priority_of
from exporter.demo.traffic import Alert


class Service:
    """Workers on a queue; no receiver gets more than its share of them."""

    def __init__(
        self, destinations: Sequence[Destination], send: Send, now: Callable[[], float], seed: int, pace: Pace
    ) -> None:
        self._destinations = {destination.name: destination for destination in destinations}
        self._now = now
        self._pace = pace
        self._queue = JobQueue(pace.capacities, now)
        self._dispatcher = Dispatcher(self._queue, send, now, seed, pace)
        self.figures = self._dispatcher.figures
        self._letters = self._dispatcher.letters
        self._ids = count(1)
        self._active = 0
        for name in self._destinations:
            self.figures.begin(name)

    def accept(self, alert: Alert) -> None:
        """Makes a job for every receiver that wants to know; where there is no room it is refused."""
        for destination in self._destinations.values():
            if destination.wants(alert):
                self._submit(destination.name, alert)

    async def run(self) -> None:
        """Works until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(1, self._pace.workers + 1):
                group.create_task(self._work(str(number)))
            group.create_task(self._replay())

    def refresh(self) -> None:
        """Brings the figures that are states up to date."""
        figures = self.figures
        for priority in Priority:
            figures.size.labels(priority).set(self._queue.size(priority))
            figures.utilization.labels(priority).set(self._queue.utilization(priority))
        for name, destination in self._destinations.items():
            breaker, trips, recoveries = (
                destination.breaker,
                figures.trips.labels(name),
                figures.recoveries.labels(name),
            )
            figures.breaker.labels(name).set(breaker.state)
            trips.inc(breaker.trips - trips.value)
            recoveries.inc(breaker.recoveries - recoveries.value)
            figures.letters.labels(name).set(self._letters.size(name))
        figures.active.labels().set(self._active)
        figures.idle.labels().set(self._pace.workers - self._active)

    def _submit(self, target: str, alert: Alert, letter: int | None = None) -> bool:
        priority = priority_of(alert)
        accepted = self._queue.submit(Job(next(self._ids), target, alert, priority, self._now(), letter=letter))
        self.figures.submissions.labels(priority, "success" if accepted else "rejected").inc()
        return accepted

    def _free(self, target: str) -> bool:
        return self._destinations[target].busy < self._pace.per_target

    async def _work(self, worker: str) -> None:
        while True:
            job = await self._queue.take(self._free)
            destination, began = self._destinations[job.target], self._now()
            destination.busy += 1
            self._active += 1
            try:
                await self._dispatcher.process(job, destination)
            finally:
                destination.busy -= 1
                self._active -= 1
            self.figures.processing.labels(worker).observe(self._now() - began)

    async def _replay(self) -> None:
        """Gives one dead letter of every receiver that works another chance, and the next one a little later."""
        while True:
            await asyncio.sleep(self._pace.replay_every)
            for name, destination in self._destinations.items():
                letter = self._letters.draw(name) if destination.breaker.state is State.CLOSED else None
                if letter is not None and not self._submit(name, letter.alert, letter.id):
                    self._letters.put_back(letter)
