"""The one thread that writes: takes snapshots from a bounded queue, stores each in a transaction, tidies in between."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from exporter.history.figures import Figures
from exporter.history.fold import HOUR, Fold, due
from exporter.history.options import Options
from exporter.history.retention import Trust, milliseconds, sweep, sweep_raw
from exporter.history.store import Store
from exporter.history.trouble import unavailable
from exporter.instruments.log import say
from exporter.model.errors import Unavailable
from exporter.model.reason import Storage
from exporter.model.snapshot import Snapshot

_log = logging.getLogger("exporter.history")

QUEUE = 64  # snapshots: a quarter of an hour of a locked or full disk, at the usual interval
RETRY = 5.0
# How somebody has set things up, not something that broke.
_CHOSEN = frozenset({Storage.BUSY, Storage.READONLY, Storage.VERSION})


class Writer:
    """Starts its thread when told to. Nothing here is waited for by anybody but who stops it."""

    def __init__(self, path: Path, options: Options, figures: Figures, opener: Callable[[Path], Store] = Store) -> None:
        self.options = options
        self._path = path
        self._figures = figures
        self._opener = opener
        self._queue: deque[Snapshot] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._nudged = False
        self._suspect = False
        self._store: Store | None = None
        self._reason: Storage | None = None
        self._trust: Trust | None = None
        self._hour: int | None = None
        self._work: Iterator[object] | None = None
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._ended: Callable[[], object] = lambda: None

    # -- from other threads

    def start(self) -> None:
        self._figures.begin()
        try:
            self._thread.start()
        except RuntimeError:  # the machine has no thread left
            self._down(Unavailable(Storage.IO, "no thread left"))

    def offer(self, snapshot: Snapshot) -> None:
        """Takes a snapshot. If the disk has been in trouble for long, the oldest that waits is lost and counted."""
        with self._changed:
            if len(self._queue) == QUEUE:
                del self._queue[1]  # the first is perhaps being stored at this moment
                self._figures.dropped()
            self._queue.append(snapshot)
            self._nudged = True
            self._changed.notify()

    @property
    def waiting(self) -> int:
        """How many snapshots are not on disk yet."""
        return len(self._queue)

    def suspect(self) -> None:
        """A reader found the file broken."""
        with self._changed:
            self._suspect = True
            self._changed.notify()

    def stop(self, ended: Callable[[], object]) -> None:
        """Stores what waits, if that can be done at once, and ends; `ended` is called from the thread."""
        with self._changed:
            self._ended = ended
            self._stopping = True
            self._changed.notify()
        if not self._thread.is_alive():
            ended()

    # -- on its own thread

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        finally:
            self._close()
            self._ended()

    def _turn(self) -> bool:
        """One snapshot, or a slice of other work, or a wait; False at the end."""
        with self._changed:
            busy = self._nudged or self._suspect or self._stopping or self._work is not None
            if not busy and (self._reason is not None or not self._queue):
                self._changed.wait(None if self._reason is None else RETRY)
            self._nudged = False
            stopping, suspect, self._suspect = self._stopping, self._suspect, False
            waiting = bool(self._queue)
        if suspect and not stopping:
            self._inspect()
        elif waiting:
            while self._queue and self._next():
                if not stopping:
                    break
        elif self._work is not None and not stopping:
            self._guarded(self._tidy)
        return not stopping

    def _next(self) -> bool:
        """Stores the oldest that waits; in trouble it goes on waiting."""
        snapshot = self._queue[0]
        done = self._guarded(lambda: self._keep(snapshot))
        if done is None and self._reason in (Storage.GONE, Storage.CORRUPT):
            done = self._guarded(lambda: self._keep(snapshot))  # into a new file
        if done is not None:
            with self._changed:
                # Meanwhile it may have been dropped to make room.
                if self._queue and self._queue[0] is snapshot:
                    self._queue.popleft()
        return bool(done)

    def _guarded(self, work: Callable[[], object]) -> bool | None:
        """Whether it worked; None if it may work later."""
        try:
            work()
        except (Unavailable, sqlite3.Error, OSError) as error:
            self._down(unavailable(error, self._path))
            return None
        except Exception as error:
            # A mistake of ours, or no memory: the next snapshot may fare better, this one would not.
            self._down(Unavailable(Storage.IO, type(error).__name__))
            self._figures.dropped()
            return False
        return True

    def _opened(self) -> Store:
        if self._store is None:
            store = self._opener(self._path)
            self._store = store
            self._hour = None
            if self._trust is None:
                newest = store.database.execute("select at from raw order by seq desc limit 1").fetchone()
                self._trust = Trust(newest[0] / 1000 if newest else None)
        return self._store

    def _keep(self, snapshot: Snapshot) -> None:
        began = time.perf_counter()
        store, at = self._opened(), milliseconds(snapshot.wall)
        store.roster.keep(self.options.series)
        with store.transaction():
            store.write(store.roster.batch(at, snapshot.id, snapshot.samples), milliseconds(self.options.gap))
        self._figures.stored(snapshot.wall, time.perf_counter() - began, store.rows(), store.bytes())
        self._recovered()
        if self._trust is not None:
            self._trust.note(snapshot.wall, snapshot.monotonic)
        if at // HOUR != self._hour:
            self._hour = at // HOUR
            if self._work is None:
                self._work = self._chores(store, at)

    def _chores(self, store: Store, now: int) -> Iterator[object]:
        """What is to be done once an hour, in pieces."""
        while (until := due(store.database)) is not None:
            fold = Fold(store.database, until)
            yield from fold.slices()
            with store.transaction():
                fold.write()
        store.tidy()
        yield from sweep_raw(store.transaction, now)
        if self._trust is not None and self._trust.clock:
            limits = milliseconds(self.options.minutes), milliseconds(self.options.retention)
            yield from sweep(store.transaction, now, *limits)
        store.roster.doubt()

    def _tidy(self) -> None:
        assert self._work is not None
        work, self._work = self._work, None
        for _ in work:
            self._work = work  # only if it went well
            return

    def _inspect(self) -> None:
        if self._store is not None and self._store.broken():
            self._down(Unavailable(Storage.CORRUPT, "found by a reader"))

    # -- trouble

    def _down(self, trouble: Unavailable) -> None:
        self._figures.failed(trouble.reason)
        self._figures.up(False)
        if trouble.reason is not self._reason:
            level = logging.WARNING if trouble.reason in _CHOSEN else logging.ERROR
            say(_log, level, "history is not stored", reason=trouble.reason, detail=trouble.detail)
        self._reason = trouble.reason
        try:
            if self._store is not None and trouble.reason is Storage.CORRUPT:
                self._store.abandon()
            elif self._store is not None and trouble.reason is Storage.GONE:
                self._store.leave()
        except Unavailable as error:
            say(_log, logging.ERROR, "history cannot be set aside", reason=error.reason, detail=error.detail)
        self._close()

    def _recovered(self) -> None:
        self._figures.up(True)
        if self._reason is not None:
            self._reason = None
            say(_log, logging.INFO, "history is stored again")

    def _close(self) -> None:
        self._work = None
        if self._store is not None:
            self._store.close()
            self._store = None
