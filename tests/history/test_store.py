"""The open database, and the words for what can go wrong with it."""

from __future__ import annotations

import errno
import fcntl
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exporter.history import trouble
from exporter.history.file import Claim, set_aside, sibling
from exporter.history.roster import Batch
from exporter.history.store import Store
from exporter.history.trouble import unavailable
from exporter.model.errors import Unavailable
from exporter.model.reason import Storage
from tests.history.build import Keeper, Running, depth, kept, until


def failure(code: int) -> sqlite3.Error:
    """An error as SQLite raises it."""
    error = sqlite3.OperationalError("the words of a library")
    error.sqlite_errorcode, error.sqlite_errorname = code, "SQLITE_SOMETHING"
    return error


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (sqlite3.SQLITE_FULL, "full"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "busy"),
        (sqlite3.SQLITE_LOCKED, "busy"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "readonly"),
        (sqlite3.SQLITE_CORRUPT_VTAB, "corrupt"),
        (sqlite3.SQLITE_NOTADB, "corrupt"),
        (sqlite3.SQLITE_IOERR_FSYNC, "io"),
        (sqlite3.SQLITE_CANTOPEN, "gone"),
        (sqlite3.SQLITE_ERROR, "io"),
    ],
)
def test_every_error_of_sqlite_has_a_reason(tmp_path: Path, code: int, reason: str) -> None:
    """From the closed list, with words of our own."""
    found = unavailable(failure(code), tmp_path / "h.db")
    assert found.reason == reason
    assert "words" not in found.detail


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "full"),
        (errno.EDQUOT, "full"),
        (errno.EROFS, "readonly"),
        (errno.EACCES, "readonly"),
        (errno.ENOENT, "gone"),
        (errno.EIO, "io"),
    ],
)
def test_every_error_of_the_system_has_a_reason(tmp_path: Path, number: int, reason: str) -> None:
    """And no path in its words."""
    found = unavailable(OSError(number, "Said by the system", str(tmp_path)), tmp_path / "h.db")
    assert (found.reason, found.detail) == (reason, "said by the system")


def test_an_error_without_a_number_has_its_class_as_words(tmp_path: Path) -> None:
    """The driver's own complaints."""
    assert unavailable(sqlite3.ProgrammingError("closed"), tmp_path).detail == "ProgrammingError"


def test_a_write_that_fails_for_want_of_room_is_called_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite calls it an error of input and output."""
    error = failure(sqlite3.SQLITE_IOERR_WRITE)
    monkeypatch.setattr(trouble, "_ROOM", 1 << 62)
    assert unavailable(error, tmp_path / "h.db").reason is Storage.FULL
    assert unavailable(error, tmp_path / "gone" / "h.db").reason is Storage.IO


def test_a_file_that_cannot_be_opened_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absent, in a folder nobody may write to, or something else."""
    path = tmp_path / "h.db"
    error = failure(sqlite3.SQLITE_CANTOPEN)
    path.touch()
    assert unavailable(error, path).reason is Storage.IO
    monkeypatch.setattr("os.access", lambda *_: False)
    assert unavailable(error, path).reason is Storage.READONLY


def test_a_snapshot_is_stored_once_and_not_believed_to_be(keeper: Keeper) -> None:
    """A commit that failed may be seen all the same, and be in memory alone: it is written anew."""
    log = sibling(keeper.path, "-wal")
    keeper.keep(0, depth(1.0))
    size = log.stat().st_size
    keeper.number -= 1
    keeper.keep(0, depth(1.0))
    assert log.stat().st_size > size
    assert kept(keeper.path) == [1]
    assert keeper.store.rows() == 1


def test_a_log_that_was_left_is_in_the_file_before_anything_is_stored(keeper: Keeper, tmp_path: Path) -> None:
    """What comes behind it in the log would be lost with it."""
    keeper.keep(0, depth(1.0))
    path = tmp_path / "left.db"
    for suffix in ("", "-wal"):
        shutil.copy(sibling(keeper.path, suffix), sibling(path, suffix))
    store = Store(path)
    assert sibling(path, "-wal").stat().st_size == 0
    assert kept(path) == [1]
    store.close()


def test_a_failed_transaction_leaves_nothing(keeper: Keeper) -> None:
    """All or nothing."""

    def fail() -> None:
        with keeper.store.transaction():
            keeper.store.write(Batch(5, 9, 1, b"12345678"), 300)
            keeper.store.database.execute("insert into nowhere values (1)")

    with pytest.raises(Unavailable):
        fail()
    assert kept(keeper.path) == []
    keeper.keep(0, depth(1.0))


def test_what_is_told_to_be_on_disk_is_there_after_a_power_cut(keeper: Keeper) -> None:
    """Each commit waits for the disk, and there is a log to recover from."""
    assert keeper.store.database.execute("pragma synchronous").fetchone() == (2,)
    assert keeper.store.database.execute("pragma journal_mode").fetchone() == ("wal",)


def test_a_whole_file_is_not_called_broken(keeper: Keeper) -> None:
    """Whoever cries wolf must not cost the history."""
    keeper.keep(0, depth(1.0))
    assert not keeper.store.broken()
    with Running(keeper.path.with_name("other.db")) as running:
        running.store(0)
        running.writer.suspect()
        running.store(15)
    assert kept(keeper.path.with_name("other.db")) == [1, 2]


def test_a_file_system_without_such_locks_is_used_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is up to the operator that there is one daemon."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    Claim(tmp_path / "h.db").release()
    Store(tmp_path / "h.db").close()


def test_broken_files_never_take_each_others_place(tmp_path: Path) -> None:
    """However many break within a second."""
    path = tmp_path / "h.db"
    names = set()
    for number in range(3):
        path.write_text(str(number))
        names.add(set_aside(path))
    assert sorted(name.read_text() for name in names) == ["0", "1", "2"]
    assert not path.exists()


def test_a_broken_file_that_cannot_be_set_aside_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, tried again, and never written into."""
    path = tmp_path / "h.db"

    def refuse(*names: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with Running(path) as running:
        running.store(0)
        with closing(sqlite3.connect(path)) as database:
            database.execute("pragma wal_checkpoint(truncate)")
        with path.open("r+b") as file:
            file.write(b"\xff" * 4096)
        content = path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr("os.rename", refuse)
            running.writer.suspect()
            until(lambda: "cannot be set aside" in caplog.text, "it cannot be set aside")
            running.offer(15)
            until(lambda: bool(running.errors("readonly")), "a new one cannot begin")
            assert path.read_bytes()[:4096] == content[:4096]
        running.store(30)
    assert kept(path) == [2, 3]
    assert sibling(path, "-lock").exists()
