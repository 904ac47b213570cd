"""Jobs end as delivered or as dead letters, and one bad receiver harms no other: by a clock that does not wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from exporter.demo.destination import CAPACITIES, Pace
from exporter.demo.queue import Priority
from exporter.demo.service import Service
from exporter.demo.traffic import LONG, Event
from tests.demo.build import BROKEN, OK, REFUSED, Receivers, alert, figures, service

pytestmark = pytest.mark.looptime


@asynccontextmanager
async def working(it: Service) -> AsyncIterator[None]:
    task = asyncio.create_task(it.run())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def ended(it: Service, target: str) -> tuple[float, float, float]:
    found = figures(it)
    succeeded, failed, dlq = (found["jobs_processed_total", target, state] for state in ("succeeded", "failed", "dlq"))
    return succeeded, failed, dlq


async def test_every_receiver_that_wants_an_alert_gets_it() -> None:
    it = service(Receivers(), "a", "b")
    async with working(it):
        it.accept(alert())
        await asyncio.sleep(1)
    assert ended(it, "a") == ended(it, "b") == (1, 0, 0)
    found = figures(it)
    assert found["queue_submissions_total", "high", "success"] == 2
    assert found["job_duration_seconds", "a", "high"] == found["job_duration_seconds", "b", "high"] == 1
    assert found["job_wait_time_seconds", "high"] == 2


async def test_what_fails_is_tried_again_later_and_later_then_becomes_a_dead_letter() -> None:
    receivers = Receivers(a=BROKEN)
    it = service(receivers, "a", pace=Pace(jitter=0.0, replay_every=1000.0))
    async with working(it):
        it.accept(alert())
        await asyncio.sleep(60)
    assert receivers.calls("a") == pytest.approx([0.0, 0.51, 1.52, 3.53], abs=0.01)
    assert ended(it, "a") == (0, 1, 0)
    found = figures(it)
    assert found["retry_attempts_total", "a", "transient"] == 3
    assert found["retry_success_rate", "a", "3"] == 1
    assert found["dlq_writes_total", "a", "transient"] == found["dlq_size", "a"] == 1


async def test_what_is_refused_for_good_is_not_tried_again() -> None:
    receivers = Receivers(a=REFUSED)
    it = service(receivers, "a", pace=Pace(replay_every=1000.0))
    async with working(it):
        it.accept(alert())
        await asyncio.sleep(60)
    assert len(receivers.calls("a")) == 1
    assert figures(it)["dlq_writes_total", "a", "permanent"] == 1


async def test_what_may_not_be_sent_is_a_dead_letter_without_a_call() -> None:
    receivers = Receivers()
    it = service(receivers, "a", pace=Pace(replay_every=1000.0))
    async with working(it):
        it.accept(alert(details=LONG))
        await asyncio.sleep(60)
    assert receivers.calls("a") == []
    assert figures(it)["dlq_writes_total", "a", "permanent"] == 1


async def test_a_receiver_that_hangs_holds_up_nobody_else() -> None:
    """Nor do jobs that wait for their next attempt."""
    receivers = Receivers(broken=BROKEN)
    receivers.hanging.add("hung")
    it = service(receivers, "hung", "broken", "fine", pace=Pace(capacities=dict.fromkeys(CAPACITIES, 100)))
    async with working(it):
        for number in range(30):
            it.accept(alert(str(number)))
        await asyncio.sleep(1)
        assert ended(it, "fine") == (30, 0, 0)
        assert figures(it)[("workers_active",)] == Pace().per_target
        await asyncio.sleep(60)
    assert sum(ended(it, "hung")) == sum(ended(it, "broken")) == 30


async def test_a_breaker_opens_and_what_comes_then_is_counted_and_kept() -> None:
    receivers = Receivers(a=BROKEN)
    it = service(receivers, "a", "b")
    async with working(it):
        for number in range(10):
            it.accept(alert(str(number)))
        await asyncio.sleep(10)
        found = figures(it)
        assert (found["circuit_breaker_state", "a"], found["circuit_breaker_trips_total", "a"]) == (1, 1)
        assert found["circuit_breaker_state", "b"] == 0
        it.accept(alert("late"))
        await asyncio.sleep(0.1)
        assert ended(it, "a")[2] >= 1
        assert sum(ended(it, "a")) == figures(it)["dlq_size", "a"] == 11


async def test_a_healed_receiver_closes_the_breaker_and_gets_what_was_kept_for_it() -> None:
    receivers = Receivers(a=BROKEN)
    it = service(receivers, "a")
    async with working(it):
        for number in range(8):
            it.accept(alert(str(number)))
        await asyncio.sleep(10)
        receivers.answers["a"] = OK
        for number in range(30):
            it.accept(alert(f"later {number}"))
            await asyncio.sleep(3)
    found = figures(it)
    assert (found["circuit_breaker_state", "a"], found["circuit_breaker_recoveries_total", "a"]) == (0, 1)
    assert found["dlq_replays_total", "a", "success"] >= 8
    assert found["dlq_size", "a"] == 0


async def test_a_letter_that_fails_again_is_counted_and_not_written_twice() -> None:
    it = service(Receivers(a=REFUSED), "a")
    async with working(it):
        it.accept(alert())
        await asyncio.sleep(30)
    found = figures(it)
    assert found["dlq_replays_total", "a", "failed"] == 2
    assert (found["dlq_writes_total", "a", "permanent"], found["dlq_size", "a"]) == (1, 0)


async def test_a_letter_is_tried_once_per_chance() -> None:
    receivers = Receivers(a=BROKEN)
    it = service(receivers, "a", pace=Pace(jitter=0.0, replay_every=10.0))
    async with working(it):
        it.accept(alert())
        await asyncio.sleep(15)
    assert len(receivers.calls("a")) == 5
    assert figures(it)["retry_attempts_total", "a", "transient"] == 3


async def test_a_letter_waits_while_the_queue_is_full() -> None:
    receivers = Receivers(a=REFUSED)
    it = service(receivers, "a", pace=Pace(capacities=dict.fromkeys(CAPACITIES, 1), per_target=1))
    async with working(it):
        it.accept(alert())
        await asyncio.sleep(1)
        receivers.hanging.add("a")
        it.accept(alert())
        await asyncio.sleep(0.1)
        it.accept(alert())
        await asyncio.sleep(2.5)
        found = figures(it)
        assert found["queue_submissions_total", "high", "rejected"] == 1
        assert ("dlq_replays_total", "a", "failed") not in found
        assert found["dlq_size", "a"] == 1


async def test_what_finds_no_room_is_refused_and_counted() -> None:
    it = service(Receivers(), "a")
    for number in range(CAPACITIES[Priority.HIGH] + 5):
        it.accept(alert(str(number)))
    found = figures(it)
    assert found["queue_submissions_total", "high", "rejected"] == 5
    assert found["queue_capacity_utilization", "high"] == 1
    assert found["queue_size", "high"] == CAPACITIES[Priority.HIGH]


async def test_a_call_that_the_receiver_does_not_allow_yet_waits_and_no_worker_with_it() -> None:
    receivers = Receivers()
    it = service(receivers, "a", limit=(5.0, 1))
    async with working(it):
        for number in range(3):
            it.accept(alert(str(number), event=Event.CHANGE))
        await asyncio.sleep(1)
        assert figures(it)[("workers_idle",)] == Pace().workers
        await asyncio.sleep(30)
    assert receivers.calls("a") == pytest.approx([0.0, 5.0, 10.0], abs=0.1)
    assert ended(it, "a") == (3, 0, 0)


async def test_a_further_attempt_waits_for_its_time_too() -> None:
    receivers = Receivers(a=BROKEN)
    it = service(receivers, "a", limit=(5.0, 1))
    async with working(it):
        it.accept(alert())
        await asyncio.sleep(12)
    assert receivers.calls("a") == pytest.approx([0.0, 5.0, 10.0], abs=0.1)
