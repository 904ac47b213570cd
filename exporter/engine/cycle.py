"""The cycle: due collectors start together, each under its own deadline, and what they found becomes a snapshot.

All waiting goes through one timer. A collector that is plain is called directly and costs a microsecond; one that
waits gets a task of its own. Whatever it raises, however late it comes, it cannot touch the others or the snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, cast

from exporter.engine.journal import Journal
from exporter.engine.limits import NOTHING, Limits, Merge, Merged, series_of
from exporter.engine.memory import Memory
from exporter.engine.metrics import EngineMetrics
from exporter.engine.slot import Attempt, Entry, Off, Slot
from exporter.engine.verdict import HUNG, LATE, OK, OVERRUN, REFUSED, Verdict, judge, unforeseen
from exporter.model.collector import Clock, Derived, Offload, Run
from exporter.model.errors import Failure
from exporter.model.metric import Result
from exporter.model.reason import Outcome, Reason
from exporter.model.snapshot import Record, Snapshot

if TYPE_CHECKING:
    from exporter.instruments.meter import Meter

# Cycles may stop for this many intervals before their last page is worse than none.
STALE_INTERVALS = 3
_new = tuple.__new__
# Starts this close to each other are one, and share a deadline.
TOGETHER = 0.01


@dataclass(frozen=True, slots=True)
class Plan:
    """What the engine is to run. Order is the order of the configuration: on the page, and where two disagree."""

    entries: Sequence[Entry] = ()
    off: Sequence[Off] = ()
    interval: float = 15.0
    timeout: float = 10.0
    limits: Limits = field(default_factory=Limits)


class Cycle:
    """Runs collectors and keeps what they found until the next time they run."""

    def __init__(
        self,
        clock: Clock,
        meter: Meter,
        offload: Offload,
        abandoned: Callable[[], int],
        memory: Memory | None = None,
    ) -> None:
        self._clock = clock
        self._memory = memory or Memory(meter)
        self._meter = meter
        self._offload = offload
        self._abandoned = abandoned
        self._metrics = EngineMetrics(meter)
        self._journal = Journal(clock)
        self._plan = Plan()
        self._merge = Merge(self._plan.limits)
        self._slots: dict[str, Slot] = {}
        self._derived: list[Slot] = []
        self._off: dict[str, Record] = {}
        self._short: set[str] = set()  # those who lost series when all were brought together
        self._running: dict[str, Slot] = {}  # everything with a task whose result is still wanted
        self._stuck: dict[str, Attempt] = {}  # given up, but not ended: while it lasts no other run may begin
        self._awaited: dict[str, Attempt] = {}  # what this cycle still waits for
        self._done: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._number = 0

    @property
    def metrics(self) -> EngineMetrics:
        return self._metrics

    # -- the plan

    def configure(self, plan: Plan) -> list[str]:
        """Takes a new plan and names those that start anew. A collector object of the old plan keeps its state."""
        # All that asks something of a plugin comes first: what it raises must leave the old plan in force.
        slots = {entry.collector.name: Slot(entry, plan.limits, self._offload) for entry in plan.entries}
        old, self._slots = self._slots, slots
        kept = {
            name for name, slot in slots.items() if name in old and old[name].entry.collector is slot.entry.collector
        }
        gone = [name for name in old if name not in kept]
        for name in gone:
            self._give_up(old[name])
        # The series of those that go are removed before one of the same name starts at 0.
        self._forget([*gone, *(off.name for off in self._plan.off if off not in plan.off)])
        for name, slot in slots.items():
            if name in kept:
                old[name].configure(slot.entry, plan.limits)
                slots[name] = old[name]
            else:
                slot.cells = self._metrics.collector(name)
        for off in plan.off:
            if off not in self._plan.off and off.reason is not None:
                self._failed_to_load(off, off.reason)
        self._derived = [slot for slot in slots.values() if slot.derived]
        self._off = {off.name: off.record() for off in plan.off}
        self._merge = Merge(plan.limits, self._meter.families)
        self._plan = plan
        self._memory.forget(set(slots))
        return [name for name, slot in slots.items() if name not in kept and not slot.derived]

    def _failed_to_load(self, off: Off, reason: Reason) -> None:
        cells = self._metrics.collector(off.name)
        cells.ended(Outcome.ERROR, reason, False, None, self._clock.wall())
        cells.counted(0)
        self._journal.note(off.record())

    def _forget(self, names: Collection[str]) -> None:
        if names:
            self._metrics.forget(names)
            self._journal.forget(names)

    def names(self) -> dict[str, float]:
        """What can be scheduled, with the interval of each."""
        plan = self._plan
        return {
            name: plan.interval if slot.every_tick else slot.entry.interval
            for name, slot in self._slots.items()
            if not slot.derived
        }

    # -- starting and ending runs

    async def run(self, due: Iterable[str], latest: float = inf) -> Snapshot:
        """One cycle: starts what is due, waits for it no longer than the cycle's timeout, makes the snapshot."""
        began = now = self._clock.monotonic()
        self._number += 1
        wall, slots, stuck = self._clock.wall(), self._slots, self._stuck
        run, timeout, latest_start = None, -1.0, began
        self._memory.review(self._series)
        for name in due:
            slot = slots.get(name)
            if slot is None or slot.derived or slot.attempt is not None:
                continue
            if name in stuck:
                self._settle(slot, stuck[name].wall, now - stuck[name].started, OVERRUN, None)
                continue
            if self._memory.refuses(name):
                self._settle(slot, wall, 0.0, REFUSED, None)
                continue
            if run is None or slot.timeout != timeout or now > latest_start:
                timeout, latest_start = slot.timeout, now + TOGETHER
                run = Run(self._number, now + timeout, wall)
            now = self._start(slot, run, now)
        if self._awaited:
            await self._wait(now, latest)
        return self._snapshot(began)

    def _start(self, slot: Slot, run: Run, started: float) -> float:
        """Starts a run, which is over already if the collector is a plain one; returns the time."""
        ended, found = OK, None
        watching = self._memory.watching
        if watching:
            self._memory.began(slot.name)
        try:
            found = slot.start(run)
            if type(found) is not Result and isinstance(found, Awaitable):
                self._attend(slot, Attempt(started, run.wall, run.deadline, found))
                return self._clock.monotonic()
        except BaseException as error:  # SystemExit and the like from a collector end that run, not the daemon
            ended, found = judge(error)
        end = self._end(slot, run.wall, started, run.deadline, ended, found)
        if watching:
            self._memory.ended(slot.name, alone=True)
        return end

    def _series(self) -> dict[str, int]:
        return {name: slot.accepted.series for name, slot in self._slots.items()}

    def _attend(self, slot: Slot, attempt: Attempt) -> None:
        slot.attempt = attempt
        self._running[slot.name] = slot
        self._awaited[slot.name] = attempt
        attempt.task = asyncio.get_running_loop().create_task(self._follow(slot, attempt))

    async def _follow(self, slot: Slot, attempt: Attempt) -> None:
        try:
            ended, found = OK, await attempt.awaitable
        except BaseException as error:
            ended, found = judge(error)
        if self._memory.watching:
            self._memory.ended(slot.name)
        if attempt.given_up:
            return
        slot.attempt = None
        del self._running[slot.name]
        self._end(slot, attempt.wall, attempt.started, attempt.deadline, ended, found)
        self._awaited.pop(slot.name, None)
        self._finish(not self._awaited)

    def _end(self, slot: Slot, wall: float, started: float, deadline: float, ended: Verdict, found: object) -> float:
        """Checks what a run found, unless it came too late; returns the time."""
        now = self._clock.monotonic()
        if now > deadline:
            ended, found = LATE, None
        elif ended is OK or ended.outcome is Outcome.PARTIAL:
            try:
                accepted = slot.intake.accept(found)
            except Failure as failure:
                ended, found = judge(failure)
            except BaseException as error:  # samples of a shape the checks did not foresee
                ended, found = unforeseen(error), None
            else:
                if accepted is not slot.accepted or accepted.drops:
                    slot.take(accepted)
        else:
            found = None
        self._settle(slot, wall, now - started, ended, cast("Result | None", found))
        return now

    def _settle(self, slot: Slot, wall: float, duration: float, ended: Verdict, result: Result | None) -> None:
        """Notes how a run ended. Without a result the collector has no series until it has one again."""
        outcome, reason, detail, up = ended
        if result is not slot.result:
            slot.result = result
            slot.detail = None if result is None else result.detail
        if result is None:
            slot.take(NOTHING)
        at = wall + duration
        if up:
            slot.last_success = at
        slot.cells.ended(outcome, reason, up, None if ended is OVERRUN or ended is REFUSED else duration, at)
        # Not by its constructor, which costs more than all else that is done here for a plain collector.
        slot.record = _new(Record, (slot.name, outcome, reason, detail, wall, duration, slot.last_success))
        if not (up and slot.up):
            self._journal.note(slot.record)
            slot.up = up

    def _give_up(self, slot: Slot) -> None:
        """Stops waiting for a run: it is cancelled, and discarded should it not care."""
        attempt = slot.attempt
        if attempt is None:
            return
        slot.attempt = None
        del self._running[slot.name]
        self._awaited.pop(slot.name, None)
        attempt.given_up = True
        self._stuck[slot.name] = attempt
        attempt.task.add_done_callback(lambda _: self._over(slot.name, attempt))
        attempt.task.cancel()

    def _over(self, name: str, attempt: Attempt) -> None:
        del self._stuck[name]
        if isinstance(attempt.awaitable, Coroutine):
            attempt.awaitable.close()  # it may have been cancelled before it could begin

    # -- the one timer

    async def _wait(self, now: float, latest: float) -> None:
        # Time counts from here: a plain collector that held up the start has not eaten into that of the others.
        for name, attempt in self._awaited.items():
            attempt.deadline = now + self._slots[name].timeout
        self._done = asyncio.get_running_loop().create_future()
        self._arm(min(now + self._plan.timeout, latest))
        try:
            await self._done
        finally:
            self._done = None
            self._awaited.clear()
            self._arm(None)

    def _finish(self, over: bool) -> None:
        if over and self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _arm(self, until: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadlines = [slot.attempt.deadline for slot in self._running.values() if slot.attempt is not None]
        if until is not None:
            deadlines.append(until)
        if deadlines:
            delay = max(0.0, min(deadlines) - self._clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._sweep, until)

    def _sweep(self, until: float | None) -> None:
        now = self._clock.monotonic()
        for slot in list(self._running.values()):
            attempt = slot.attempt
            if attempt is not None and now >= attempt.deadline:
                self._give_up(slot)
                self._settle(slot, attempt.wall, now - attempt.started, HUNG, None)
        over = until is not None and (now >= until or not self._awaited)
        self._finish(over)
        self._arm(None if over else until)

    # -- the snapshot

    def _snapshot(self, began: float) -> Snapshot:
        for slot in self._derived:
            self._derive(slot)
        slots = self._slots.values()
        merged = self._merge({slot.name: slot.accepted for slot in slots})
        if merged.drops or self._short:
            self._count_losses(merged)
        now, wall = self._clock.monotonic(), self._clock.wall()
        self._metrics.cycled(now - began, wall, merged.series, len(self._stuck) + self._abandoned())
        records = {slot.name: slot.record for slot in slots if slot.record is not None}
        records.update(self._off)
        return Snapshot(
            id=self._number,
            wall=wall,
            monotonic=now,
            duration=now - began,
            expires=now + STALE_INTERVALS * self._plan.interval,
            samples=merged.samples,
            records=records,
            details={slot.name: slot.detail for slot in slots if slot.detail is not None},
            own=self._meter.capture(),
        )

    def _derive(self, slot: Slot) -> None:
        others = self._slots.values()
        results = {other.name: other.result for other in others if other.result is not None and not other.derived}
        now, wall = self._clock.monotonic(), self._clock.wall()
        ended, found = OK, cast("object", None)
        try:
            found = cast("Derived", slot.entry.collector).derive(results)
        except BaseException as error:
            ended, found = judge(error)
        self._end(slot, wall, now, now + slot.timeout, ended, found)

    def _count_losses(self, merged: Merged) -> None:
        for name, reason, count in merged.drops:
            self._slots[name].cells.dropped({reason: count})
        losers = {name for name, _, _ in merged.drops}
        for name in self._short | losers:
            if name in merged.samples:
                self._slots[name].cells.counted(series_of(merged.samples[name]))
        self._short = losers

    # -- the end

    async def let_go(self, patience: float) -> None:
        """Waits a little for what was given up to end."""
        if self._stuck:
            await asyncio.wait([attempt.task for attempt in self._stuck.values()], timeout=patience)

    async def stop(self, patience: float) -> None:
        """Cancels what runs and waits a little for it to end; what does not care is left behind."""
        if self._timer is not None:
            self._timer.cancel()
        for slot in self._slots.values():
            self._give_up(slot)
        await self.let_go(patience)
