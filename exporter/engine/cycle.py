"""The cycle: due collectors start together, each under its own deadline, and what they found becomes a snapshot.

All waiting goes through one timer. A collector that is plain is called directly and costs a microsecond; one that
waits gets a task of its own. Whatever it raises, however late it comes, it cannot touch the others or the snapshot.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from exporter.engine.journal import Journal
from exporter.engine.limits import NOTHING, Limits, Merge
from exporter.engine.metrics import EngineMetrics
from exporter.engine.slot import Attempt, Entry, Off, Slot
from exporter.model.collector import Clock, Collector, Derived, Offload, Run
from exporter.model.errors import Backoff, Failure, NoData, Partial
from exporter.model.metric import Result
from exporter.model.reason import Outcome, Reason
from exporter.model.snapshot import Record, Snapshot

if TYPE_CHECKING:
    from exporter.instruments.meter import Meter

# Cycles may stop for this many intervals before their last page is worse than none.
STALE_INTERVALS = 3


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

    def __init__(self, clock: Clock, meter: Meter, offload: Offload, abandoned: Callable[[], int]) -> None:
        self._clock = clock
        self._meter = meter
        self._offload = offload
        self._abandoned = abandoned
        self._metrics = EngineMetrics(meter)
        self._journal = Journal(clock)
        self._plan = Plan()
        self._merge = Merge(self._plan.limits)
        self._slots: dict[str, Slot] = {}
        self._running: dict[str, Slot] = {}  # everything with a task whose result is still wanted
        self._stuck: set[asyncio.Task[None]] = set()  # given up, but not ended: kept from the garbage collector
        self._awaited: set[str] = set()  # what this cycle still waits for
        self._done: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._number = 0

    @property
    def metrics(self) -> EngineMetrics:
        return self._metrics

    def configure(self, plan: Plan) -> None:
        """Takes a new plan. A collector object that is in the old one too keeps its state; others start anew."""
        old = self._slots
        self._slots = {}
        for entry in plan.entries:
            name = entry.collector.name
            slot = old.get(name)
            if slot is not None and slot.entry.collector is entry.collector:
                slot.configure(entry, plan.limits)
                self._slots[name] = old.pop(name)
        # The series of those that go are removed before one of the same name starts at 0.
        for name, slot in old.items():
            self._give_up(slot)
            self._forget(name)
        for name in {off.name for off in self._plan.off} - {off.name for off in plan.off}:
            self._forget(name)
        kept = self._slots
        self._slots = {
            entry.collector.name: kept.get(entry.collector.name)
            or Slot(entry, plan.limits, self._metrics.collector(entry.collector.name))
            for entry in plan.entries
        }
        for off in set(plan.off) - set(self._plan.off):
            self._switch_off(off)
        self._merge = Merge(plan.limits)
        self._plan = plan

    def _switch_off(self, off: Off) -> None:
        if off.reason is not None:
            cells = self._metrics.collector(off.name)
            cells.outcomes[Outcome.ERROR].inc()
            cells.errors[off.reason].inc()
            self._journal.note(off.record())

    def _forget(self, name: str) -> None:
        self._metrics.forget(name)
        self._journal.forget(name)

    def names(self) -> dict[str, float]:
        """What can be scheduled, with the interval of each."""
        plan = self._plan
        return {
            name: plan.interval if slot.every_tick else slot.entry.interval
            for name, slot in self._slots.items()
            if not slot.derived
        }

    async def run(self, due: Iterable[str]) -> Snapshot:
        """One cycle: starts what is due, waits for it no longer than the cycle's timeout, makes the snapshot."""
        clock = self._clock
        began, wall = clock.monotonic(), clock.wall()
        self._number += 1
        for name in due:
            slot = self._slots.get(name)
            if slot is not None:
                self._start(slot, began, wall)
        if self._awaited:
            await self._wait(began + self._plan.timeout)
        return self._snapshot(began)

    # -- starting and ending runs

    def _start(self, slot: Slot, began: float, wall: float) -> None:
        if slot.attempt is not None:
            if slot.attempt.given_up:
                self._settle(slot, slot.attempt, Outcome.ERROR, Failure(Reason.OVERRUN, "an earlier run has not ended"))
            return
        collector = cast("Collector", slot.entry.collector)
        timeout = slot.entry.timeout
        attempt = Attempt(self._clock.monotonic(), wall, began + timeout)
        run = Run(self._number, attempt.deadline, wall)
        try:
            outcome = self._threaded(collector, run) if slot.blocking else collector.collect(run)
            if type(outcome) is not Result and isinstance(outcome, Awaitable):
                slot.attempt = attempt
                attempt.task = asyncio.get_running_loop().create_task(self._follow(slot, attempt, outcome))
                self._running[slot.name] = slot
                self._awaited.add(slot.name)
                return
        except BaseException as error:  # SystemExit and the like from a collector end that run, not the daemon
            self._ended(slot, attempt, None, error)
            return
        self._ended(slot, attempt, outcome, None)

    async def _threaded(self, collector: Collector, run: Run) -> Result:
        begun = False

        def call() -> Result:
            nonlocal begun
            begun = True
            return cast("Result", collector.collect(run))

        waiting = asyncio.ensure_future(self._offload(call))
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            if begun:
                # A thread cannot be stopped: the run lasts until it ends, or a second one would join it.
                await asyncio.wait([waiting])
                waiting.exception()
            else:
                waiting.cancel()
            raise

    async def _follow(self, slot: Slot, attempt: Attempt, outcome: Awaitable[Result]) -> None:
        result, error = None, None
        try:
            result = await outcome
        except BaseException as caught:
            error = caught
        if attempt.given_up:
            if attempt.task is not None:
                self._stuck.discard(attempt.task)
            if slot.attempt is attempt:
                slot.attempt = None
            return
        slot.attempt = None
        self._running.pop(slot.name, None)
        self._ended(slot, attempt, result, error)
        self._awaited.discard(slot.name)
        if not self._awaited and self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _ended(self, slot: Slot, attempt: Attempt, result: Result | None, error: BaseException | None) -> None:
        if self._clock.monotonic() > attempt.deadline:
            self._settle(slot, attempt, Outcome.TIMEOUT, Failure(Reason.TIMEOUT, "came after its timeout"))
        elif error is None:
            self._settle_result(slot, attempt, Outcome.OK, None, result)
        elif isinstance(error, Partial):
            self._settle_result(slot, attempt, Outcome.PARTIAL, Failure(error.reason, error.detail), error.result)
        elif isinstance(error, NoData):
            self._settle(slot, attempt, Outcome.NODATA, None)
        elif isinstance(error, Backoff):
            self._settle(slot, attempt, Outcome.BACKOFF, error)
        elif isinstance(error, Failure):
            outcome = Outcome.TIMEOUT if error.reason is Reason.TIMEOUT else Outcome.ERROR
            self._settle(slot, attempt, outcome, error)
        else:
            self._settle(slot, attempt, Outcome.ERROR, Failure(Reason.INTERNAL, _whereabouts(error)))

    def _settle_result(
        self, slot: Slot, attempt: Attempt, outcome: Outcome, failure: Failure | None, result: object
    ) -> None:
        try:
            if not isinstance(result, Result):
                raise Failure(Reason.INTERNAL, f"returned {type(result).__name__} instead of a Result")
            accepted = slot.intake.accept(result)
        except Failure as error:
            self._settle(slot, attempt, Outcome.ERROR, error)
        except Exception as error:  # samples of a shape the checks did not foresee
            self._settle(slot, attempt, Outcome.ERROR, Failure(Reason.INTERNAL, _whereabouts(error)))
        else:
            for reason, count in accepted.drops.items():
                slot.cells.drops[reason].inc(count)
            self._settle(slot, attempt, outcome, failure, result)
            slot.accepted = accepted
            slot.cells.samples.set(float(accepted.series))

    def _settle(
        self, slot: Slot, attempt: Attempt, outcome: Outcome, failure: Failure | None, result: Result | None = None
    ) -> None:
        """Notes how a run ended. Without a result the collector has no series until it has one again."""
        cells, earlier = slot.cells, slot.record
        duration = self._clock.monotonic() - attempt.started
        if not attempt.given_up:
            cells.duration.observe(duration)
        cells.outcomes[outcome].inc()
        up = outcome.up
        cells.up.set(1.0 if up else 0.0)
        last_success = earlier.last_success if earlier is not None else None
        if up:
            last_success = self._clock.wall()
            self._metrics.succeeded(cells, slot.name, last_success)
        reason, detail = None, ""
        if failure is not None:
            reason, detail = failure.reason, failure.detail
            cells.errors[reason].inc()
        slot.record = Record(slot.name, outcome, reason, detail, attempt.wall, duration, last_success)
        slot.result = result
        if result is None:
            slot.accepted = NOTHING
            cells.samples.set(0.0)
        if not up or (earlier is not None and not earlier.outcome.up):
            self._journal.note(slot.record)

    def _give_up(self, slot: Slot) -> None:
        """Stops waiting for a run: it is cancelled, and discarded should it not care."""
        attempt = slot.attempt
        self._running.pop(slot.name, None)
        self._awaited.discard(slot.name)
        if attempt is not None and attempt.task is not None and not attempt.given_up:
            attempt.given_up = True
            self._stuck.add(attempt.task)
            attempt.task.cancel()

    # -- the one timer

    async def _wait(self, until: float) -> None:
        self._done = asyncio.get_running_loop().create_future()
        self._arm(until)
        try:
            await self._done
        finally:
            self._done = None
            self._awaited.clear()
            self._arm(None)

    def _arm(self, until: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadlines = [slot.attempt.deadline for slot in self._running.values() if slot.attempt is not None]
        if until is not None:
            deadlines.append(until)
        if deadlines:
            loop = asyncio.get_running_loop()
            delay = max(0.0, min(deadlines) - self._clock.monotonic())
            self._timer = loop.call_later(delay, self._sweep, until)

    def _sweep(self, until: float | None) -> None:
        self._timer = None
        now = self._clock.monotonic()
        for slot in list(self._running.values()):
            attempt = slot.attempt
            if attempt is not None and now >= attempt.deadline:
                self._settle(slot, attempt, Outcome.TIMEOUT, Failure(Reason.TIMEOUT, "did not end within its timeout"))
                self._give_up(slot)
        over = until is not None and (now >= until or not self._awaited)
        if over and self._done is not None and not self._done.done():
            self._done.set_result(None)
        self._arm(None if over else until)

    # -- the snapshot

    def _snapshot(self, began: float) -> Snapshot:
        self._derive()
        merged = self._merge({name: slot.accepted for name, slot in self._slots.items()})
        for name, reason, count in merged.drops:
            self._slots[name].cells.drops[reason].inc(count)
        metrics, plan, clock = self._metrics, self._plan, self._clock
        now, wall = clock.monotonic(), clock.wall()
        metrics.cycle.labels().observe(now - began)
        metrics.last.labels().set(wall)
        metrics.series.labels().set(float(merged.series))
        metrics.abandoned.labels().set(float(len(self._stuck) + self._abandoned()))
        records = {name: slot.record for name, slot in self._slots.items() if slot.record is not None}
        records.update({off.name: off.record() for off in plan.off})
        return Snapshot(
            id=self._number,
            wall=wall,
            monotonic=now,
            duration=now - began,
            expires=now + STALE_INTERVALS * plan.interval,
            samples=merged.samples,
            records=records,
            details={
                name: slot.result.detail
                for name, slot in self._slots.items()
                if slot.result is not None and slot.result.detail is not None
            },
            own=self._meter.capture(),
        )

    def _derive(self) -> None:
        derived = [slot for slot in self._slots.values() if slot.derived]
        if not derived:
            return
        results = {name: slot.result for name, slot in self._slots.items() if slot.result and not slot.derived}
        for slot in derived:
            now = self._clock.monotonic()
            attempt = Attempt(now, self._clock.wall(), now + slot.entry.timeout)
            try:
                result = cast("Derived", slot.entry.collector).derive(results)
            except BaseException as error:
                self._ended(slot, attempt, None, error)
            else:
                self._ended(slot, attempt, result, None)

    # -- the end

    async def stop(self, patience: float) -> None:
        """Cancels what runs and waits a little for it to end; what does not care is left behind."""
        if self._timer is not None:
            self._timer.cancel()
        for slot in self._slots.values():
            self._give_up(slot)
        if self._stuck:
            await asyncio.wait(list(self._stuck), timeout=patience)


def _whereabouts(error: BaseException) -> str:
    """The class of an unforeseen exception and the line it came from; its text may quote secrets."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
