"""The cycle: how runs end, what a snapshot holds, and what a collector cannot do to the others."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

import pytest

from exporter.engine.limits import Limits
from exporter.engine.slot import Off
from exporter.model.collector import Run
from exporter.model.errors import Backoff, Failure, NoData, Partial
from exporter.model.metric import Family, Kind, Result, Samples
from exporter.model.reason import Drop, Outcome, Reason
from tests.engine.build import (
    EPOCH,
    THING,
    Blocking,
    Deriving,
    Doing,
    Eager,
    Rig,
    deaf,
    entry,
    names_of,
    outcome,
    own,
    plan,
    result,
    sleeping,
    steady,
    things,
)

SAFE = 30.0  # for real threads on a busy machine


class Odd(BaseException):
    """Not an Exception."""


def raising(error: BaseException) -> Callable[[Run], Any]:
    def act(run: Run) -> Any:
        raise error

    return act


def raising_later(error: BaseException) -> Callable[[Run], Any]:
    async def act(run: Run) -> Any:
        await asyncio.sleep(0)
        raise error

    return act


async def test_a_plain_collector_is_called_directly_and_its_samples_are_in_the_snapshot() -> None:
    collector = steady("a", "x", "y")
    snapshot = await Rig(collector).run()
    assert names_of(snapshot, "a") == ["x", "y"]
    assert outcome(snapshot, "a") == ("ok", None)
    assert snapshot.id == collector.runs[0].cycle == 1


@pytest.mark.looptime
async def test_collectors_that_wait_do_so_together() -> None:
    rig = Rig(sleeping("a", 3.0), sleeping("b", 2.0), steady("c"))
    snapshot = await rig.run()
    assert [names_of(snapshot, name) for name in "abc"] == [["a"], ["b"], ["c"]]
    assert snapshot.duration == snapshot.monotonic == 3.0
    assert snapshot.wall == EPOCH + 3.0
    assert snapshot.expires == 3.0 + 3 * 15.0
    assert snapshot.records["b"].duration == 2.0
    assert snapshot.records["b"].started == EPOCH
    assert snapshot.records["b"].last_success == EPOCH + 2.0


@pytest.mark.looptime
async def test_a_run_knows_its_deadline_and_the_time() -> None:
    one, two, three = steady("a"), steady("b"), steady("c")
    rig = Rig(entry(one, 5.0), entry(two, 5.0), entry(three, 7.0))
    await asyncio.sleep(1.0)
    await rig.run()
    assert [collector.runs for collector in (one, two, three)] == [
        [Run(1, 6.0, EPOCH + 1.0)],
        [Run(1, 6.0, EPOCH + 1.0)],
        [Run(1, 8.0, EPOCH + 1.0)],
    ]


ERRORS = [ValueError("secret"), Odd("secret"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("how", ["plain", "async", "blocking"])
async def test_col1_whatever_a_collector_raises_is_an_internal_error_and_the_others_are_fine(
    error: BaseException, how: str
) -> None:
    bad = {
        "plain": Doing("bad", raising(error)),
        "async": Doing("bad", raising_later(error)),
        "blocking": Blocking("bad", raising(error)),
    }[how]
    rig = Rig(entry(bad, SAFE), steady("good"), timeout=SAFE)
    for cycle in (1.0, 2.0):
        snapshot = await rig.run()
        assert outcome(snapshot, "bad") == ("error", "internal")
        assert own(snapshot, "collector_errors_total", "bad", "internal") == (cycle,)
        assert own(snapshot, "collector_up", "bad") == (0.0,)
        assert names_of(snapshot, "good") == ["good"]
    detail = snapshot.records["bad"].detail
    assert detail.startswith(f"{type(error).__name__} at test_cycle.py:")
    assert "secret" not in detail


@pytest.mark.parametrize(
    ("error", "expected", "up", "kept"),
    [
        (NoData(), ("nodata", None), 1.0, []),
        (Partial(things("half"), Reason.CONNECT, "one of two"), ("partial", "connect"), 1.0, ["half"]),
        (Backoff(Reason.RATE_LIMITED, "until noon"), ("backoff", "rate_limited"), 0.0, []),
        (Failure(Reason.DNS), ("error", "dns"), 0.0, []),
        (Failure(Reason.TIMEOUT), ("timeout", "timeout"), 0.0, []),
        (Failure("made up"), ("error", "internal"), 0.0, []),  # type: ignore[arg-type]
        (Partial(None, Reason.CONNECT), ("error", "internal"), 0.0, []),  # type: ignore[arg-type]
    ],
    ids=["nodata", "partial", "backoff", "failure", "timeout", "unknown reason", "partial without result"],
)
async def test_what_a_collector_raises_says_how_its_run_ended(
    error: Exception, expected: tuple[str, str | None], up: float, kept: list[str]
) -> None:
    snapshot = await Rig(Doing("a", raising(error))).run()
    assert outcome(snapshot, "a") == expected
    assert own(snapshot, "collector_up", "a") == (up,)
    assert names_of(snapshot, "a") == kept
    assert own(snapshot, "collector_samples", "a") == (float(len(kept)),)
    assert own(snapshot, "collector_outcomes_total", "a", expected[0]) == (1.0,)


@pytest.mark.parametrize("junk", [None, 1, "text", things, [], Result(samples=iter(())), Result(samples=7)], ids=repr)  # type: ignore[arg-type]
@pytest.mark.parametrize("how", [Doing, Blocking])
async def test_a_collector_that_returns_junk_has_failed(junk: object, how: type[Doing]) -> None:
    snapshot = await Rig(entry(how("a", lambda run: junk), SAFE), steady("good"), timeout=SAFE).run()
    assert outcome(snapshot, "a") == ("error", "internal")
    assert names_of(snapshot, "good") == ["good"]


async def test_a_coroutine_where_a_result_should_be_is_closed_and_not_left_to_complain() -> None:
    async def act(run: Run) -> Result:
        return things("never")

    async def nested(run: Run) -> Coroutine[Any, Any, Result]:
        return act(run)

    rig = Rig(entry(Blocking("a", act), SAFE), Doing("b", nested), Deriving("c", act), timeout=SAFE)  # type: ignore[arg-type]
    snapshot = await rig.run()
    for name in "abc":
        assert snapshot.records[name].detail == "returned coroutine instead of a Result"


async def test_hostile_samples_cost_the_run_and_not_the_daemon() -> None:
    class Hostile(float):
        def __float__(self) -> float:
            raise SystemExit

    snapshot = await Rig(Doing("a", lambda run: result({("x",): Hostile(1.0)})), steady("good")).run()
    assert outcome(snapshot, "a") == ("error", "internal")
    assert names_of(snapshot, "good") == ["good"]


@pytest.mark.looptime
async def test_col2_a_collector_that_never_returns_is_cancelled_at_its_timeout() -> None:
    cancelled = []

    async def act(run: Run) -> Result:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(asyncio.get_running_loop().time())
            raise
        return things("never")

    rig = Rig(entry(Doing("a", act), 4.0), sleeping("b", 6.0))
    snapshot = await rig.run()
    assert cancelled == [4.0]
    assert outcome(snapshot, "a") == ("timeout", "timeout")
    assert snapshot.records["a"].duration == 4.0
    assert names_of(snapshot, "b") == ["b"]
    assert snapshot.monotonic == 6.0
    assert own(snapshot, "abandoned_calls") == (0.0,)


@pytest.mark.looptime
async def test_with_equal_timeouts_a_hung_collector_is_out_in_the_snapshot_of_that_very_cycle() -> None:
    snapshot = await Rig(sleeping("a", 99.0), sleeping("b", 99.0)).run()
    assert snapshot.monotonic == 10.0
    assert outcome(snapshot, "a") == outcome(snapshot, "b") == ("timeout", "timeout")


@pytest.mark.looptime
async def test_col3_a_collector_that_swallows_cancellation_is_an_overrun_until_it_ends() -> None:
    collector = deaf("a", 40.0)
    rig = Rig(collector, steady("good"))
    snapshot = await rig.run()
    assert snapshot.monotonic == 10.0
    assert outcome(snapshot, "a") == ("timeout", "timeout")
    await asyncio.sleep(5.0)
    for cycle in (1.0, 2.0):
        snapshot = await rig.run()
        assert outcome(snapshot, "a") == ("error", "overrun")
        assert snapshot.duration == 0.0
        assert own(snapshot, "collector_errors_total", "a", "overrun") == (cycle,)
        assert own(snapshot, "abandoned_calls") == (1.0,)
        assert names_of(snapshot, "good") == ["good"]
    duration = own(snapshot, "collector_duration_seconds", "a")
    assert duration is not None
    assert sum(duration[:-1]) == 1.0, "a run is timed once"
    assert len(collector.runs) == 1
    await asyncio.sleep(30.0)
    collector.act = lambda run: things("back")
    snapshot = await rig.run()
    assert outcome(snapshot, "a") == ("ok", None)
    assert names_of(snapshot, "a") == ["back"]
    assert own(snapshot, "abandoned_calls") == (0.0,)


@pytest.mark.looptime
async def test_col4_fifty_that_block_are_bounded_in_threads_and_hold_up_neither_cycle_nor_other_pools() -> None:
    release, begun = threading.Event(), threading.Semaphore(0)

    def act(run: Run) -> Result:
        begun.release()
        release.wait(SAFE)
        return things("late")

    async def all_threads_are_busy(run: Run) -> Result:
        await asyncio.sleep(0)
        if run.cycle == 1:
            assert all(begun.acquire(timeout=SAFE) for _ in range(8))
        return things("gate")

    before = threading.active_count()
    many = [Blocking(f"b{number}", act) for number in range(50)]
    rig = Rig(*many, Doing("gate", all_threads_are_busy), steady("good"), threads=8)
    try:
        snapshot = await rig.run()
        assert snapshot.monotonic == pytest.approx(10.0)
        assert {outcome(snapshot, f"b{number}") for number in range(50)} == {("timeout", "timeout")}
        assert names_of(snapshot, "good") == ["good"]
        assert threading.active_count() - before <= 8
        await asyncio.sleep(5.0)
        snapshot = await rig.run()
        ends = [outcome(snapshot, f"b{number}") for number in range(50)]
        assert ends.count(("error", "overrun")) == 8
        assert ends.count(("timeout", "timeout")) == 42, "they never got a thread"
        assert threading.active_count() - before <= 8
        assert await Rig().pool(lambda: "served") == "served"
    finally:
        release.set()
    await rig.cycle.stop(SAFE)


@pytest.mark.looptime
async def test_col6_what_comes_after_the_timeout_is_discarded_and_no_snapshot_changes() -> None:
    trouble: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: trouble.append(context))
    rig = Rig(deaf("a", 12.0))
    first = await rig.run()
    kept = replace(first)
    await asyncio.sleep(10.0)
    assert first == kept
    assert names_of(first, "a") == []
    snapshot = await rig.cycle.run(())
    assert names_of(snapshot, "a") == []
    assert outcome(snapshot, "a") == ("timeout", "timeout")
    gc.collect()
    assert trouble == []


@pytest.mark.looptime
async def test_col6_a_plain_collector_that_took_too_long_has_timed_out() -> None:
    def act(run: Run) -> Result:
        rig.clock.held_up += 11.0
        return things("late")

    after = steady("after")
    rig = Rig(sleeping("before", 1.0), Doing("slow", act), after, sleeping("waits", 9.5))
    snapshot = await rig.run()
    assert outcome(snapshot, "slow") == ("timeout", "timeout")
    assert names_of(snapshot, "slow") == []
    assert [names_of(snapshot, name) for name in ("before", "after", "waits")] == [["before"], ["after"], ["waits"]]
    assert after.runs[0].deadline == 21.0, "it did not eat into the time of the others"


@pytest.mark.looptime
async def test_later_than_the_cycle_but_within_its_own_timeout_a_run_goes_on_and_its_previous_result_stays() -> None:
    collector = steady("a", "old")
    rig = Rig(entry(collector, 50.0), steady("b"))
    await rig.run()

    async def act(run: Run) -> Result:
        await asyncio.sleep(30.0)
        return things("new")

    collector.act = act
    snapshot = await rig.run()
    assert snapshot.monotonic == 10.0
    assert names_of(snapshot, "a") == ["old"]
    await asyncio.sleep(10.0)
    snapshot = await rig.run()
    assert snapshot.duration == 0.0, "nothing that is already running is waited for"
    assert names_of(snapshot, "a") == ["old"]
    await asyncio.sleep(10.5)
    assert names_of(snapshot, "a") == ["old"], "a snapshot never changes"
    snapshot = await rig.cycle.run(())
    assert names_of(snapshot, "a") == ["new"]
    assert len(collector.runs) == 2


@pytest.mark.looptime
async def test_a_run_that_outlives_the_cycle_is_ended_at_its_own_timeout_between_cycles() -> None:
    rig = Rig(entry(sleeping("a", 99.0), 30.0), sleeping("b", 99.0))
    snapshot = await rig.run()
    assert "a" not in snapshot.records
    assert own(snapshot, "collector_up", "a") is None, "nothing is known yet: not 0"
    assert own(snapshot, "collector_outcomes_total", "a", "ok") == (0.0,), "closed counters start at 0"
    assert outcome(snapshot, "b") == ("timeout", "timeout")
    await asyncio.sleep(25.0)
    snapshot = await rig.cycle.run(())
    assert outcome(snapshot, "a") == ("timeout", "timeout")
    assert snapshot.records["a"].duration == 30.0


@pytest.mark.looptime
async def test_a_cycle_that_must_end_earlier_does() -> None:
    rig = Rig(sleeping("a", 5.0))
    snapshot = await rig.cycle.run(["a"], latest=2.0)
    assert snapshot.monotonic == 2.0
    assert "a" not in snapshot.records
    await asyncio.sleep(3.5)
    assert names_of(await rig.cycle.run(()), "a") == ["a"]


@pytest.mark.looptime
async def test_a_collector_that_failed_has_no_series_and_one_that_was_not_due_keeps_its() -> None:
    one, two = steady("a"), steady("b")
    rig = Rig(one, two)
    await rig.run()
    one.act = raising(Failure(Reason.CONNECT, "refused"))
    snapshot = await rig.run("a")
    assert names_of(snapshot, "a") == []
    assert names_of(snapshot, "b") == ["b"]
    assert snapshot.records["a"].detail == "refused"
    assert snapshot.records["a"].last_success == EPOCH
    assert own(snapshot, "collector_last_success_timestamp_seconds", "a") == (EPOCH,)
    assert len(two.runs) == 1


async def test_col9_of_two_that_emit_the_same_series_the_first_in_the_configuration_wins() -> None:
    again = Family(THING.name, THING.help, THING.kind, THING.labels)
    one = steady("one", "x")
    rig = Rig(one, steady("two", "x", "y"), Doing("three", lambda run: result({("y",): 2.0}, again), (again,)))
    for cycle in (1.0, 2.0):
        snapshot = await rig.run()
        assert [names_of(snapshot, name) for name in ("one", "two", "three")] == [["x"], ["y"], []]
        assert own(snapshot, "samples_dropped_total", "two", "duplicate") == (cycle,)
        assert own(snapshot, "snapshot_series") == (2.0,)
        assert own(snapshot, "collector_samples", "two") == (1.0,)
    one.act = raising(NoData())
    snapshot = await rig.run("one")
    assert names_of(snapshot, "two") == ["x", "y"]
    assert own(snapshot, "collector_samples", "two") == (2.0,), "what it lost it has again"
    one.act = lambda run: things("x")
    await rig.run("one")
    rig.cycle.configure(plan(one))
    assert list((await rig.run()).samples) == ["one"]


async def test_col10_a_family_of_another_shape_under_a_name_that_is_taken_is_dropped() -> None:
    other = Family(THING.name, "Something else.", Kind.GAUGE, ("name",))
    mine = Family("platform_exporter_collector_up", "Mine!", Kind.GAUGE, ("name",))
    rig = Rig(
        steady("one"),
        Doing("two", lambda run: result({("z",): 1.0}, other), (other,)),
        Doing("three", lambda run: result({("z",): 1.0}, mine), (mine,)),
    )
    snapshot = await rig.run()
    assert [names_of(snapshot, name) for name in ("one", "two", "three")] == [["one"], [], []]
    assert own(snapshot, "samples_dropped_total", "two", "family") == (1.0,)
    assert own(snapshot, "samples_dropped_total", "three", "family") == (1.0,), "our own families stand there too"


async def test_col11_a_counter_that_goes_down_is_exported_as_it_is() -> None:
    family = Family("publishing_jobs_total", "Jobs.", Kind.COUNTER)
    numbers = iter([10.0, 3.0])
    rig = Rig(Doing("a", lambda run: result(next(numbers), family), (family,)))
    values = [(await rig.run()).samples["a"][0].values for _ in range(2)]
    assert values == [(10.0,), (3.0,)]


async def test_col12_an_empty_result_is_no_failure() -> None:
    snapshot = await Rig(Doing("a", lambda run: Result())).run()
    assert outcome(snapshot, "a") == ("ok", None)
    assert own(snapshot, "collector_up", "a") == (1.0,)
    assert own(snapshot, "collector_samples", "a") == (0.0,)
    assert snapshot.samples["a"] == ()


async def test_col13_series_that_vanish_are_gone_from_the_next_snapshot() -> None:
    collector = steady("a", "x", "y")
    rig = Rig(collector)
    first = await rig.run()
    collector.act = lambda run: things("y")
    assert names_of(await rig.run(), "a") == ["y"]
    assert names_of(first, "a") == ["x", "y"]


async def test_card1_a_million_series_are_cut_to_the_budget_and_the_self_metrics_stay() -> None:
    many = Result((Samples(THING, tuple((str(i),) for i in range(100_000)), (1.0,) * 100_000),))
    rig = Rig(Doing("a", lambda run: many), steady("good"), limits=Limits(1000, 1500))
    snapshot = await rig.run()
    assert names_of(snapshot, "a") == [str(i) for i in range(1000)]
    assert own(snapshot, "samples_dropped_total", "a", "budget") == (99_000.0,)
    assert names_of(snapshot, "good") == ["good"]


@dataclass(frozen=True)
class Note:
    text: str


async def test_details_ride_along_and_go_with_the_result() -> None:
    collector = Doing("a", lambda run: Result((), Note("seen")))
    rig = Rig(collector, steady("b"))
    assert (await rig.run()).details == {"a": Note("seen")}
    collector.act = raising(Failure(Reason.PARSE))
    assert (await rig.run()).details == {}


# -- derived collectors


async def test_a_derived_collector_sees_the_results_of_this_very_cycle_and_not_other_derived_ones() -> None:
    seen: list[list[str]] = []

    def act(results: Any) -> Result:
        seen.append(list(results))
        return things("sum")

    failing = Doing("b", raising(Failure(Reason.DNS)))
    rig = Rig(Deriving("score", act), Deriving("other", act), steady("a"), failing)
    assert list(rig.cycle.names()) == ["a", "b"]
    snapshot = await rig.run()
    assert seen == [["a"], ["a"]]
    assert names_of(snapshot, "score") == ["sum"]
    assert outcome(snapshot, "score") == ("ok", None)


async def test_a_derived_collector_that_raises_is_a_failure_like_any_other() -> None:
    def act(results: Any) -> Result:
        raise SystemExit

    snapshot = await Rig(steady("a"), Deriving("score", act)).run()
    assert outcome(snapshot, "score") == ("error", "internal")
    assert names_of(snapshot, "a") == ["a"]


async def test_what_is_unknown_derived_or_running_is_not_started() -> None:
    rig = Rig(Deriving("score", lambda results: things("sum")))
    snapshot = await rig.run("score", "nobody")
    assert outcome(snapshot, "score") == ("ok", None)
    assert own(snapshot, "collector_outcomes_total", "score", "ok") == (1.0,)
    assert own(snapshot, "collector_outcomes_total", "score", "error") == (0.0,)


async def test_a_bad_sample_counts_in_every_run_also_if_the_result_is_the_very_same() -> None:
    found = result({("x" * 2000,): 1.0, ("good",): 1.0})
    rig = Rig(Doing("a", lambda run: found))
    for runs in (1.0, 2.0):
        assert own(await rig.run(), "samples_dropped_total", "a", "label") == (runs,)


# -- plans


async def test_a_kept_collector_keeps_its_state_and_the_others_start_anew() -> None:
    kept, changed = steady("kept"), steady("changed")
    rig = Rig(kept, changed, steady("gone"))
    await rig.run()
    anew = steady("changed", "again")
    assert rig.cycle.configure(plan(kept, anew, steady("added"))) == ["changed", "added"]
    snapshot = await rig.cycle.run(())
    assert names_of(snapshot, "kept") == ["kept"]
    assert own(snapshot, "collector_outcomes_total", "kept", "ok") == (1.0,)
    assert own(snapshot, "collector_outcomes_total", "changed", "ok") == (0.0,)
    assert own(snapshot, "collector_outcomes_total", "gone", "ok") is None
    assert "gone" not in snapshot.samples
    assert list(snapshot.records) == ["kept"]
    assert own(snapshot, "collector_up", "changed") is None


async def test_self_metrics_of_a_removed_collector_vanish_altogether() -> None:
    rig = Rig(steady("a"), steady("b"))
    await rig.run()
    rig.cycle.configure(plan(steady("b")))
    snapshot = await rig.cycle.run(())
    assert not [key for column in snapshot.own for key in column.keys if key[:1] == ("a",)]


async def test_new_filters_and_limits_count_at_once_for_what_was_found_before() -> None:
    other = Family("publishing_other", "Another.", Kind.GAUGE, ("name",))
    both = Result((*things("a").samples, *result({("b",): 1.0}, other).samples))
    collector = Doing("a", lambda run: both, (THING, other))
    rig = Rig(collector, steady("idle"))
    await rig.run()
    rig.cycle.configure(plan(entry(collector, exclude=["*_other"]), entry(Doing("idle", raising(NoData())))))
    assert names_of(await rig.cycle.run(()), "a") == ["a"]
    rig.cycle.configure(plan(entry(collector), limits=Limits(1)))
    snapshot = await rig.cycle.run(())
    assert names_of(snapshot, "a") == ["a"]
    assert own(snapshot, "samples_dropped_total", "a", Drop.BUDGET) == (1.0,)


async def test_new_settings_of_a_collector_without_a_result_wait_for_its_next_run() -> None:
    collector = Doing("a", raising(Failure(Reason.DNS)))
    rig = Rig(collector)
    await rig.run()
    rig.cycle.configure(plan(entry(collector, 3.0)))
    snapshot = await rig.cycle.run(())
    assert outcome(snapshot, "a") == ("error", "dns")


async def test_a_plan_that_cannot_be_taken_leaves_the_old_one_in_force() -> None:
    class Broken(Doing):
        families = property(lambda self: 1 / 0)

        def __init__(self) -> None:
            self.name = "broken"

    rig = Rig(steady("a"))
    with pytest.raises(ZeroDivisionError):
        rig.cycle.configure(plan(steady("b"), Broken()))
    assert names_of(await rig.run(), "a") == ["a"]


@pytest.mark.looptime
async def test_the_run_of_a_removed_collector_is_cancelled_and_whatever_it_brings_is_discarded() -> None:
    rig = Rig(entry(deaf("a", 20.0), 60.0), timeout=1.0)
    await rig.run()
    rig.cycle.configure(plan())
    await asyncio.sleep(30.0)
    snapshot = await rig.cycle.run(())
    assert snapshot.records == {}
    assert snapshot.samples == {}
    assert not [key for column in snapshot.own for key in column.keys if key[:1] == ("a",)]


@pytest.mark.looptime
@pytest.mark.parametrize("same", [True, False], ids=["the same object", "another object"])
async def test_a_name_that_comes_back_does_not_start_beside_its_old_run(same: bool) -> None:
    old = deaf("a", 20.0)
    rig = Rig(entry(old, 60.0), timeout=1.0)
    await rig.run()
    rig.cycle.configure(plan())
    new = old if same else steady("a")
    assert rig.cycle.configure(plan(new)) == ["a"]
    assert outcome(await rig.run(), "a") == ("error", "overrun")
    assert len(old.runs) == 1
    await asyncio.sleep(25.0)
    new.act = lambda run: things("back")
    assert names_of(await rig.run(), "a") == ["back"]


@pytest.mark.looptime
async def test_a_run_cancelled_before_it_could_begin_leaves_nothing_behind() -> None:
    rig = Rig(sleeping("a", 1.0))
    cycle = asyncio.ensure_future(rig.run())
    asyncio.get_running_loop().call_soon(rig.cycle.configure, plan(steady("b")))
    await asyncio.sleep(0)
    cycle.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cycle
    await rig.cycle.let_go(1.0)
    snapshot = await rig.run()
    assert names_of(snapshot, "b") == ["b"]
    assert own(snapshot, "abandoned_calls") == (0.0,)


async def test_an_awaitable_that_is_no_coroutine_is_awaited_and_cancelled_alike() -> None:
    futures: list[asyncio.Future[Result]] = []

    def act(run: Run) -> asyncio.Future[Result]:
        futures.append(asyncio.get_running_loop().create_future())
        if len(futures) == 1:
            asyncio.get_running_loop().call_soon(futures[0].set_result, things("later"))
        return futures[-1]

    rig = Rig(Doing("a", act))
    assert names_of(await rig.run(), "a") == ["later"]
    await rig.cycle.run(["a"], latest=asyncio.get_running_loop().time())
    await rig.cycle.stop(SAFE)
    assert futures[1].cancelled()


async def test_switched_off_and_unloadable_collectors_are_listed() -> None:
    broken = Off("plugin", Reason.CONFIG, "cannot be imported")
    rig = Rig(steady("a"), off=[Off("usage"), broken])
    snapshot = await rig.run()
    assert outcome(snapshot, "usage") == ("disabled", None)
    assert outcome(snapshot, "plugin") == ("error", "config")
    assert own(snapshot, "collector_up", "usage") is None
    assert own(snapshot, "collector_up", "plugin") == (0.0,)
    assert own(snapshot, "collector_errors_total", "plugin", "config") == (1.0,)
    rig.cycle.configure(plan(off=[Off("usage"), broken]))
    snapshot = await rig.run()
    assert own(snapshot, "collector_errors_total", "plugin", "config") == (1.0,), "it failed once"
    rig.cycle.configure(plan(off=[Off("plugin")]))
    snapshot = await rig.run()
    assert outcome(snapshot, "plugin") == ("disabled", None)
    assert own(snapshot, "collector_up", "plugin") is None
    rig.cycle.configure(plan(steady("plugin")))
    assert outcome(await rig.run(), "plugin") == ("ok", None)


async def test_every_tick_is_the_interval_of_a_collector_that_spreads_its_own() -> None:
    rig = Rig(entry(Eager("a", lambda run: things("a")), interval=60.0), entry(steady("b"), interval=60.0))
    assert rig.cycle.names() == {"a": 15.0, "b": 60.0}


# -- the end


@pytest.mark.looptime
async def test_stop_cancels_what_runs_and_does_not_wait_for_what_does_not_care() -> None:
    rig = Rig(entry(sleeping("a", 99.0), 99.0), entry(deaf("b", 300.0), 99.0), timeout=1.0)
    await rig.run()
    await rig.cycle.stop(2.0)
    assert asyncio.get_running_loop().time() == 3.0
    await asyncio.sleep(400.0)


@pytest.mark.looptime
async def test_stop_with_nothing_running_is_at_once() -> None:
    await Rig(steady("a")).cycle.stop(5.0)
    assert asyncio.get_running_loop().time() == 0.0


async def test_a_failure_is_told_once_and_so_is_the_recovery(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "exporter")
    collector = Doing("a", raising(Failure(Reason.CONNECT, "refused")))
    rig = Rig(collector)
    await rig.run()
    await rig.run()
    collector.act = lambda run: things("a")
    await rig.run()
    await rig.run()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "collector failed"),
        ("INFO", "collector recovered"),
    ]
    assert Outcome.OK.up
