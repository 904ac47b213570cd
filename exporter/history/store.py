"""The open database: taken over or begun, brought to this version, written one snapshot at a time."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from exporter.history.file import Claim, Watched, create, require_file, set_aside, size
from exporter.history.roster import Batch, Roster
from exporter.history.trouble import unavailable
from exporter.instruments.log import say
from exporter.model.errors import Unavailable
from exporter.model.reason import Storage

_log = logging.getLogger("exporter.history")

APPLICATION = 0x70786831  # tells this file from other people's databases
BUSY_FOR = 1.0
LARGE_LOG = 16 << 20
# Each brings a file from the version of its place in this list to the next: a name of a file in this package.
MIGRATIONS = ("schema.sql",)


def url(path: Path, **parameters: str) -> str:
    """The file as SQLite wants it named."""
    query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
    return f"file:{quote(str(path.absolute()))}?{query}"


def _script(name: str) -> str:
    return files("exporter.history").joinpath(name).read_text("utf-8")


class Store:
    """Only one thread uses it. Whatever goes wrong is raised as Unavailable, and the store must be closed then.

    What it has in memory may be of a transaction that was taken back.
    """

    def __init__(self, path: Path, scripts: Sequence[str] | None = None, **parameters: str) -> None:
        self.path = path
        self._scripts = [_script(name) for name in MIGRATIONS] if scripts is None else scripts
        self._parameters = parameters
        self._warned = False
        self._claim: Claim | None = None
        self._database: sqlite3.Connection | None = None
        with self._trouble():
            try:
                self._begin()
            except BaseException:
                self.close()
                raise

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise unavailable(error, self.path) from None

    @property
    def database(self) -> sqlite3.Connection:
        assert self._database is not None
        return self._database

    def _begin(self) -> None:
        if not self.path.parent.is_dir():
            raise Unavailable(Storage.GONE, "there is no such folder")
        self._claim = Claim(self.path)
        try:
            self._open()
        except (sqlite3.Error, Unavailable) as error:
            if unavailable(error, self.path).reason is not Storage.CORRUPT:
                raise
            self.abandon()
            self._open()
        self._watched = Watched(self.path)
        self.roster = Roster(self.database, self.left_out)

    def _open(self) -> None:
        require_file(self.path)
        create(self.path)
        self._database = sqlite3.connect(
            url(self.path, mode="rw", **self._parameters), uri=True, timeout=BUSY_FOR, isolation_level=None
        )
        execute = self._database.execute
        version = self._version()
        (mode,) = execute("pragma journal_mode = wal").fetchone()
        if mode != "wal":
            say(_log, logging.WARNING, "history without a write-ahead log: readers and the writer wait for each other")
        # What has been told to be on disk must be there after a power cut as well; it is one fsync per cycle.
        execute("pragma synchronous = full")
        execute("pragma temp_store = memory")
        self._migrate(version)
        # What of a log has reached the disk nobody knows after a write that failed; what comes behind it rests on it.
        execute("pragma wal_checkpoint(truncate)").fetchone()

    def _version(self) -> int:
        execute = self.database.execute
        (version,) = execute("pragma user_version").fetchone()
        (application,) = execute("pragma application_id").fetchone()
        (tables,) = execute("select count(*) from sqlite_master").fetchone()
        if application != APPLICATION and (tables or version):
            raise Unavailable(Storage.VERSION, "the database of another program")
        if version > len(self._scripts):
            message = f"written by a newer release: version {version}, this one knows {len(self._scripts)}"
            raise Unavailable(Storage.VERSION, message)
        return int(version)

    def _migrate(self, version: int) -> None:
        for number, script in enumerate(self._scripts[version:], version + 1):
            # One script, one transaction: whoever is killed in between finds the old version, whole.
            marks = f"pragma application_id = {APPLICATION}; pragma user_version = {number};"
            self.database.executescript(f"begin immediate; {script}; {marks} commit;")

    # -- writing

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and then on disk."""
        with self._trouble():
            database = self.database
            self._watched.check()
            database.execute("begin immediate")
            try:
                yield database
                database.execute("commit")
            except BaseException:
                with suppress(sqlite3.Error):
                    database.execute("rollback")
                raise
            self._watched.note()

    def write(self, batch: Batch, gap: int) -> None:
        """Stores a snapshot, once."""
        database = self.database
        newest = database.execute("select at, snapshot, seq from raw order by seq desc limit 1").fetchone()
        if newest is not None and newest[:2] == (batch.at, batch.snapshot):
            # A commit that failed can be seen all the same, though perhaps only in memory: it is made again.
            database.execute("delete from raw where seq = ?", newest[2:])
            count_rows(database, -1)
        database.execute("insert into raw values (null, ?, ?, ?, ?, ?)", (batch.at, gap, *batch[1:]))
        count_rows(database, 1)

    def rows(self) -> int:
        """How many rows there are, in all tiers."""
        with self._trouble():
            return int(self.database.execute("select value from meta where name = 'rows'").fetchone()[0])

    def bytes(self) -> int:
        with self._trouble():
            return size(self.path)

    def tidy(self) -> None:
        """Cuts a write-ahead log that has grown large because somebody read for long."""
        with self._trouble():
            log = self.path.with_name(self.path.name + "-wal")
            if log.exists() and log.stat().st_size > LARGE_LOG:
                self.database.execute("pragma busy_timeout = 0")
                self.database.execute("pragma wal_checkpoint(truncate)")
                self.database.execute(f"pragma busy_timeout = {BUSY_FOR * 1000:.0f}")

    def broken(self) -> bool:
        """Looks at all of it, for as long as that takes; past what this connection remembers."""
        try:
            with closing(sqlite3.connect(url(self.path, mode="ro"), uri=True)) as database:
                found = database.execute("pragma quick_check(1)").fetchone()
        except sqlite3.Error as error:
            return unavailable(error, self.path).reason is Storage.CORRUPT
        return bool(found != ("ok",))

    def left_out(self, metrics: int) -> None:
        if not self._warned:
            self._warned = True
            say(_log, logging.WARNING, "history keeps no more series", left_out=metrics)

    # -- the end

    def abandon(self) -> None:
        """Puts a broken file aside and says so; the claim stays."""
        self._disconnect()
        with self._trouble():
            aside = set_aside(self.path)
        say(_log, logging.ERROR, "history is broken: set aside, a new one begins", file=aside.name)

    def leave(self) -> None:
        """Closes after the file was removed or replaced."""
        self._disconnect()
        with self._trouble():
            self._watched.leave()

    def _disconnect(self) -> None:
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def close(self) -> None:
        self._disconnect()
        if self._claim is not None:
            self._claim.release()
            self._claim = None


def count_rows(database: sqlite3.Connection, change: int) -> None:
    """Keeps the number of rows: counting them would read the whole file."""
    database.execute("update meta set value = value + ? where name = 'rows'", (change,))
