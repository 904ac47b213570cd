"""What is too old goes, in small steps; and never on the word of a clock that has just jumped."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from exporter.history.fold import DAY, HOUR, row_id
from exporter.history.store import count_rows

KEEP_RAW = 2 * HOUR
STEP = 500  # rows of a tier: a few milliseconds, in which no snapshot can be written
RAW_STEP = 20  # these are large
# A clock that jumped is believed when it has gone on from there for so long: data that was purged does not come back.
BELIEVED_AFTER = 6 * 3600.0
JUMP = 300.0

Transaction = Callable[[], AbstractContextManager[sqlite3.Connection]]


class Trust:
    """Whether the wall clock can be believed: it runs as the monotonic one does, and on from what was stored last."""

    def __init__(self, newest: float | None) -> None:
        self._newest = newest
        self._offset: float | None = None
        self._since: float | None = None  # when the clock jumped, on the monotonic one

    def note(self, wall: float, monotonic: float) -> None:
        """Compares the clocks."""
        offset = wall - monotonic
        if self._offset is None:
            # After a start only what was stored tells: to have been stopped for a day looks like a jump of a day.
            jumped = self._newest is not None and not -JUMP <= wall - self._newest <= DAY / 1000
        else:
            jumped = abs(offset - self._offset) > JUMP
        self._offset = offset
        if jumped:
            self._since = monotonic
        elif self._since is not None and monotonic - self._since >= BELIEVED_AFTER:
            self._since = None

    @property
    def clock(self) -> bool:
        return self._offset is not None and self._since is None


def sweep(transaction: Transaction, now: int, minutes: int, retention: int) -> Iterator[int]:
    """Deletes what is too old, a step at a time; yields how many rows went."""
    yield from _delete(transaction, "minute", "id", "id < ?", (row_id((now - minutes) // HOUR, 0),))
    yield from _delete(transaction, "hour", "id", "id < ?", (row_id((now - retention) // DAY, 0),))
    yield from _delete(transaction, "metric", "id", "seen < ?", (now - max(minutes, retention, DAY),))


def sweep_raw(transaction: Transaction, now: int) -> Iterator[int]:
    """Deletes single snapshots that are in the tiers, whatever the clock says: it costs detail and no knowledge."""
    old = "not at between ? and ? and seq < (select value from meta where name = 'folded')"
    yield from _delete(transaction, "raw", "seq", old, (now - KEEP_RAW, now + HOUR))
    unused = "id not in (select layout from raw) and id < (select max(id) from layout)"
    yield from _delete(transaction, "layout", "id", unused, ())


def _delete(transaction: Transaction, table: str, key: str, condition: str, bounds: tuple[int, ...]) -> Iterator[int]:
    step = RAW_STEP if table == "raw" else STEP
    some = f"select {key} from {table} where {condition} order by {key} limit {step}"  # noqa: S608  # words of our own
    gone = step
    while gone == step:
        with transaction() as database:
            gone = database.execute(f"delete from {table} where {key} in ({some})", bounds).rowcount  # noqa: S608
            if table in ("raw", "minute", "hour"):
                count_rows(database, -gone)
        yield gone


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
