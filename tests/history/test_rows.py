"""The rows of the fault matrix about storage, each under the fault itself."""

from __future__ import annotations

import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from exporter.history.file import sibling
from exporter.history.history import read
from exporter.history.query import TooLate
from exporter.history.retention import STEP, sweep
from exporter.history.store import LARGE_LOG, Store, url
from exporter.history.writer import QUEUE
from exporter.model.errors import Unavailable
from exporter.model.reason import Storage
from exporter.publishing.past import HOUR, BadRange, Selector
from tests.history.build import EPOCH, Keeper, Running, depth, integrity, jobs, kept, read_now, until
from tests.history.victim import EVERY, newest
from tests.programs import tracer

pytestmark = pytest.mark.matrix

JOBS = Selector("publishing_jobs_total")
DAY = 24 * HOUR
CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def trouble(path: Path) -> Storage:
    """Why the history cannot be read."""
    with pytest.raises(Unavailable) as caught:
        read_now(path, newest)
    return caught.value.reason


def aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.broken-*"))


def increase(path: Path, end: float = 2 * DAY) -> float:
    (found,) = read_now(path, lambda reader: reader.increases(JOBS, EPOCH, EPOCH + end))
    return found.amount


def test_DB1_a_full_disk_loses_nothing_within_the_buffer(small: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, the snapshots wait, and are stored when there is room again."""
    path, filler = small / "history.db", small / "filler"
    with Running(path) as running, caplog.at_level(logging.INFO):
        running.store(0)
        filler.write_bytes(bytes(os.statvfs(small).f_bavail * os.statvfs(small).f_frsize))
        for number in range(1, 40):
            running.offer(15 * number, jobs({(f"t{each}", "x"): 1.0 for each in range(500)}))
        until(lambda: bool(running.errors("full")), "the disk is full")
        assert running.counted("history_up") == 0.0
        filler.unlink()
        running.store(600)
        assert running.counted("history_up") == 1.0
    assert kept(path) == list(range(1, 42))
    assert integrity(path) == "ok"
    assert running.counted("history_dropped_snapshots_total") == 0.0
    told = [record.getMessage() for record in caplog.records if "stored" in record.getMessage()]
    assert told == ["history is not stored", "history is stored again"]


def test_DB1_a_database_at_its_limit_recovers(path: Path) -> None:
    """The same where no file system can be made small: SQLite itself refuses to grow."""
    limited = True

    def opener(path: Path) -> Store:
        store = Store(path)
        if limited:
            store.database.execute("pragma max_page_count = 20")
        return store

    with Running(path, opener=opener) as running:
        for number in range(QUEUE + 10):
            running.offer(15 * number, jobs({(f"t{each}", "x"): 1.0 for each in range(200)}))
        until(lambda: bool(running.errors("full")), "the database is full")
        limited = False
        running.store(15 * QUEUE + 600)
    numbers = kept(path)
    assert numbers[1 - QUEUE :] == list(range(13, QUEUE + 12))
    assert len(numbers) + (running.counted("history_dropped_snapshots_total") or 0) == QUEUE + 11
    assert integrity(path) == "ok"


def test_DB2_a_read_only_file_system_means_no_history(small: Path) -> None:
    """At the start: it is said, and whoever reads is told why."""
    path = small / "history.db"
    with Running(path) as running:
        running.store(0)
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    with Running(path) as running:
        running.offer(15)
        until(lambda: running.errors("readonly") == 1.0, "it is read-only")
        assert running.counted("history_up") == 0.0
    assert trouble(path) in (Storage.READONLY, Storage.IO)


def test_DB2_a_file_that_becomes_read_only_is_told(path: Path) -> None:
    """Later: nothing is lost within the buffer either."""
    frozen = True

    def opener(path: Path) -> Store:
        store = Store(path)
        if frozen:
            store.database.execute("pragma query_only = on")
        return store

    with Running(path, opener=opener) as running:
        running.offer(0)
        until(lambda: bool(running.errors("readonly")), "it is read-only")
        frozen = False
        running.store(15)
    assert kept(path) == [1, 2]


@pytest.mark.parametrize("damage", ["header", "cut", "folder", "words"])
def test_DB3_a_broken_file_is_set_aside_at_the_start(path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its bytes are still there under another name, and a new one is in use."""
    with Running(path) as running:
        for number in range(200):
            running.store(15 * number, jobs({(f"t{each}", "x"): 1.0 for each in range(50)}))
    content = path.read_bytes()
    if damage == "header":
        path.write_bytes(bytes(100) + content[100:])
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 3])
    elif damage == "words":
        path.write_text("this was never a database\n" * 100)
    else:
        path.unlink()
        path.mkdir()
    broken = None if damage == "folder" else path.read_bytes()
    with Running(path) as running:
        running.store(9000)
        assert running.counted("history_up") == 1.0
    assert kept(path) == [1]
    (kept_aside,) = [file for file in aside(path) if not file.name.endswith(("-wal", "-shm"))]
    assert kept_aside.is_dir() if broken is None else kept_aside.read_bytes() == broken
    assert [record.levelname for record in caplog.records if "set aside" in record.getMessage()] == ["ERROR"]


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_DB3_what_was_never_a_file_is_left_alone(path: Path, kind: str) -> None:
    """A path that names somebody's folder must not rename it."""
    if kind == "folder":
        path.mkdir()
        (path / "theirs").touch()
    else:
        os.mkfifo(path)
    with Running(path) as running:
        running.offer(0)
        until(lambda: bool(running.errors("io")), "it is no file")
    assert aside(path) == []
    assert path.is_dir() if kind == "folder" else path.is_fifo()


def test_DB3_an_empty_file_is_begun(path: Path) -> None:
    """Nothing was in it."""
    path.touch()
    with Running(path) as running:
        running.store(0)
    assert kept(path) == [1]


def test_DB3_a_file_that_breaks_in_mid_life_is_set_aside_without_a_restart(path: Path) -> None:
    """The writer finds it, or a reader tells it."""
    with Running(path) as running:
        for number in range(100):
            running.store(15 * number, jobs({(f"t{each}", "x"): 1.0 for each in range(50)}))
        with closing(sqlite3.connect(path)) as database:
            database.execute("pragma wal_checkpoint(truncate)")
        size = path.stat().st_size
        with path.open("r+b") as file:  # in place: the same file, with other bytes in it
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        with pytest.raises(Unavailable):
            running.ask(newest)
        running.writer.suspect()
        until(lambda: bool(aside(path)), "the broken file is set aside")
        running.store(6015)
        assert running.errors("corrupt") == 1.0
    assert integrity(path) == "ok"
    assert kept(path) == [101]


def test_DB3_a_file_that_is_cut_in_mid_life_is_noticed(path: Path) -> None:
    """Although SQLite would go on in what it remembers."""
    with Running(path) as running:
        running.store(0)
        with closing(sqlite3.connect(path)) as database:
            database.execute("pragma wal_checkpoint")
        running.store(15)
        os.truncate(path, 4096)
        running.store(30)
        assert running.errors("corrupt") == 1.0
    assert aside(path)
    assert kept(path) == [3]


def test_DB4_another_writer_delays_and_loses_nothing(path: Path) -> None:
    """For longer than the writer waits at once: what comes meanwhile is stored afterwards."""
    with Running(path) as running:
        running.store(0)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("begin immediate")
            for number in range(1, QUEUE - 1):
                running.offer(15 * number)
            until(lambda: bool(running.errors("busy")), "the file is busy")
            other.execute("rollback")
        running.store(15 * QUEUE)
    assert kept(path) == list(range(1, QUEUE + 1))
    assert running.counted("history_dropped_snapshots_total") == 0.0


def test_DB4_what_cannot_wait_any_more_is_dropped_and_counted(path: Path) -> None:
    """The newest are kept: the queue is bounded."""
    with Running(path) as running:
        running.store(0)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("begin immediate")
            running.offer(15)
            until(lambda: bool(running.errors("busy")), "the file is busy")
            for number in range(2, QUEUE + 12):
                running.offer(15 * number)
            other.execute("rollback")
        running.store(15 * QUEUE + 600)
    dropped = running.counted("history_dropped_snapshots_total")
    assert dropped is not None
    assert 10 <= dropped <= 12
    assert len(kept(path)) == running.number - dropped


def killed(path: Path, loops: int) -> None:
    """Kills a process that stores, again and again, at a moment nobody chose."""
    chance = random.Random(5)
    last = 0
    for _ in range(loops):
        victim = subprocess.Popen(
            [sys.executable, "-m", "tests.history.victim", path, "100000"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
        )
        assert victim.stdout is not None
        told = int(victim.stdout.readline())
        assert told > last
        time.sleep(chance.uniform(0, 0.1))
        victim.send_signal(signal.SIGKILL)
        told = max([told, *(int(line) for line in victim.stdout if line.endswith("\n"))])
        victim.stdout.close()
        victim.wait()
        began = time.monotonic()
        Store(path).close()
        assert time.monotonic() - began < 2.0
        assert integrity(path) == "ok"
        last = read_now(path, newest)
        # Whatever it was told to be stored is stored; one more may be, whose news did not come through.
        assert told <= last <= told + 1
        end = EPOCH + (last + 1) * EVERY
        (track,) = read_now(path, lambda reader, end=end: reader.tracks(JOBS, EPOCH, end, HOUR))  # type: ignore[misc]
        assert sum(track.count) == last
        (found,) = read_now(path, lambda reader, end=end: reader.increases(JOBS, EPOCH, end))  # type: ignore[misc]
        assert found.amount == last - 1


def test_DB5_nothing_that_was_told_to_be_stored_is_lost_by_a_kill(path: Path) -> None:
    """Twenty times: every cycle is there once, in one tier or another, and the file is whole."""
    killed(path, 20)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_DB5_nothing_is_lost_by_two_hundred_kills(path: Path) -> None:
    """The same for as long as it takes."""
    killed(path, 200)


@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_DB6_a_disk_that_fails_once_is_no_success(path: Path, call: str) -> None:
    """The snapshot is not told to be stored before it is, and it is stored once."""
    strace = tracer()
    inject = f"inject={call}:error=EIO:when=12"
    command = [strace, "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
    command += [sys.executable, "-m", "tests.history.victim", str(path), "12"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=CHECKOUT)
    assert done.returncode == 0, done.stderr
    told = [int(line) for line in done.stdout.splitlines() if line.isdigit()]
    assert told == list(range(1, 13))
    assert "trouble io" in done.stdout
    assert integrity(path) == "ok"
    assert increase(path) == 11.0


def test_DB7_a_file_that_vanishes_is_noticed_with_the_next_snapshot(path: Path) -> None:
    """It would otherwise be written on, without a name, and gone with the process."""
    with Running(path) as running:
        running.store(0)
        for file in (path, sibling(path, "-wal"), sibling(path, "-shm")):
            file.unlink()
        running.store(15)
        assert running.errors("gone") == 1.0
        assert kept(path) == [2]
        sibling(path, "-wal").unlink()
        running.store(30)
        assert running.errors("gone") == 2.0
    assert kept(path)[-1] == 3
    assert integrity(path) == "ok"


def test_DB7_a_file_that_is_replaced_is_written_from_then_on(path: Path, tmp_path: Path) -> None:
    """What is in the new one stays."""
    other = tmp_path / "other.db"
    with Running(other) as running:
        running.store(0)
    with Running(path) as running:
        running.number = 10
        running.store(0)
        other.replace(path)
        running.store(15)
        assert running.errors("gone") == 1.0
    assert kept(path) == [1, 12]


def test_DB7_a_folder_that_vanishes_is_told(path: Path, tmp_path: Path) -> None:
    """And when it is back, so is the history."""
    folder = tmp_path / "folder"
    with Running(folder / "history.db") as running:
        running.offer(0)
        until(lambda: bool(running.errors("gone")), "the folder is gone")
        folder.mkdir()
        running.store(15)
    assert kept(folder / "history.db") == [1, 2]


def test_DB8_a_clock_that_jumps_far_ahead_and_back_costs_nothing(path: Path) -> None:
    """Nothing is purged on its word, no number is negative, and what is asked is answered."""
    with Running(path) as running:
        for number in range(600):
            running.offer(60 * number, monotonic=60.0 * number)
            if number % 50 == 0:
                until(lambda: not running.writer.waiting, "the writer keeps up")
        ahead = 36_000 + 500 * DAY
        for number in range(600, 605):
            running.offer(ahead + 60 * number, monotonic=60.0 * number)
        running.store(36_300, monotonic=36_300.0)
        for number in range(606, 660):
            running.offer(60 * number, monotonic=60.0 * number)
        running.store(60 * 661.0, monotonic=60 * 661.0)
    assert increase(path) == running.number - 1 - 5
    (track,) = read_now(path, lambda reader: reader.tracks(JOBS, EPOCH, EPOCH + 36_000))
    assert sum(track.count) == 600
    assert min(min(track.total), min(track.jump)) == 0.0


def test_DB9_a_clock_that_is_set_back_a_day_loses_nothing(path: Path) -> None:
    """The same minutes are lived through twice; both times count."""
    with Running(path) as running:
        for round_, number in [(0, each) for each in range(120)] + [(1, each) for each in range(120)]:
            running.offer(60 * number + DAY - DAY * round_, monotonic=60.0 * (number + 120 * round_))
            until(lambda: not running.writer.waiting, "the writer keeps up")
        for number in range(120):
            running.offer(60 * number + DAY, monotonic=60.0 * (number + 240))
            until(lambda: not running.writer.waiting, "the writer keeps up")
        running.store(60 * 120 + DAY, monotonic=60.0 * 360)
    assert increase(path) == running.number - 1
    (track,) = read_now(path, lambda reader: reader.tracks(JOBS, EPOCH, EPOCH + 2 * DAY, HOUR))
    assert [track.count[hour] for hour in (0, 1, 24, 25, 26)] == [60, 60, 120, 120, 1]
    assert min(min(track.total), min(track.jump)) == 0.0


def test_DB10_a_newer_file_is_left_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It says which version it is, and not a byte is changed."""
    with Running(path) as running:
        running.store(0)
    with closing(sqlite3.connect(path)) as database:
        database.execute("pragma user_version = 7")
        database.execute("pragma wal_checkpoint(truncate)")
    content = path.read_bytes()
    with Running(path) as running:
        running.offer(15)
        until(lambda: running.errors("version") == 1.0, "the version is newer")
    assert path.read_bytes() == content
    assert any("version 7" in str(getattr(record, "fields", "")) for record in caplog.records)
    assert trouble(path) is Storage.VERSION


def test_DB10_the_database_of_another_program_is_left_alone(path: Path) -> None:
    """A wrong path must not cost somebody his data."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("create table theirs (a)")
        database.commit()
    content = path.read_bytes()
    with Running(path) as running:
        running.offer(15)
        until(lambda: running.errors("version") == 1.0, "it is not ours")
    assert path.read_bytes() == content


def test_DB10_an_older_file_is_brought_up_in_one_transaction(path: Path) -> None:
    """Or it stays as it was, whole, if that fails or is cut short."""
    first = "create table a (x); insert into a values (1)"
    Store(path, [first]).close()
    with pytest.raises(Unavailable):
        Store(path, [first, "create table b (x); insert into nowhere values (1)"])
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("pragma user_version").fetchone() == (1,)
        assert database.execute("select name from sqlite_master where name = 'b'").fetchone() is None
    Store(path, [first, "create table b (x); insert into b select x + 1 from a"]).close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("pragma user_version").fetchone() == (2,)
        assert database.execute("select x from b").fetchone() == (2,)


def test_DB11_a_reader_that_stays_does_not_let_the_log_grow_for_ever(path: Path) -> None:
    """It keeps the log from being cut; once it has gone, that is done."""
    log = sibling(path, "-wal")
    keeper = Keeper(path)
    keeper.keep(0, depth(0.0))
    with closing(sqlite3.connect(url(path, mode="ro"), uri=True, isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select * from meta").fetchall()
        number = 0
        while log.stat().st_size <= LARGE_LOG:
            number += 1
            with keeper.store.transaction() as database:
                database.execute("insert into minute values (?, zeroblob(1000000))", (number,))
        keeper.store.tidy()
        assert log.stat().st_size > LARGE_LOG
    keeper.store.tidy()
    assert log.stat().st_size == 0
    keeper.keep(15, depth(0.0))
    assert keeper.store.bytes() > number * 1_000_000
    keeper.close()


def test_DB11_a_question_ends_at_its_deadline(path: Path) -> None:
    """Within SQLite and outside of it."""
    keeper = Keeper(path)
    keeper.keep(0, jobs({(f"t{number}", "x"): 1.0 for number in range(5000)}))
    with pytest.raises(TooLate):
        read(path, lambda reader: reader.listing(), time.monotonic() - 1)
    for second in range(600, 10 * HOUR, 600):
        keeper.keep(second, jobs(1.0))
    keeper.fold()
    with pytest.raises(TooLate):
        read(path, lambda reader: reader.tracks(JOBS, EPOCH, EPOCH + DAY), time.monotonic() - 1)
    keeper.close()


def test_DB12_a_second_daemon_waits_for_the_first(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It says why; when the first has gone it takes over, with what it has kept meanwhile."""
    with Running(path) as first:
        first.store(0)
        second = Running(path).__enter__()
        second.number = 10
        second.offer(15)
        until(lambda: bool(second.errors("busy")), "the file is taken")
        first.store(30)
    second.store(45)
    second.__exit__()
    assert kept(path) == [1, 2, 11, 12]
    assert any("another daemon" in str(getattr(record, "fields", "")) for record in caplog.records)


def test_DB13_ten_years_are_answered_or_refused_in_no_time(keeper: Keeper) -> None:
    """By the hour they are few numbers, by the minute too many."""
    for second in range(0, 5 * HOUR, 900):
        keeper.keep(second, jobs(float(second)))
    keeper.fold()
    year = 365 * DAY
    (track,) = keeper.ask(lambda reader: reader.tracks(JOBS, EPOCH - 5 * year, EPOCH + 5 * year, HOUR))
    assert sum(track.count) == 20
    assert len(track) == 10 * 365 * 24
    with pytest.raises(BadRange):
        keeper.ask(lambda reader: reader.tracks(JOBS, EPOCH - 5 * year, EPOCH + 5 * year))
    with pytest.raises(BadRange):
        keeper.ask(lambda reader: reader.listing(limit=-1))


def test_DB14_retention_goes_in_steps_between_which_snapshots_are_stored(keeper: Keeper) -> None:
    """Whatever there is to delete: a write never waits for more than one step."""
    keeper.keep(0, depth(1.0))
    with keeper.store.transaction() as database:
        rows = ((number, b"x" * 200) for number in range(20_000))
        database.executemany("insert into minute values (?, ?)", rows)
        database.execute("update meta set value = value + 20000 where name = 'rows'")
    steps = []
    for gone in sweep(keeper.store.transaction, EPOCH * 1000, HOUR * 1000, DAY * 1000):
        steps.append(gone)
        keeper.keep(15 * len(steps), depth(1.0))
    assert sum(steps) == 20_000
    assert max(steps) == STEP
    (rows_left,) = keeper.store.database.execute("select count(*) from raw").fetchone()
    assert keeper.store.rows() == rows_left == 1 + len(steps)


def test_DB15_a_file_system_without_shared_memory_falls_back(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without a write-ahead log it is slower, and that is said."""
    store = Store(path, vfs="unix-dotfile")
    with store.transaction() as database:
        database.execute("update meta set value = 5 where name = 'rows'")
    assert store.rows() == 5
    assert store.database.execute("pragma journal_mode").fetchone() == ("delete",)
    store.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert not sibling(path, "-wal").exists()
