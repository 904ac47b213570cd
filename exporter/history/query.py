"""What is read from the history: by one connection at a time, in one transaction, under a deadline.

Each question sees the file as it was at one moment, so an hour is either in single snapshots or in the tiers, never in
both and never in neither.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from math import isfinite
from typing import NamedTuple

from exporter.history.cells import COUNT, COVERED, JUMP, RESETS, TOTAL, WIDTH, Cells, add, columns_of, slots_of
from exporter.history.fold import HOUR, HOURS, MINUTES, Metric, Pending, hours_of, row_id
from exporter.history.roster import Layout, series_of
from exporter.publishing.past import HOUR as HOUR_SECONDS
from exporter.publishing.past import MINUTE as MINUTE_SECONDS
from exporter.publishing.past import BadRange, Increase, Selector, Series, Sum, Track

MOST_SERIES = 1_000  # in one answer
MOST_SUMMED = 20_000
TOGETHER = 200
MOST_CELLS = 2_000_000  # in one answer: a hundred megabytes while it is made
MOST_LISTED = 1_000
LATEST = 253_402_300_800  # the year 10,000


_ADDED = (TOTAL, COUNT, JUMP, COVERED, RESETS)


class TooLate(Exception):
    """The deadline has passed."""


class Point(NamedTuple):
    """One reading. Which snapshot it was in is told by the number that the API shows."""

    at: float
    value: float
    snapshot: int


class Found(NamedTuple):
    """A number somebody asked for: its id, what it is, and the metric it belongs to."""

    id: int
    series: Series
    metric: Metric


class Tier(NamedTuple):
    """Where cells of one length are."""

    table: str
    step: int  # seconds
    size: int  # cells in a row


MINUTE_TIER, HOUR_TIER = Tier("minute", MINUTE_SECONDS, MINUTES), Tier("hour", HOUR_SECONDS, HOURS)


class Reader:
    """Answers questions over one connection, on which a transaction is open."""

    def __init__(self, database: sqlite3.Connection, late: Callable[[], bool]) -> None:
        self._database = database
        self._late = late
        self._pending: Pending | None = None

    # -- questions

    def tracks(self, selector: Selector, start: float, end: float, step: int = MINUTE_SECONDS) -> tuple[Track, ...]:
        """See `Past`."""
        tier, first, after = _steps(start, end, step)
        found = self._find(selector, MOST_SERIES)
        _check_size(len(found), (after - first) // tier.step)
        tracks = self._tracks(tier, found, first, after)
        return tuple(track.regrouped(step) for track in tracks if any(track.count))

    def sums(
        self, selector: Selector, start: float, end: float, step: int = MINUTE_SECONDS, by: Sequence[str] = ()
    ) -> tuple[Sum, ...]:
        """See `Past`."""
        tier, first, after = _steps(start, end, step)
        found = self._find(selector, MOST_SUMMED)
        _check_size(min(len(found), TOGETHER), (after - first) // tier.step)
        groups: dict[tuple[str, ...], Sum] = {}
        for begin in range(0, len(found), TOGETHER):
            for track in self._tracks(tier, found[begin : begin + TOGETHER], first, after):
                if not any(track.count):
                    continue
                labels = {name: track.series.labels.get(name, "") for name in by}
                group = groups.setdefault(
                    tuple(labels.values()), Sum.empty(labels, first, step, (after - first) // step)
                )
                group.add(track)
        return tuple(groups.values())

    def increases(self, selector: Selector, start: float, end: float) -> tuple[Increase, ...]:
        """See `Past`."""
        tier, first, after = _steps(start, end, MINUTE_SECONDS)
        found = [each for each in self._find(selector, MOST_SUMMED) if each.series.counts]
        border = min(max(first, self._minutes_from(first)), after)
        hours = -(-first // HOUR_SECONDS) * HOUR_SECONDS
        totals = {each.id: [0.0] * WIDTH for each in found}
        for kind, begin, finish in ((tier, border, after), (HOUR_TIER, hours, border)):
            if begin < finish and found:
                self._add_up(totals, kind, found, begin, finish)
        return tuple(_increase(each.series, totals[each.id], after - first) for each in found if totals[each.id][COUNT])

    def last(self, selector: Selector, snapshot: int | None = None) -> tuple[tuple[Series, Point], ...]:
        """The readings of the newest snapshot that is stored, or of the newest with this number."""
        where, values = ("", ()) if snapshot is None else ("where snapshot = ?", (snapshot,))
        newest = self._database.execute(
            f"select at, snapshot, layout, seq from raw {where} order by seq desc limit 1",  # noqa: S608
            values,
        ).fetchone()
        if newest is None:
            return ()
        at, number, layout, seq = newest
        points = self._points(self._find(selector), [(seq, at, number, layout)])
        return tuple((series, found[0]) for series, found in points if found)

    def readings(self, selector: Selector, start: float, end: float) -> tuple[tuple[Series, list[Point]], ...]:
        """Single readings in [start, end), in the order they were made; they are kept for some hours."""
        _check(start, end)
        found = self._find(selector)
        select = "select seq, at, snapshot, layout from raw where at >= ? and at < ? order by seq"
        rows = self._database.execute(select, (start * 1000, end * 1000)).fetchall()
        _check_size(len(found), len(rows))
        return tuple((series, points) for series, points in self._points(found, rows) if points)

    def listing(self, family: str = "", limit: int = 100, offset: int = 0) -> tuple[int, list[Series]]:
        """How many metrics there are whose family begins so, and the numbers of some of them."""
        if not 0 < limit <= MOST_LISTED or offset < 0:
            raise BadRange(f"limit must be from 1 to {MOST_LISTED}, offset 0 or more")
        where, bounds = "from metric where family >= ? and family < ?", (family, family + "\U0010ffff")
        (total,) = self._database.execute(f"select count(*) {where}", bounds).fetchone()
        rows = self._database.execute(
            f"select family, kind, labels, parts {where} order by family, labels, parts limit ? offset ?",
            (*bounds, limit, offset),
        )
        return total, [series for row in rows for series in series_of(*row)]

    # -- parts of the answers

    def _minutes_from(self, start: int) -> int:
        """From when on minutes are there; before that hours stand in for them."""
        (oldest,) = self._database.execute("select min(id) >> 32 from minute").fetchone()
        if oldest is None:
            fresh = "select min(at) from raw where seq > (select value from meta where name = 'folded')"
            (at,) = self._database.execute(fresh).fetchone()
            oldest = (at or 0) // HOUR
        begin: int = oldest * HOUR_SECONDS
        # The oldest hour may be half deleted at this moment; as an hour it is whole.
        return begin + HOUR_SECONDS if start < begin else start

    def _find(self, selector: Selector, most: int = MOST_SERIES) -> list[Found]:
        found = []
        for row in self._database.execute("select * from metric where family = ? order by id", (selector.family,)):
            all_of_it = series_of(*row[1:5])
            if not selector.labels.items() <= all_of_it[0].labels.items():
                continue
            metric = Metric.of(row)
            chosen = [
                Found(id, series, metric)
                for id, series in enumerate(all_of_it, metric.id)
                if selector.part in (None, series.part)
            ]
            found += chosen
            if len(found) > most:
                raise BadRange(f"more than {most} series: ask for fewer by their labels")
        return found

    def _tracks(self, tier: Tier, found: Sequence[Found], start: int, end: int) -> list[Track]:
        size = (end - start) // tier.step
        tracks = {each.id: Track.empty(each.series, start, tier.step, size) for each in found}
        if not tracks:
            return []
        columns = {id: track.columns for id, track in tracks.items()}
        for period, part, stored in self._stored(tier, list(tracks), start, end):
            _place(columns[part], period * tier.size - start // tier.step, stored, tier.size)
        for part, cells in self._fresh(tier, found):
            _add(tracks[part], start // tier.step, cells)
        return list(tracks.values())

    def _add_up(self, totals: dict[int, list[float]], tier: Tier, found: Sequence[Found], start: int, end: int) -> None:
        """Adds what a tier has of some time to the totals of each number."""
        low, high = start // tier.step, end // tier.step
        for period, part, stored in self._stored(tier, list(totals), start, end):
            mask, columns = columns_of(stored)
            first = period * tier.size
            # Cells are in the order of their slots: how many come before a time is a matter of counting bits.
            begin = (mask & ((1 << max(0, low - first)) - 1)).bit_count()
            finish = (mask & ((1 << max(0, high - first)) - 1)).bit_count()
            total = totals[part]
            for column in _ADDED:
                total[column] += sum(columns[column][begin:finish])
        for part, cells in self._fresh(tier, found):
            total = totals[part]
            for slot, cell in cells.items():
                if low <= slot < high:
                    for column in _ADDED:
                        total[column] += cell[column]

    def _stored(self, tier: Tier, parts: list[int], start: int, end: int) -> Iterator[tuple[int, int, bytes]]:
        """The rows of a tier, with the number of the hour or day."""
        # Each by itself: asked for together they are looked for in all rows.
        ends = f"select (select min(id) from {tier.table}), (select max(id) from {tier.table})"  # noqa: S608
        (low, high) = self._database.execute(ends).fetchone()
        if low is None:
            return
        wanted, length = set(parts), tier.step * tier.size
        select = f"select id, cells from {tier.table} where id "  # noqa: S608
        near = parts[-1] - parts[0] < 4 * len(parts)
        numbers = json.dumps(parts)
        for period in range(max(start // length, low >> 32), min((end - 1) // length, high >> 32) + 1):
            if self._late():
                raise TooLate
            base = row_id(period, 0)
            if near:
                rows = self._database.execute(select + "between ? and ?", (base + parts[0], base + parts[-1]))
            else:
                chosen = "in (select value + ? from json_each(?))"
                rows = self._database.execute(select + chosen, (base, numbers))
            for id, cells in rows:
                if id - base in wanted:
                    yield period, id - base, cells

    def _fresh(self, tier: Tier, found: Sequence[Found]) -> Iterator[tuple[int, Cells]]:
        """What is not in the tiers yet."""
        if self._pending is None:
            self._pending = Pending(self._database)
        pending = self._pending
        for _, near in groupby(found, lambda each: each.metric.id // 500):
            wanted = list(near)
            metrics = list({each.metric.id: each.metric for each in wanted}.values())
            if self._late():
                raise TooLate
            all_sums = pending.sums(metrics)
            minutes = {metric.id: sums.minutes for metric, sums in zip(metrics, all_sums, strict=True)}
            for each in wanted:
                cells = minutes[each.metric.id][each.id - each.metric.id]
                yield each.id, cells if tier is MINUTE_TIER else hours_of(cells)

    def _points(
        self, found: Sequence[Found], rows: Iterable[tuple[int, int, int, int]]
    ) -> list[tuple[Series, list[Point]]]:
        points: dict[int, list[Point]] = {each.id: [] for each in found}
        places: dict[int, list[tuple[int, int]]] = {}  # per layout: id and place of what is wanted
        for seq, at, snapshot, layout in rows:
            if self._late():
                raise TooLate
            if layout not in places:
                (stored,) = self._database.execute("select metrics from layout where id = ?", (layout,)).fetchone()
                begins = dict(zip(*(column.tolist() for column in Layout.read(stored)), strict=False))
                places[layout] = [
                    (each.id, begins[each.metric.id] + each.id - each.metric.id)
                    for each in found
                    if each.metric.id in begins
                ]
            for id, place in places[layout]:
                (stored,) = self._database.execute(
                    "select substr(readings, ?, 8) from raw where seq = ?", (8 * place + 1, seq)
                ).fetchone()
                points[id].append(Point(at / 1000, array("d", stored)[0], snapshot))
        return [(each.series, points[each.id]) for each in found]


def _check(start: float, end: float) -> None:
    if not (isfinite(start) and isfinite(end) and 0 <= start < end <= LATEST):
        raise BadRange("the end must come after the start, both since 1970")


def _check_size(series: int, cells: int) -> None:
    if series * cells > MOST_CELLS:
        raise BadRange("too much at once: ask for fewer series, a shorter time or longer steps")


def _place(columns: Sequence[array[float]], offset: int, stored: bytes, size: int) -> None:
    """Puts a stored row into a track; nothing is there yet."""
    mask, found = columns_of(stored)
    if mask == (1 << size) - 1 and 0 <= offset <= len(columns[0]) - size:
        for column, values in zip(columns, found, strict=True):
            if values:
                column[offset : offset + size] = values
        return
    slots = slots_of(mask)
    for column, values in zip(columns, found, strict=True):
        for slot, value in zip(slots, values, strict=False):
            if 0 <= offset + slot < len(column):
                column[offset + slot] = value


def _add(track: Track, first: int, cells: Cells) -> None:
    """Adds what is not in the tiers yet to what is."""
    columns, size = track.columns, len(track)
    for slot, cell in cells.items():
        at = slot - first
        if not 0 <= at < size:
            continue
        if track.count[at]:  # the clock was set back
            both: Cells = {0: [column[at] for column in columns]}
            add(both, 0, cell)
            cell = both[0]
        for column, value in zip(columns, cell, strict=True):
            column[at] = value


def _steps(start: float, end: float, step: int) -> tuple[Tier, int, int]:
    """The tier that has such steps, and the time in whole steps."""
    _check(start, end)
    tier = HOUR_TIER if step and step % HOUR_SECONDS == 0 else MINUTE_TIER
    if step <= 0 or step % tier.step:
        raise BadRange("the step must be a whole number of minutes")
    return tier, int(start // step) * step, -int(-end // step) * step


def _increase(series: Series, total: Sequence[float], seconds: int) -> Increase:
    coverage = min(1.0, total[COVERED] / seconds)
    return Increase(series, total[TOTAL], total[JUMP], coverage, int(total[RESETS]))
