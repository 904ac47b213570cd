"""The loop around the cycle: the regular grid, extra cycles on request, new plans between cycles."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from exporter.engine.cycle import Cycle, Plan
from exporter.engine.feed import SnapshotFeed
from exporter.engine.metrics import EngineMetrics
from exporter.engine.schedule import Schedule
from exporter.instruments.log import say
from exporter.instruments.meter import Meter
from exporter.model.collector import Clock, Offload
from exporter.model.metric import Samples
from exporter.model.snapshot import Snapshot

_log = logging.getLogger("exporter.engine")

EXTRA_CYCLE_GAP = 1.0
ALIVE_FOR = 30.0


class Engine:
    """Makes snapshots for as long as it runs."""

    def __init__(self, clock: Clock, meter: Meter, offload: Offload, abandoned: Callable[[], int] = lambda: 0) -> None:
        self._clock = clock
        self._meter = meter
        self._cycle = Cycle(clock, meter, offload, abandoned)
        self._plan = Plan()
        self._schedule = Schedule(clock.monotonic(), self._plan.interval)
        self._next_plan: tuple[Plan, asyncio.Future[None]] | None = None
        self._requested: dict[str, None] = {}
        self._nudge = asyncio.Event()
        self._last_extra = float("-inf")
        self._due_by = clock.monotonic()
        self.feed = SnapshotFeed()

    @property
    def metrics(self) -> EngineMetrics:
        return self._cycle.metrics

    def own(self) -> tuple[Samples, ...]:
        """What the daemon counts about itself, as it stands now."""
        return self._meter.capture()

    def alive(self) -> bool:
        """False once cycles have stood still for half a minute longer than planned."""
        return self._clock.monotonic() < self._due_by + ALIVE_FOR

    def request(self, names: Iterable[str]) -> None:
        """Makes collectors due at once, in an extra cycle; the regular grid does not move."""
        self._requested.update(dict.fromkeys(names))
        self._nudge.set()

    async def configure(self, plan: Plan) -> None:
        """Hands over a new plan and returns when it is in force: a cycle under way ends on the old one."""
        if self._next_plan is not None:
            self._next_plan = (plan, self._next_plan[1])
        else:
            self._next_plan = (plan, asyncio.get_running_loop().create_future())
        self._nudge.set()
        await asyncio.shield(self._next_plan[1])

    def start(self, plan: Plan) -> None:
        """Sets the first plan, before any cycle has run."""
        self._adopt(plan)

    def _adopt(self, plan: Plan) -> None:
        known = set(self._cycle.names())
        if plan.interval != self._plan.interval or not known:
            self._schedule = Schedule(self._clock.monotonic(), plan.interval)
        self._cycle.configure(plan)
        self._plan = plan
        names = self._cycle.names()
        self._schedule.set(names)
        self._due_by = self._clock.monotonic() + plan.interval + plan.timeout
        if known:
            self.request(set(names) - known)

    async def once(self) -> Snapshot:
        """One cycle of everything."""
        return await self._turn(self._cycle.names())

    async def run(self) -> None:
        """Cycles until cancelled."""
        while True:
            now = self._clock.monotonic()
            tick = self._schedule.tick(now)
            due = self._schedule.take(tick)
            await self._turn(dict.fromkeys([*due, *self._take_requests(now)]))
            await self._until(self._schedule.at(self._schedule.tick(self._clock.monotonic()) + 1))

    async def _turn(self, due: Iterable[str]) -> Snapshot:
        snapshot = await self._cycle.run(due)
        self._due_by = self._clock.monotonic() + self._plan.interval + self._plan.timeout
        self.feed.publish(snapshot)
        return snapshot

    async def _until(self, tick_at: float) -> None:
        """Waits for the next tick; runs extra cycles and takes new plans on the way."""
        while True:
            if self._next_plan is not None:
                plan, taken = self._next_plan
                self._next_plan = None
                moved = plan.interval != self._plan.interval
                try:
                    self._adopt(plan)
                except Exception as error:
                    say(_log, logging.ERROR, "configuration could not be taken over", exception=type(error).__name__)
                    taken.set_exception(error)
                else:
                    taken.set_result(None)
                if moved:
                    return
                await self._turn(())  # a removed collector leaves the page now, not at the next tick
            now = self._clock.monotonic()
            wake = tick_at
            if self._requested:
                wake = min(wake, self._last_extra + EXTRA_CYCLE_GAP)
            if now >= wake:
                if now >= tick_at:
                    return
                await self._turn(self._take_requests(now))
                continue
            self._nudge.clear()
            if self._next_plan is None:
                await self._sleep(wake - now)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._nudge.wait()
        except TimeoutError:
            pass

    def _take_requests(self, now: float) -> list[str]:
        names = list(self._requested)
        self._requested.clear()
        if names:
            self._last_extra = now
        return names

    async def stop(self, patience: float = 1.0) -> None:
        """Ends what is still running."""
        await self._cycle.stop(patience)
