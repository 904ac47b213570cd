"""What history says, asked of a real file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from exporter.engine.threads import DaemonPool
from exporter.model.errors import Unavailable
from exporter.model.metric import Family, Key, Kind, Samples, Value
from exporter.model.reason import Storage
from exporter.model.snapshot import Snapshot
from exporter.publishing.deliveries import Names, Tally
from exporter.publishing.outlook import NOTHING, PAUSE, STALE, Outlook
from exporter.publishing.past import BadRange, Increase, Selector, Sum, Track
from exporter.publishing.signals import LastPublish
from exporter.publishing.trends import Direction
from tests.fakes.clock import ManualClock
from tests.history.build import EPOCH, Keeper, snapshot

HOUR, STEP = 3600, 150
ORIGIN = ("upstream", "replica")
HERE = ("history", "a:1")
JOBS = Family("publishing_jobs_processed_total", "Jobs.", Kind.COUNTER, ("target", "state", *ORIGIN))
SECONDS = Family(
    "publishing_job_duration_seconds", "Time.", Kind.HISTOGRAM, ("target", "priority", *ORIGIN), "seconds", (0.5, 1.0)
)
DEPTH = Family("publishing_queue_size", "Depth.", Kind.GAUGE, ("priority", *ORIGIN))
REQUESTS = Family(
    "publishing_publisher_requests_total", "Requests.", Kind.COUNTER, ("publisher", "receiver", "status", *ORIGIN)
)
TIMES = Family(
    "publishing_publisher_duration_seconds", "Time.", Kind.HISTOGRAM, ("publisher", "receiver", *ORIGIN), "seconds",
    (1.0,),
)  # fmt: skip
ATTEMPTS = Family("publishing_publisher_attempts_total", "Attempts.", Kind.COUNTER, ("publisher", "receiver", *ORIGIN))


@dataclass
class File:
    """A history that answers from a keeper's file; `most` series and `longest` seconds are too much for one answer."""

    keeper: Keeper
    most: int = 1000
    longest: float = 1e9
    trouble: Exception | None = None
    asked: int = 0

    async def tracks(self, selector: Selector, start: float, end: float, step: int = 60) -> tuple[Track, ...]:
        raise AssertionError("single series are too many where there are many targets")

    async def sums(
        self, selector: Selector, start: float, end: float, step: int = 60, by: Sequence[str] = ()
    ) -> tuple[Sum, ...]:
        self._ask()
        if end - start > self.longest:
            raise TimeoutError
        return self.keeper.ask(lambda reader: reader.sums(selector, start, end, step, by))

    async def increases(self, selector: Selector, start: float, end: float) -> tuple[Increase, ...]:
        self._ask()
        found = self.keeper.ask(lambda reader: reader.increases(selector, start, end))
        if len(found) > self.most:
            raise BadRange("too many")
        return found

    def _ask(self) -> None:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    keeper = Keeper(tmp_path / "history.db")
    yield File(keeper)
    keeper.close()


class Service:
    """A service whose jobs are stored as it does them."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.at = 0
        self.done = {"succeeded": 0.0, "failed": 0.0}
        self.quick = self.slow = self.seconds = 0.0

    def work(self, seconds: int, succeeded: float = 10.0, failed: float = 0.0, took: float = 0.2) -> None:
        """So many jobs per step."""
        for _ in range(seconds // STEP):
            self.at += STEP
            self.done["succeeded"] += succeeded
            self.done["failed"] += failed
            self.quick, self.slow = self.quick + succeeded * (took < 0.5), self.slow + succeeded * (took >= 0.5)
            self.seconds += took * succeeded
            self.keep()

    def keep(self) -> None:
        jobs: dict[Key, Value] = {("ops", state, *HERE): number for state, number in self.done.items()}
        times = Samples(SECONDS, (("ops", "high", *HERE),), (self.quick, self.slow, 0.0, self.seconds))
        depth = Samples.of(DEPTH, {("high", *HERE): 5.0})
        self.file.keeper.keep(self.at, Samples.of(JOBS, jobs), times, depth)
        if self.at % HOUR == 0:
            self.file.keeper.fold()


def outlook(file: File, at: float) -> tuple[Outlook, ManualClock]:
    clock = ManualClock(epoch=EPOCH + at - 1000.0)
    return Outlook(file, clock, DaemonPool("judge", 1)), clock


async def test_an_outage_of_five_minutes_after_a_quiet_day_is_told(file: File) -> None:
    service = Service(file)
    service.work(25 * HOUR)
    service.work(300, succeeded=0.0, failed=10.0)
    service.work(300)
    seen, _ = outlook(file, service.at)
    await seen.look(Names())
    trends, hour = seen.view().trends, seen.view().hour
    assert trends.errors.spike is True
    assert trends.targets["ops"].spike is True
    assert trends.errors.success_trend is Direction.DECREASING
    assert (trends.latency.trend, trends.queue.trend) == (Direction.STABLE, Direction.STABLE)
    assert trends.latency.current == pytest.approx(0.2)
    assert trends.errors.baseline == 0.0
    assert hour.tally == Tally(220, 20)
    assert hour.targets == {"ops": Tally(220, 20)}
    assert hour.latency is not None
    assert hour.latency.number == 220
    last = seen.view().last["ops"]
    assert last.succeeded is True
    assert last.success == EPOCH + service.at


async def test_slower_and_slower_is_degrading(file: File) -> None:
    service = Service(file)
    service.work(5 * HOUR)
    service.work(HOUR, took=0.9)
    seen, _ = outlook(file, service.at)
    await seen.look(Names())
    assert seen.view().trends.latency.trend is Direction.DEGRADING
    assert seen.view().trends.errors.spike is False


async def test_until_an_hour_was_watched_nothing_is_said_of_it(file: File) -> None:
    service = Service(file)
    service.keep()
    service.work(HOUR // 2)
    seen, clock = outlook(file, service.at)
    await seen.look(Names())
    assert seen.view().hour.tally is None
    assert seen.view().trends.errors.spike is None
    assert seen.view().trends.errors.current == 0.0
    service.work(HOUR // 2)
    clock.advance(HOUR / 2)
    await seen.look(Names())
    assert seen.view().hour.tally == Tally(240, 0)


async def test_a_gap_is_no_hour_that_was_not_watched(file: File) -> None:
    service = Service(file)
    service.work(2 * HOUR)
    service.at += 1800
    service.work(300)
    seen, _ = outlook(file, service.at)
    await seen.look(Names())
    assert seen.view().hour.tally is not None


@pytest.mark.matrix
async def test_REP1_a_day_with_a_gap_says_how_much_of_it_was_watched_and_takes_the_gap_for_nothing(file: File) -> None:
    service = Service(file)
    service.work(12 * HOUR, succeeded=9.0, failed=1.0)
    service.at += 11 * HOUR
    service.work(2 * HOUR, succeeded=9.0, failed=1.0)
    seen, _ = outlook(file, service.at)
    await seen.look(Names())
    errors, queue = seen.view().trends.errors, seen.view().trends.queue
    assert errors.spike is False
    assert [errors.baseline, errors.current] == pytest.approx([0.1, 0.1])
    assert 12 * 12 < errors.baseline_samples < 13 * 12 + 3, "intervals of five minutes that were watched"
    assert errors.recent_samples == 12
    assert queue.baseline == pytest.approx(5.0)


async def test_requests_of_publishers_stand_in_for_jobs(file: File) -> None:
    for step in range(24 * 3):
        at, number = step * STEP, float(step)
        file.keeper.keep(
            at,
            Samples.of(
                REQUESTS,
                {("slack", "team", "success", *HERE): 3 * number, ("slack", "team", "error", *HERE): number},
            ),
            Samples(TIMES, (("slack", "team", *HERE),), (4 * number, 0.0, 2 * number)),
            Samples.of(ATTEMPTS, {("slack", "team", *HERE): 4 * number}),
        )
    seen, _ = outlook(file, at)
    await seen.look(Names({"history": {"team": "ops"}}))
    trends = seen.view().trends
    assert trends.targets["ops"].current == pytest.approx(0.25)
    assert trends.latency.current == pytest.approx(0.5)
    assert seen.view().hour.latency is not None
    assert seen.view().last["ops"] == LastPublish(success=EPOCH + at, failure=EPOCH + at, succeeded=None)


async def test_durations_that_are_too_many_cost_nothing_else(file: File) -> None:
    service = Service(file)
    service.work(3 * HOUR)
    file.most = 2
    seen, _ = outlook(file, service.at)
    await seen.look(Names())
    assert seen.view().hour.tally == Tally(240, 0)
    assert seen.view().hour.latency is None, "durations are too many: those of all the time stand in"


async def test_nothing_stored_is_too_little_data(file: File) -> None:
    seen, _ = outlook(file, 0)
    await seen.look(Names())
    assert seen.view().trends.errors.spike is None
    assert seen.view().last == {}


async def test_it_looks_again_after_a_pause_and_forgets_what_is_old(file: File) -> None:
    service = Service(file)
    service.work(HOUR)
    seen, clock = outlook(file, service.at)
    queue: asyncio.Queue[Snapshot] = asyncio.Queue()
    task = asyncio.get_running_loop().create_task(seen.follow(_fed(queue)))
    made = snapshot(1, service.at)
    queue.put_nowait(made)
    await queue.join()
    assert seen.view() is not NOTHING
    asked = file.asked
    queue.put_nowait(made)
    await queue.join()
    assert file.asked == asked, "too early"
    for trouble in (Unavailable(Storage.BUSY), TimeoutError(), BadRange("no"), ValueError("odd")):
        clock.advance(PAUSE)
        file.trouble = trouble
        queue.put_nowait(made)
        await queue.join()
        assert file.asked > asked
        assert seen.view() is not NOTHING
        asked = file.asked
    clock.advance(STALE)
    assert seen.view() == NOTHING
    assert not task.done()
    task.cancel()


async def _fed(queue: asyncio.Queue[Snapshot]) -> AsyncIterator[Snapshot]:
    while True:
        yield await queue.get()
        queue.task_done()


async def test_the_day_before_is_asked_for_once_an_interval(file: File) -> None:
    """It is by far the largest question, and its answer changes with the next interval only."""
    service = Service(file)
    service.work(5 * HOUR)
    seen, clock = outlook(file, service.at)
    asked = []
    for _ in range(3):
        before = file.asked
        await seen.look(Names())
        asked.append(file.asked - before)
        clock.advance(100.0)
    assert asked[0] > asked[1] == asked[2]
    assert seen.view().trends.errors.baseline_samples > 40
    before = file.asked
    await seen.look(Names())
    assert file.asked - before == asked[0], "the next interval has begun"


async def test_a_day_that_is_too_much_to_ask_for_leaves_the_hour(file: File) -> None:
    service = Service(file)
    service.work(5 * HOUR)
    file.longest = 2 * HOUR
    seen, _ = outlook(file, service.at)
    await seen.look(Names())
    assert seen.view().hour.tally == Tally(240, 0)
    errors = seen.view().trends.errors
    assert (errors.spike, errors.current, errors.recent_samples) == (None, 0.0, 12)
