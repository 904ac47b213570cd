"""Moves an hour that is over from single snapshots into the tiers: worked out in slices, written in one transaction.

Snapshots are read in the order they came, whatever their times say. An hour is over when a snapshot of another one has
come; should its minutes be there already, because the clock was set back, what came now is added to them.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple

from exporter.history.cells import Cells, decode, encode, merged
from exporter.history.readings import MINUTE, Base, Block, Sums
from exporter.history.roster import Layout, counters
from exporter.history.store import count_rows

HOUR, DAY = 60 * MINUTE, 24 * 60 * MINUTE
MINUTES, HOURS = 60, 24
SLICE = 200  # metrics: some hundredths of a second, in which no snapshot can be written

Stored = tuple[int, bytes]


def row_id(period: int, series: int) -> int:
    """The id of a row of a tier."""
    return period << 32 | series


class Row(NamedTuple):
    """A snapshot that is not in the tiers yet."""

    seq: int
    at: int
    gap: int
    layout: int


class Metric(NamedTuple):
    """A metric as it is stored."""

    id: int
    counts: Sequence[bool]
    scope: str
    base: Base | None

    @classmethod
    def of(cls, row: tuple[int, str, str, str, str, str, int, bytes | None]) -> Metric:
        id, _, kind, _, parts, scope, seen, readings = row
        return cls(id, counters(kind, parts), scope, None if readings is None else Base(seen, array("d", readings)))


class Pending:
    """Snapshots that are not in the tiers, and how to get the readings of a metric out of them."""

    def __init__(self, database: sqlite3.Connection, until: int | None = None) -> None:
        self._database = database
        (folded,) = database.execute("select value from meta where name = 'folded'").fetchone()
        select = "select seq, at, gap, layout from raw where seq {} ? {} order by seq"
        bound = "" if until is None else f"and seq <= {until:d}"
        self.rows = [Row(*row) for row in database.execute(select.format(">", bound), (folded,))]
        # What came before tells whether a new metric is really new.
        before = database.execute(
            select.format("<=", "").replace("order by seq", "order by seq desc limit 1"), (folded,)
        )
        self._before = [Row(*row) for row in before]
        self._layouts: dict[int, Layout] = {}
        self._scopes: dict[tuple[int, str], bool] = {}
        self._grouped: list[tuple[Block, int, list[Row]]] | None = None

    def layout(self, id: int) -> Layout:
        found = self._layouts.get(id)
        if found is None:
            (stored,) = self._database.execute("select metrics from layout where id = ?", (id,)).fetchone()
            found = self._layouts[id] = Layout.read(stored)
        return found

    def ids(self) -> list[int]:
        """The metrics there are readings of."""
        return sorted({id for layout in {row.layout for row in self.rows} for id in self.layout(layout).ids})

    def sums(self, metrics: Sequence[Metric]) -> list[Sums]:
        """What comes of the readings of some metrics that are next to each other; in the order of their ids."""
        found = {metric.id: Sums.of(metric.counts, metric.scope, metric.base) for metric in metrics}
        low, high = metrics[0].id, metrics[-1].id
        for block, layout, rows in self._blocks():
            ids, places = self.layout(layout).of(low, high)
            if not ids:
                continue
            columns = self._columns(rows, places)
            for id, place in zip(ids, places, strict=False):
                if id in found:
                    first = place - places[0]
                    sums = found[id]
                    sums.take(block, columns[first : first + len(sums.counts)])
        return list(found.values())

    def _columns(self, rows: Sequence[Row], places: Sequence[int]) -> list[tuple[float, ...]]:
        """The numbers at these places, one column for each."""
        bounds = 8 * places[0] + 1, 8 * (places[-1] - places[0])
        select = "select substr(readings, ?, ?) from raw where seq = ?"
        read = (self._database.execute(select, (*bounds, row.seq)).fetchone()[0] for row in rows)
        return list(zip(*(array("d", stored) for stored in read), strict=True))

    def _blocks(self) -> list[tuple[Block, int, list[Row]]]:
        """Runs of snapshots that have the same metrics."""
        if self._grouped is None:
            self._grouped, begin = [], 0
            for layout, run in groupby(self.rows, lambda row: row.layout):
                rows = list(run)
                before = partial(self._scope_before, begin)
                block = Block([row.at for row in rows], [row.gap for row in rows], before)
                self._grouped.append((block, layout, rows))
                begin += len(rows)
        return self._grouped

    def _scope_before(self, begin: int, scope: str, offset: int) -> bool:
        index = begin + offset
        row = self.rows[index]
        for earlier in (*self.rows[:index][::-1], *self._before):
            if not 0 <= row.at - earlier.at <= row.gap:
                return False
            if self._has(earlier.layout, scope):
                return True
        return False

    def _has(self, layout: int, scope: str) -> bool:
        known = self._scopes.get((layout, scope))
        if known is None:
            of_scope = {id for (id,) in self._database.execute("select id from metric where scope = ?", (scope,))}
            known = self._scopes[layout, scope] = not of_scope.isdisjoint(self.layout(layout).ids)
        return known


def hours_of(minutes: Mapping[int, Sequence[float]]) -> Cells:
    """Hours from minutes; both are numbered from 1970."""
    return merged((minute // MINUTES, minutes[minute]) for minute in minutes)


def metrics_of(database: sqlite3.Connection, ids: Sequence[int]) -> list[Metric]:
    """The metrics of these ids that are still known."""
    select = "select * from metric where id in (select value from json_each(?)) order by id"
    return [Metric.of(row) for row in database.execute(select, (json.dumps(list(ids)),))]


def due(database: sqlite3.Connection) -> int | None:
    """The last snapshot of the first hour that is over, if there is one."""
    (folded,) = database.execute("select value from meta where name = 'folded'").fetchone()
    last, hour = None, None
    for seq, at in database.execute("select seq, at from raw where seq > ? order by seq", (folded,)):
        if hour is not None and at // HOUR != hour:
            return int(last)  # type: ignore[arg-type]  # there was one, with an hour
        last, hour = seq, at // HOUR
    return None


class Fold:
    """The work on one hour. `slices` may be interrupted, by a write or for good: nothing is changed before `write`."""

    def __init__(self, database: sqlite3.Connection, until: int) -> None:
        self._database = database
        self._until = until
        self._tiers: dict[str, list[Stored]] = {"minute": [], "hour": []}
        self._new = 0
        self._bases: list[tuple[int, bytes, int]] = []

    def slices(self) -> Iterator[None]:
        """Works everything out, a slice at a time."""
        pending = Pending(self._database, self._until)
        ids = pending.ids()
        for begin in range(0, len(ids), SLICE):
            metrics = metrics_of(self._database, ids[begin : begin + SLICE])
            if metrics:
                for metric, sums in zip(metrics, pending.sums(metrics), strict=True):
                    self._take(metric, sums)
            yield

    def _take(self, metric: Metric, sums: Sums) -> None:
        if sums.base is not None:
            self._bases.append((sums.base.at, array("d", sums.base.values).tobytes(), metric.id))
        for part, minutes in enumerate(sums.minutes, metric.id):
            if minutes:
                self._put("minute", part, minutes, MINUTES)
                self._put("hour", part, hours_of(minutes), HOURS)

    def _put(self, tier: str, part: int, cells: Cells, size: int) -> None:
        for period in dict.fromkeys(slot // size for slot in cells):
            fresh = {slot % size: cell for slot, cell in cells.items() if slot // size == period}
            id = row_id(period, part)
            known = self._database.execute(f"select cells from {tier} where id = ?", (id,)).fetchone()  # noqa: S608
            if known is not None:
                fresh = merged((*decode(known[0]).items(), *fresh.items()))
            self._new += known is None
            self._tiers[tier].append((id, encode(fresh)))

    def write(self) -> None:
        """Writes what was worked out, within a transaction."""
        database = self._database
        for tier, rows in self._tiers.items():
            database.executemany(f"insert or replace into {tier} values (?, ?)", rows)  # noqa: S608
        database.executemany("update metric set seen = ?, readings = ? where id = ?", self._bases)
        database.execute("update meta set value = ? where name = 'folded'", (self._until,))
        count_rows(database, self._new)
