"""The loop around the cycle: the regular grid, extra cycles on request, new plans between cycles."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from math import inf

from exporter.engine.cycle import Cycle, Plan
from exporter.engine.feed import SnapshotFeed
from exporter.engine.memory import Memory
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
# What a new plan cancels is given this long to end before its successor starts: more than enough if it behaves.
PARTING = 0.1


class Engine:
    """Makes snapshots for as long as it runs."""

    def __init__(
        self,
        clock: Clock,
        meter: Meter,
        offload: Offload,
        abandoned: Callable[[], int] = lambda: 0,
        memory: Memory | None = None,
    ) -> None:
        self._clock = clock
        self._meter = meter
        self._cycle = Cycle(clock, meter, offload, abandoned, memory)
        self._plan = Plan()
        self._schedule = Schedule(clock.monotonic(), self._plan.interval)
        self._next_plan: tuple[Plan, asyncio.Future[None]] | None = None
        self._requested: dict[str, None] = {}
        self._nudge = asyncio.Event()
        self._last_extra = -inf
        self._stopped = False
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
        """Hands over a new plan and returns when it is in force; a cycle under way ends on the old one."""
        if self._stopped:
            return
        if self._next_plan is not None:
            self._next_plan = (plan, self._next_plan[1])
        else:
            self._next_plan = (plan, asyncio.get_running_loop().create_future())
        self._nudge.set()
        await asyncio.shield(self._next_plan[1])

    def start(self, plan: Plan) -> None:
        """Sets the first plan, before any cycle has run."""
        self._cycle.configure(plan)
        self._reschedule(plan, self._clock.monotonic())

    def _reschedule(self, plan: Plan, now: float) -> None:
        self._plan = plan
        self._schedule = Schedule(now, plan.interval)
        self._schedule.set(self._cycle.names())
        self._due_by = now + plan.interval + plan.timeout

    async def _adopt(self, plan: Plan) -> None:
        """Takes a plan over. If the interval stays, so does the grid, and who is new runs at once beside it."""
        anew = self._cycle.configure(plan)
        now = self._clock.monotonic()
        if plan.interval != self._plan.interval:
            self._reschedule(plan, now)
        else:
            self._plan = plan
            self._schedule.set(self._cycle.names())
            self._schedule.mark(anew, self._schedule.tick(now))
            self.request(anew)
        await self._cycle.let_go(PARTING)

    async def once(self) -> Snapshot:
        """One cycle of everything."""
        return await self._turn(self._cycle.names())

    async def run(self) -> None:
        """Cycles until cancelled."""
        while True:
            now = self._clock.monotonic()
            due = self._schedule.take(self._schedule.tick(now))
            await self._attempt(dict.fromkeys([*due, *self._take_requests(now)]))
            await self._until(self._schedule.at(self._schedule.tick(self._clock.monotonic()) + 1))

    async def _attempt(self, due: Iterable[str], latest: float = inf) -> None:
        """A cycle. Should there be no memory for its snapshot, the last one stays and the next cycle comes."""
        try:
            await self._turn(due, latest)
        except MemoryError:
            say(_log, logging.ERROR, "a cycle was lost: out of memory")

    async def _turn(self, due: Iterable[str], latest: float = inf) -> Snapshot:
        snapshot = await self._cycle.run(due, latest)
        self._due_by = self._clock.monotonic() + self._plan.interval + self._plan.timeout
        self.feed.publish(snapshot)
        return snapshot

    async def _until(self, tick_at: float) -> None:
        """Waits for the next tick; runs extra cycles and takes new plans on the way."""
        while True:
            if self._next_plan is not None:
                interval = self._plan.interval
                await self._take_plan()
                if self._plan.interval != interval:
                    return
                continue
            now = self._clock.monotonic()
            if now >= tick_at:
                return
            extra_at = self._last_extra + EXTRA_CYCLE_GAP if self._requested else inf
            if now >= extra_at:
                # Whatever it waits for, the regular cycle comes when its time has come.
                await self._attempt(self._take_requests(now), tick_at)
                continue
            self._nudge.clear()
            await self._sleep(min(tick_at, extra_at) - now)

    async def _take_plan(self) -> None:
        assert self._next_plan is not None
        plan, taken = self._next_plan
        self._next_plan = None
        try:
            await self._adopt(plan)
            await self._turn(())  # a removed collector leaves the page now, not at the next tick
        except Exception as error:
            say(_log, logging.ERROR, "configuration could not be taken over", exception=type(error).__name__)
            taken.set_exception(error)
        finally:
            _release(taken)  # also when the engine is stopped meanwhile

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
        """Ends what is still running, once `run` has been cancelled."""
        self._stopped = True
        if self._next_plan is not None:
            _release(self._next_plan[1])
        await self._cycle.stop(patience)


def _release(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
