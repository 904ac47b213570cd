"""The history of one daemon: written by a thread of its own, read by bounded readers."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from exporter.history.figures import Figures
from exporter.history.options import Options
from exporter.history.query import Point, Reader, TooLate
from exporter.history.store import MIGRATIONS, url
from exporter.history.trouble import unavailable
from exporter.history.writer import Writer
from exporter.model.collector import Offload
from exporter.model.errors import Unavailable
from exporter.model.reason import Storage
from exporter.model.snapshot import Snapshot
from exporter.publishing.past import MINUTE, Increase, Selector, Series, Sum, Track

T = TypeVar("T")

DEADLINE = 5.0
WAITING = 32  # questions at once; more than that will not be answered in time
INSTRUCTIONS = 10_000  # of SQLite's machine, between two looks at the clock


class History:
    """Implements `Past`."""

    def __init__(
        self,
        path: Path,
        options: Options,
        figures: Figures,
        offload: Offload,
        refuse: Callable[[], bool] = lambda: False,
    ) -> None:
        self.path = path
        self._offload = offload
        self.writer = Writer(path, options, figures)
        self._figures = figures
        self._refuse = refuse
        self._newest = 0
        self._asking = 0

    # -- writing

    def start(self) -> None:
        """Opens the file on a thread of its own: a disk that hangs holds up nobody."""
        self.writer.start()

    def configure(self, options: Options) -> None:
        """What is kept from now on, and for how long."""
        self.writer.options = options

    async def follow(self, feed: AsyncIterator[Snapshot]) -> None:
        """Takes every snapshot from a feed."""
        async for snapshot in feed:
            self.take(snapshot)

    def take(self, snapshot: Snapshot) -> None:
        """Hands a snapshot to the writer, unless it has it."""
        if snapshot.id > self._newest:
            if self._newest and snapshot.id > self._newest + 1:
                self._figures.dropped(
                    snapshot.id - self._newest - 1
                )  # the event loop was held up for longer than a cycle
            self._newest = snapshot.id
            self.writer.offer(snapshot)

    async def stop(self, patience: float) -> bool:
        """Stores what waits; False if the disk does not let it in time, and the thread is left to itself."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            with suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(ended.set)

        self.writer.stop(tell)
        try:
            async with asyncio.timeout(patience):
                await ended.wait()
        except TimeoutError:
            return False
        return True

    # -- reading

    async def tracks(self, selector: Selector, start: float, end: float, step: int = MINUTE) -> tuple[Track, ...]:
        return await self._ask(lambda reader: reader.tracks(selector, start, end, step))

    async def sums(
        self, selector: Selector, start: float, end: float, step: int = MINUTE, by: Sequence[str] = ()
    ) -> tuple[Sum, ...]:
        return await self._ask(lambda reader: reader.sums(selector, start, end, step, by))

    async def increases(self, selector: Selector, start: float, end: float) -> tuple[Increase, ...]:
        return await self._ask(lambda reader: reader.increases(selector, start, end))

    async def last(self, selector: Selector, snapshot: int | None = None) -> tuple[tuple[Series, Point], ...]:
        """What the newest stored snapshot says, or the newest with this number."""
        return await self._ask(lambda reader: reader.last(selector, snapshot))

    async def readings(self, selector: Selector, start: float, end: float) -> tuple[tuple[Series, list[Point]], ...]:
        """Single readings of the last hours."""
        return await self._ask(lambda reader: reader.readings(selector, start, end))

    async def listing(self, family: str = "", limit: int = 100, offset: int = 0) -> tuple[int, list[Series]]:
        """What is kept, page by page."""
        return await self._ask(lambda reader: reader.listing(family, limit, offset))

    async def _ask(self, question: Callable[[Reader], T]) -> T:
        if self._asking >= WAITING or self._refuse():
            raise Unavailable(Storage.BUSY, "too much is asked at once, or memory is short")
        deadline = time.monotonic() + DEADLINE
        self._asking += 1
        try:
            async with asyncio.timeout(DEADLINE):
                return await self._offload(lambda: read(self.path, question, deadline))
        except Unavailable as trouble:
            if trouble.reason is Storage.CORRUPT:
                self.writer.suspect()
            raise
        except TooLate:
            raise TimeoutError from None
        finally:
            self._asking -= 1


def read(path: Path, question: Callable[[Reader], T], deadline: float) -> T:
    """Answers a question from the file; on whatever thread this is."""

    def late() -> bool:
        return time.monotonic() > deadline

    database = None
    try:
        # A connection per question: one that is kept would go on reading a file that was replaced.
        database = sqlite3.connect(url(path, mode="ro"), uri=True, timeout=1.0, isolation_level=None)
        database.set_progress_handler(late, INSTRUCTIONS)
        database.execute("begin")
        (version,) = database.execute("pragma user_version").fetchone()
        if version != len(MIGRATIONS):
            raise Unavailable(Storage.VERSION, "not a history of this version")
        return question(Reader(database, late))
    except sqlite3.OperationalError as error:
        if late():
            raise TooLate from None
        raise unavailable(error, path) from None
    except sqlite3.DatabaseError as error:
        raise unavailable(error, path) from None
    finally:
        if database is not None:
            database.close()
