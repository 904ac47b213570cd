"""Priority first, fairness within, bounds around."""

import asyncio

import pytest

from exporter.demo.queue import FAIR_EVERY, Job, JobQueue, Priority, priority_of
from exporter.demo.traffic import Event
from tests.demo.build import alert, job

ROOM = dict.fromkeys(Priority, 10)

pytestmark = pytest.mark.looptime


def queue(room: dict[Priority, int] = ROOM) -> JobQueue:
    return JobQueue(room, asyncio.get_running_loop().time)


def anybody(target: str) -> bool:
    return True


async def taken(waiting: JobQueue, number: int) -> list[Job]:
    return [await waiting.take(anybody) for _ in range(number)]


@pytest.mark.parametrize(
    ("severity", "event", "priority"),
    [
        ("critical", Event.FIRE, Priority.HIGH),
        ("warning", Event.CHANGE, Priority.MEDIUM),
        ("info", Event.FIRE, Priority.LOW),
        ("critical", Event.RESOLVE, Priority.LOW),
        ("critical", Event.DEPLOY, Priority.LOW),
    ],
)
async def test_what_wakes_somebody_goes_before_what_can_wait(severity: str, event: Event, priority: Priority) -> None:
    assert priority_of(alert(severity=severity, event=event)) is priority


async def test_the_more_urgent_is_handed_out_first_whatever_came_first() -> None:
    waiting = queue()
    for priority in reversed(Priority):
        for _ in range(2):
            assert waiting.submit(job(priority=priority))
    assert [each.priority for each in await taken(waiting, 6)] == ["high", "high", "medium", "medium", "low", "low"]


async def test_the_least_urgent_does_not_starve_under_a_flood_of_the_most_urgent() -> None:
    waiting = queue()
    waiting.submit(job(priority=Priority.LOW))
    found = []
    for _ in range(FAIR_EVERY):
        waiting.submit(job(priority=Priority.HIGH))
        found.append((await waiting.take(anybody)).priority)
    assert found.count(Priority.LOW) == 1


async def test_targets_take_turns_within_a_priority() -> None:
    waiting = queue()
    for target in ("a", "a", "a", "b", "c"):
        waiting.submit(job(target))
    assert [each.target for each in await taken(waiting, 5)] == ["a", "b", "c", "a", "a"]


async def test_a_target_that_is_not_free_is_passed_over_until_it_is() -> None:
    waiting, busy = queue(), {"a"}
    waiting.submit(job("a", Priority.HIGH))
    waiting.submit(job("b", Priority.LOW))
    assert (await waiting.take(lambda target: target not in busy)).target == "b"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waiting.take(lambda target: target not in busy), 5)
    busy.clear()
    assert (await waiting.take(lambda target: target not in busy)).target == "a"


async def test_a_full_priority_refuses_and_the_others_still_take() -> None:
    waiting = queue({**ROOM, Priority.LOW: 2})
    assert [waiting.submit(job(priority=Priority.LOW)) for _ in range(3)] == [True, True, False]
    assert waiting.submit(job(priority=Priority.HIGH))
    assert (waiting.size(Priority.LOW), waiting.utilization(Priority.LOW)) == (2, 1.0)
    assert waiting.utilization(Priority.HIGH) == 0.1


async def test_a_job_put_back_comes_at_its_time_and_holds_nobody_up() -> None:
    waiting = queue()
    late, soon, now = job(), job(), job()
    waiting.put_back(late, 20)
    waiting.put_back(soon, 10)
    waiting.submit(now)
    assert waiting.size(Priority.MEDIUM) == 3
    found = []
    for _ in range(3):
        each = await waiting.take(anybody)
        found.append((each, asyncio.get_running_loop().time()))
    assert found == [(now, 0), (soon, 10), (late, 20)]
    assert waiting.size(Priority.MEDIUM) == 0


async def test_a_job_put_back_keeps_its_place_in_a_full_queue() -> None:
    waiting = queue({**ROOM, Priority.LOW: 1})
    waiting.submit(job(priority=Priority.LOW))
    waiting.put_back(job(priority=Priority.LOW), 1)
    assert not waiting.submit(job(priority=Priority.LOW))
    assert waiting.utilization(Priority.LOW) == 1.0
    assert len(await taken(waiting, 2)) == 2


async def test_several_workers_get_one_job_each() -> None:
    waiting = queue()
    workers = [asyncio.create_task(waiting.take(anybody)) for _ in range(3)]
    await asyncio.sleep(1)
    jobs = [job() for _ in range(3)]
    for each in jobs:
        waiting.submit(each)
    assert sorted(await asyncio.gather(*workers)) == jobs
