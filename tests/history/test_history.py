"""The history as the daemon and those who ask see it."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TypeVar

import pytest

from exporter.engine.feed import SnapshotFeed
from exporter.engine.threads import DaemonPool
from exporter.history.figures import Figures
from exporter.history.history import WAITING, History
from exporter.history.options import Options
from exporter.history.writer import Writer
from exporter.instruments.meter import Meter
from exporter.model.errors import Unavailable
from exporter.model.reason import Storage
from exporter.publishing.past import BadRange, Past, Selector
from tests.history.build import EPOCH, Running, counted, jobs, kept, snapshot, until

T = TypeVar("T")
JOBS = Selector("publishing_jobs_total")


@asynccontextmanager
async def history(path: Path) -> AsyncIterator[tuple[History, Meter]]:
    meter = Meter("platform_exporter_")
    found = History(path, Options(), Figures(meter), DaemonPool("reads", 2))
    found.start()
    yield found, meter
    assert await found.stop(10)


async def stored(meter: Meter, at: float) -> None:
    async with asyncio.timeout(10):
        while counted(meter, "history_last_stored_timestamp_seconds") != EPOCH + at:
            await asyncio.sleep(0.005)


async def test_what_the_feed_brings_is_kept_and_can_be_asked_for(tmp_path: Path) -> None:
    """From a published snapshot to an answer; the object is what statistics and trends know as the past."""
    feed = SnapshotFeed()
    async with history(tmp_path / "h.db") as (found, meter):
        past: Past = found
        following = asyncio.create_task(found.follow(feed.subscribe()))
        for number in range(1, 4):
            feed.publish(snapshot(number, 15 * number, jobs(10.0 * number)))
            await stored(meter, 15 * number)
        (track,) = await past.tracks(JOBS, EPOCH, EPOCH + 60)
        (increase,) = await past.increases(JOBS, EPOCH, EPOCH + 60)
        (together,) = await past.sums(JOBS, EPOCH, EPOCH + 60)
        assert (track.last[0], increase.amount, together.total[0]) == (30.0, 20.0, 20.0)
        assert [point.value for _, (*points,) in await found.readings(JOBS, EPOCH, EPOCH + 60) for point in points] == [
            10.0,
            20.0,
            30.0,
        ]
        assert [point.snapshot for _, point in await found.last(JOBS)] == [3]
        assert (await found.listing())[0] == 1
        following.cancel()
    assert counted(meter, "history_up") == 1.0
    assert counted(meter, "history_rows") == 3.0


async def test_the_last_snapshot_is_stored_at_a_stop(tmp_path: Path) -> None:
    """Also when it was made a moment ago, and only once when it was taken before."""
    async with history(tmp_path / "h.db") as (found, _):
        for number in range(1, 30):
            found.take(snapshot(number, 15 * number, jobs(1.0)))
        found.take(snapshot(29, 15 * 29, jobs(1.0)))
    assert kept(tmp_path / "h.db") == list(range(1, 30))


async def test_snapshots_the_feed_lost_are_counted(tmp_path: Path) -> None:
    """Their numbers tell."""
    async with history(tmp_path / "h.db") as (found, meter):
        found.take(snapshot(5, 0, jobs(1.0)))
        found.take(snapshot(9, 15, jobs(1.0)))
    assert counted(meter, "history_dropped_snapshots_total") == 3.0


async def test_a_stop_does_not_wait_for_a_disk_that_hangs(tmp_path: Path) -> None:
    """The thread is left to itself."""
    release, opened = threading.Event(), threading.Event()

    def hang(path: Path) -> object:
        opened.set()
        release.wait(20)
        raise OSError

    found = History(tmp_path / "h.db", Options(), Figures(Meter()), DaemonPool("reads", 1))
    found.writer = Writer(tmp_path / "h.db", Options(), Figures(Meter()), hang)  # type: ignore[arg-type]
    found.start()
    found.take(snapshot(1, 0, jobs(1.0)))
    assert await asyncio.to_thread(opened.wait, 10)
    assert await found.stop(0.01) is False
    release.set()


async def test_nothing_is_lost_to_a_machine_without_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon goes on; its history is down."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    meter = Meter("platform_exporter_")
    found = History(tmp_path / "h.db", Options(), Figures(meter), DaemonPool("reads", 1))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        found.start()
    found.take(snapshot(1, 0, jobs(1.0)))
    assert counted(meter, "history_up") == 0.0
    assert await found.stop(1.0)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: None, Storage.GONE),
        (lambda path: path.write_bytes(b"no database at all" * 100), Storage.CORRUPT),
        (lambda path: path.touch(), Storage.VERSION),
        (lambda path: path.mkdir(), Storage.IO),
    ],
    ids=["absent", "broken", "empty", "folder"],
)
async def test_what_cannot_be_read_has_a_reason(
    tmp_path: Path, spoil: Callable[[Path], object], reason: Storage
) -> None:
    """Whoever asks can tell a person."""
    path = tmp_path / "h.db"
    spoil(path)
    found = History(path, Options(), Figures(Meter()), DaemonPool("reads", 1))
    with pytest.raises(Unavailable) as caught:
        await found.tracks(JOBS, EPOCH, EPOCH + 60)
    assert caught.value.reason is reason


async def test_bad_questions_are_told_to_whoever_asks(tmp_path: Path) -> None:
    """Not taken for trouble of the storage."""
    async with history(tmp_path / "h.db") as (found, meter):
        found.take(snapshot(1, 0, jobs(1.0)))
        await stored(meter, 0)
        with pytest.raises(BadRange):
            await found.tracks(JOBS, EPOCH, EPOCH - 1)
    assert counted(meter, "history_up") == 1.0


async def test_a_reader_that_finds_the_file_broken_tells_the_writer(tmp_path: Path) -> None:
    """It has it in mind, and may not notice for hours."""
    path = tmp_path / "h.db"
    async with history(path) as (found, meter):
        for number in range(1, 60):
            found.take(snapshot(number, 15 * number, jobs({(f"t{each}", "x"): 1.0 for each in range(100)})))
        await stored(meter, 15 * 59)
        with closing(sqlite3.connect(path)) as database:
            database.execute("pragma wal_checkpoint(truncate)")
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        with pytest.raises(Unavailable):
            await found.tracks(JOBS, EPOCH, EPOCH + 600)
        async with asyncio.timeout(10):
            while not counted(meter, "history_errors_total", "corrupt"):
                await asyncio.sleep(0.005)
        found.take(snapshot(60, 900, jobs(7.0)))
        await stored(meter, 900)
        assert [point.value for _, point in await found.last(JOBS)] == [7.0]
    assert len(list(tmp_path.glob("h.db.broken-*"))) >= 1


async def test_too_many_questions_at_once_are_refused(tmp_path: Path) -> None:
    """Rather than answered too late."""
    gate = threading.Event()

    class Slow(DaemonPool):
        async def __call__(self, call: Callable[[], T]) -> T:
            return await super().__call__(lambda: (gate.wait(10), call())[1])

    path = tmp_path / "h.db"
    with Running(path) as running:
        running.store(0)
    found = History(path, Options(), Figures(Meter()), Slow("reads", 2))
    asked = [asyncio.create_task(found.last(JOBS)) for _ in range(WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as caught:
        await found.last(JOBS)
    assert caught.value.reason is Storage.BUSY
    gate.set()
    assert len(await asyncio.gather(*asked)) == WAITING


async def test_questions_are_refused_while_memory_is_short(tmp_path: Path) -> None:
    """They take some; what is collected goes first."""
    with Running(tmp_path / "h.db") as running:
        running.store(0)
    short = True
    found = History(tmp_path / "h.db", Options(), Figures(Meter()), DaemonPool("reads", 1), lambda: short)
    with pytest.raises(Unavailable, match="memory is short"):
        await found.last(JOBS)
    short = False
    assert len(await found.last(JOBS)) == 1


async def test_a_question_does_not_hold_up_a_write(tmp_path: Path) -> None:
    """Readers see the file as it was when they began."""
    path = tmp_path / "h.db"
    with Running(path) as running:
        running.store(0)
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as reader:
            reader.execute("begin")
            before = reader.execute("select count(*) from raw").fetchone()
            running.store(15)
            assert reader.execute("select count(*) from raw").fetchone() == before


def test_a_mistake_of_ours_costs_one_snapshot_and_is_told_without_its_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It would fail again each time it is tried."""
    with Running(tmp_path / "h.db") as running, caplog.at_level(logging.INFO):
        running.store(0)
        running.offer(15, None)  # type: ignore[arg-type]
        until(lambda: running.errors("io") == 1.0, "it is counted")
        running.store(30)
        assert running.counted("history_dropped_snapshots_total") == 1.0
    assert kept(tmp_path / "h.db") == [1, 3]
    (told,) = [record for record in caplog.records if record.getMessage() == "history is not stored"]
    assert getattr(told, "fields", None) == {"reason": Storage.IO, "detail": "TypeError"}


def test_what_is_kept_can_change_while_it_runs(tmp_path: Path) -> None:
    """From the next snapshot on."""
    with Running(tmp_path / "h.db") as running:
        running.store(0)
        running.writer.options = Options(series=("nothing",))
        running.store(15)
        assert running.ask(lambda reader: reader.last(JOBS)) == ()


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    """Labels name targets and receivers."""
    with Running(tmp_path / "h.db") as running:
        running.store(0)
        modes = {file.name: file.stat().st_mode & 0o077 for file in tmp_path.iterdir()}
    assert set(modes) == {"h.db", "h.db-wal", "h.db-shm", "h.db-lock"}
    assert set(modes.values()) == {0}
