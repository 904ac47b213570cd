"""The loop around the cycle: the grid, extra cycles, new plans, and the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from exporter.engine.cycle import Plan
from exporter.engine.engine import Engine
from exporter.model.collector import Run
from exporter.model.metric import Result
from exporter.model.snapshot import Snapshot
from tests.engine.build import (
    EPOCH,
    Deriving,
    Doing,
    LoopClock,
    deaf,
    engine,
    entry,
    names_of,
    outcome,
    own,
    sleeping,
    steady,
    things,
)

pytestmark = pytest.mark.looptime


@asynccontextmanager
async def running(made: Engine) -> AsyncIterator[list[Snapshot]]:
    """The engine at work, and the snapshots it made."""
    found: list[Snapshot] = []
    subscription = made.feed.subscribe()

    async def gather() -> None:
        async for snapshot in subscription:
            found.append(snapshot)

    tasks = [asyncio.ensure_future(made.run()), asyncio.ensure_future(gather())]
    await asyncio.sleep(0)
    try:
        yield found
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await made.stop()
        for end in ended:
            if isinstance(end, Exception):
                raise end


def starts(collector: Doing, timeout: float = 10.0) -> list[float]:
    return [run.deadline - timeout for run in collector.runs]


async def test_cycles_come_at_every_tick_and_collectors_at_their_own_interval() -> None:
    often, seldom = steady("often"), steady("seldom")
    made = engine(often, entry(seldom, interval=40.0))
    async with running(made) as found:
        await asyncio.sleep(100.0)
    assert starts(often) == [0.0, 15.0, 30.0, 45.0, 60.0, 75.0, 90.0]
    assert starts(seldom) == [0.0, 45.0, 90.0]
    assert [snapshot.id for snapshot in found] == [1, 2, 3, 4, 5, 6, 7]
    assert made.feed.current() is found[-1]


async def test_a_late_cycle_skips_ticks_and_does_not_catch_up() -> None:
    slow = [True]

    async def act(run: Run) -> Result:
        await asyncio.sleep(38.0 if slow.pop() else 0.0)
        slow.append(False)
        return things("a")

    collector = Doing("a", act)
    async with running(engine(collector, timeout=40.0)):
        await asyncio.sleep(80.0)
    assert starts(collector, 40.0) == [0.0, 45.0, 60.0, 75.0]


async def test_after_a_long_standstill_a_collector_runs_once_and_the_grid_is_the_old_one() -> None:
    collector = steady("a")
    made = engine(collector)
    async with running(made):
        await asyncio.sleep(20.0)
        made._clock.held_up = 100.0  # type: ignore[attr-defined]
        await asyncio.sleep(31.0)
    assert starts(collector) == [0.0, 15.0, 130.0, 135.0, 150.0], "at 130 the ticks of the standstill are one"


async def test_PROC6_a_cycle_without_memory_is_lost_and_the_next_one_comes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lost = [True]
    collector = steady("a")
    made = engine(collector)
    count = made.metrics.cycled

    def run_out(*numbers: float) -> None:
        if lost:
            lost.pop()
            raise MemoryError
        count(*numbers)  # type: ignore[arg-type]

    monkeypatch.setattr(made.metrics, "cycled", run_out)
    async with running(made) as found:
        await asyncio.sleep(40.0)
    assert starts(collector) == [0.0, 15.0, 30.0]
    assert len(found) == 2
    assert "out of memory" in caplog.text


@pytest.mark.parametrize("step", [7200.0, -7200.0, 3600.0, -1.0])
async def test_PROC8_a_step_of_the_wall_clock_moves_stamps_and_nothing_else(
    step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = steady("a")
    made = engine(collector)
    async with running(made) as found:
        await asyncio.sleep(20.0)
        monkeypatch.setattr(LoopClock, "wall", lambda clock: EPOCH + step + clock.monotonic())
        await asyncio.sleep(60.0)
    assert starts(collector) == [0.0, 15.0, 30.0, 45.0, 60.0, 75.0]
    assert [run.wall - EPOCH for run in collector.runs] == [0.0, 15.0, *(step + at for at in (30.0, 45.0, 60.0, 75.0))]
    assert found[-1].wall == EPOCH + step + 75.0
    assert own(found[-1], "collector_last_success_timestamp_seconds", "a") == (EPOCH + step + 75.0,)


async def test_PROC8_a_machine_that_slept_for_two_hours_brings_no_burst() -> None:
    clock, collector, slow = LoopClock(), steady("a"), sleeping("slow", 5.0)
    made = engine(collector, slow, clock=clock)
    async with running(made) as found:
        await asyncio.sleep(16.0)
        clock.held_up += 7200.0
        await asyncio.sleep(60.0)
    times = [snapshot.monotonic for snapshot in found]
    assert all(later - earlier >= 4.0 for earlier, later in pairwise(times))
    assert len([run for run in collector.runs if run.deadline > 7200.0]) <= 5
    assert made.alive()


async def test_a_request_makes_an_extra_cycle_at_once_and_the_grid_does_not_move() -> None:
    one, two = steady("one"), steady("two")
    made = engine(one, two)
    async with running(made) as found:
        await asyncio.sleep(4.0)
        made.request(["two"])
        await asyncio.sleep(0.001)
        assert found[-1].monotonic == 4.0
        await asyncio.sleep(27.0)
    assert starts(one) == [0.0, 15.0, 30.0]
    assert starts(two) == [0.0, 4.0, 15.0, 30.0]


async def test_a_storm_of_requests_makes_one_extra_cycle_a_second() -> None:
    collector = steady("a")
    made = engine(collector)
    async with running(made):
        for _ in range(2000):
            await asyncio.sleep(0.01)
            made.request(["a", "unknown"])
        await asyncio.sleep(12.0)
    times = starts(collector)
    extra = [time for time in times if time % 15.0]
    assert {0.0, 15.0, 30.0} <= set(times)
    assert all(later - earlier >= 1.0 - 1e-9 for earlier, later in pairwise(extra))
    assert 18 <= len(extra) <= 21


async def test_a_request_during_a_cycle_is_served_after_it() -> None:
    made = engine(sleeping("slow", 5.0), quick := steady("quick"))
    async with running(made):
        await asyncio.sleep(1.0)
        made.request(["quick"])
        await asyncio.sleep(5.0)
    assert starts(quick) == [0.0, 5.0]


async def test_an_extra_cycle_that_waits_does_not_hold_up_the_regular_one() -> None:
    hung = Doing("hung", lambda run: asyncio.sleep(0 if run.cycle == 1 else 99.0, things("hung")))
    made = engine(hung, steady("good"))
    async with running(made) as found:
        await asyncio.sleep(14.0)
        made.request(["hung"])
        await asyncio.sleep(1.5)
        assert (found[-1].id, found[-1].monotonic) == (3, 15.0)
        await asyncio.sleep(10.0)
        assert made.feed.current() is found[-1]
        await asyncio.sleep(15.0)
        assert outcome(found[-1], "hung") == ("timeout", "timeout")


async def test_a_request_just_before_the_tick_is_part_of_the_regular_cycle() -> None:
    made = engine(steady("a"), seldom := entry(steady("b"), interval=60.0))
    async with running(made) as found:
        await asyncio.sleep(14.5)
        made.request(["b"])
        made.request(["b"])
        await asyncio.sleep(0.1)
        made.request(["b"])
        await asyncio.sleep(0.6)
    assert isinstance(seldom.collector, Doing)
    assert starts(seldom.collector) == [0.0, 14.5, 15.0]
    assert len(found) == 3


# -- new plans


def planned(*entries: object, interval: float = 15.0) -> Plan:
    found = [item if hasattr(item, "collector") else entry(item, interval=interval) for item in entries]
    return Plan(found, (), interval, 10.0)  # type: ignore[arg-type]


async def test_a_new_plan_is_in_force_and_on_the_page_when_configure_returns() -> None:
    kept = steady("kept")
    made = engine(kept, steady("gone"))
    async with running(made):
        await asyncio.sleep(4.0)
        await made.configure(planned(kept, added := steady("added")))
        snapshot = made.feed.current()
        assert snapshot is not None
        assert "gone" not in snapshot.records
        assert own(snapshot, "collector_outcomes_total", "gone", "ok") is None
        await asyncio.sleep(0.001)
        snapshot = made.feed.current()
        assert snapshot is not None
        assert names_of(snapshot, "added") == ["added"]
        await asyncio.sleep(27.0)
    assert starts(kept) == [0.0, 15.0, 30.0]
    assert starts(added) == [4.0, 15.0, 30.0]


async def test_a_changed_collector_runs_at_once_and_then_on_the_grid() -> None:
    made = engine(entry(steady("a"), interval=60.0))
    async with running(made):
        await asyncio.sleep(7.0)
        changed = steady("a", "changed")
        await made.configure(planned(entry(changed, interval=60.0), Deriving("score", lambda results: things("s"))))
        await asyncio.sleep(60.0)
    assert starts(changed) == [7.0, 60.0]


async def test_the_first_collectors_of_an_empty_plan_run_at_once() -> None:
    made = engine()
    async with running(made):
        await asyncio.sleep(7.0)
        await made.configure(planned(often := steady("a"), entry(seldom := steady("b"), interval=45.0)))
        await asyncio.sleep(45.0)
    assert starts(often) == [7.0, 15.0, 30.0, 45.0]
    assert starts(seldom) == [7.0, 45.0], "it need not run again at the very next tick"


async def test_a_cycle_under_way_ends_on_the_old_plan() -> None:
    ended = []

    async def act(run: Run) -> Result:
        await asyncio.sleep(5.0)
        ended.append(asyncio.get_running_loop().time())
        return things("slow")

    made = engine(Doing("slow", act))
    async with running(made):
        await asyncio.sleep(1.0)
        await made.configure(planned(steady("new")))
        assert ended == [5.0]


async def test_of_two_plans_during_one_cycle_the_later_counts() -> None:
    made = engine(sleeping("slow", 5.0))
    async with running(made):
        await asyncio.sleep(1.0)
        first, second = steady("first"), steady("second")
        await asyncio.gather(made.configure(planned(first)), made.configure(planned(second)))
        await asyncio.sleep(1.0)
    assert (len(first.runs), len(second.runs)) == (0, 1)


async def test_a_new_interval_begins_a_new_grid() -> None:
    collector = steady("a")
    made = engine(collector)
    async with running(made):
        await asyncio.sleep(4.0)
        await made.configure(planned(collector, interval=5.0))
        await asyncio.sleep(11.0)
    assert starts(collector) == [0.0, 4.0, 9.0, 14.0]


async def test_a_collector_replaced_while_it_runs_starts_when_its_old_run_has_ended() -> None:
    made = engine(entry(sleeping("a", 99.0), 50.0))
    async with running(made) as found:
        await asyncio.sleep(11.0)
        await made.configure(planned(steady("a", "new")))
        await asyncio.sleep(0.5)
        assert names_of(found[-1], "a") == ["new"]
        assert outcome(found[-1], "a") == ("ok", None)


async def test_an_old_run_that_will_not_end_delays_a_new_plan_hardly_and_is_an_overrun() -> None:
    made = engine(entry(deaf("a", 99.0), 50.0))
    async with running(made) as found:
        await asyncio.sleep(11.0)
        await made.configure(planned(new := steady("a", "new")))
        assert asyncio.get_running_loop().time() <= 11.2
        await asyncio.sleep(10.0)
        assert outcome(found[-1], "a") == ("error", "overrun")
        assert new.runs == []
        await asyncio.sleep(100.0)
        assert names_of(found[-1], "a") == ["new"]


async def test_a_plan_that_cannot_be_taken_is_reported_and_the_old_one_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        @property
        def name(self) -> str:
            raise LookupError("secret")

    made = engine(collector := steady("a"))
    async with running(made):
        await asyncio.sleep(1.0)
        with pytest.raises(LookupError):
            await made.configure(planned(Broken()))
        await asyncio.sleep(15.0)
    assert starts(collector) == [0.0, 15.0]
    assert caplog.records[0].levelno == logging.ERROR
    assert "secret" not in caplog.text


async def test_nobody_waits_for_a_plan_that_a_stop_overtook() -> None:
    made = engine(sleeping("slow", 5.0))
    async with running(made):
        await asyncio.sleep(1.0)
        waiting = asyncio.ensure_future(made.configure(planned()))
        await asyncio.sleep(1.0)
    await asyncio.wait_for(waiting, 1.0)
    await asyncio.wait_for(made.configure(planned()), 1.0)


async def test_a_stop_in_the_middle_of_a_new_plan_lets_go_of_who_waits_for_it() -> None:
    made = engine(entry(deaf("a", 99.0), 50.0))
    async with running(made):
        await asyncio.sleep(11.0)
        waiting = asyncio.ensure_future(made.configure(planned(steady("a"))))
        await asyncio.sleep(0.05)
    await asyncio.wait_for(waiting, 1.0)
    await asyncio.sleep(100.0)


# -- the rest


async def test_once_is_one_cycle_of_everything() -> None:
    made = engine(steady("a"), sleeping("b", 2.0))
    snapshot = await made.once()
    assert [names_of(snapshot, name) for name in "ab"] == [["a"], ["b"]]
    assert made.feed.current() is snapshot


async def test_the_engine_is_alive_while_cycles_come_and_not_when_they_stand_still() -> None:
    made = engine(steady("a"))
    assert made.alive()
    async with running(made):
        await asyncio.sleep(600.0)
        assert made.alive()
    await asyncio.sleep(10.0 + 10.0 + 15.0 + 30.0)
    assert not made.alive()


async def test_self_metrics_can_be_had_before_the_first_snapshot() -> None:
    made = engine(steady("a"))
    names = {column.family.name for column in made.own()}
    assert "platform_exporter_collector_outcomes_total" in names
    assert "platform_exporter_abandoned_calls" in names
    assert "platform_exporter_collector_up" not in names, "nothing has run yet"
    assert made.metrics.lag.family.name == "platform_exporter_event_loop_lag_seconds"
