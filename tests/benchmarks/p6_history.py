"""P6: what it costs to keep a cycle and to read a day of it, beside a table of samples with an index."""

from __future__ import annotations

import random
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from math import isclose
from pathlib import Path
from statistics import median

from exporter.history.query import Reader
from exporter.model.metric import Family, Kind, Samples
from exporter.publishing.past import Selector, Track
from tests.benchmarks.harness import Goal, Row, Table, in_turn
from tests.history.build import EPOCH, Keeper

SIZES = (100, 1_000, 10_000)
PER_FAMILY = 50
POINT = 1_000
STEP, HOURS = 60, 26  # a day lies in whole hours, and some of the last one does not
DAY = 86_400
WEEK = 7
PEER = "indexed table"
CYCLES_PER_HOUR = 240  # at the usual interval; a fold an hour, however many cycles


class Moving:
    """A quarter each of random numbers, counters, constants and numbers with one decimal."""

    def __init__(self, series: int) -> None:
        self._chance = random.Random(1)
        self._now = [self._samples(number) for number in range(series // PER_FAMILY)]

    @staticmethod
    def _samples(number: int) -> Samples:
        kind = Kind.COUNTER if number % 4 == 1 else Kind.GAUGE
        name = f"publishing_f{number}" + "_total" * (kind is Kind.COUNTER)
        family = Family(name, "A number.", kind, ("target",))
        keys = tuple((f"target-{target}",) for target in range(PER_FAMILY))
        return Samples(family, keys, (1.0,) * PER_FAMILY)

    def next(self) -> list[Samples]:
        change: list[Callable[[int, float], float]] = [
            lambda at, value: self._chance.random(),
            lambda at, value: value + at % 5,
            lambda at, value: value,
            lambda at, value: round(self._chance.random() * 100, 1),
        ]
        self._now = [
            samples._replace(values=tuple([change[number % 4](at, value) for at, value in enumerate(samples.values)]))
            for number, samples in enumerate(self._now)
        ]
        return self._now


def _day(selector: Selector, end: int, reader: Reader) -> tuple[Track, ...]:
    return reader.tracks(selector, end - DAY, end)


class Naive:
    """The usual: one row per sample, an index on series and time, the same settings."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = sqlite3.connect(path, isolation_level=None)
        for statement in (
            "pragma journal_mode = wal",
            "pragma synchronous = full",
            "create table sample (series int, at int, value real)",
            "create index by_series on sample (series, at)",
        ):
            self.database.execute(statement)

    def keep(self, at: int, samples: list[Samples]) -> None:
        numbers = [value for each in samples for value in each.values]
        self.database.execute("begin")
        rows = ((series, at, value) for series, value in enumerate(numbers))
        self.database.executemany("insert into sample values (?, ?, ?)", rows)
        self.database.execute("commit")

    def day(self, series: range, end: int) -> dict[tuple[int, int], float]:
        found = self.database.execute(
            "select series, at / 60, avg(value), min(value), max(value) from sample"
            " where series between ? and ? and at >= ? and at < ? group by 1, 2",
            (series[0], series[-1], end - DAY, end),
        )
        return {(one, minute): mean for one, minute, mean, *_ in found}


class Kept:
    """Both, with the same in them, and what that has cost."""

    def __init__(self, folder: Path, series: int) -> None:
        self.series = series
        self.keeper = Keeper(folder / "ours.db")
        self.naive = Naive(folder / "theirs.db") if series <= POINT else None
        self.writes: list[float] = []
        self.folds: list[float] = []
        self.theirs: list[float] = []
        self.end = 0
        moving = Moving(series)
        for second in range(0, HOURS * 3600 + 1800, STEP):
            self._keep(second, moving.next())

    def _keep(self, second: int, samples: list[Samples]) -> None:
        began = time.process_time()
        self.keeper.keep(second, *samples)
        written = time.process_time()
        self.writes.append(written - began)
        if self.keeper.fold():
            self.folds.append(time.process_time() - written)
        if self.naive is not None:
            began = time.process_time()
            self.naive.keep(second, samples)
            self.theirs.append(time.process_time() - began)
        self.end = second + STEP

    def tracks(self, families: int, labels: dict[str, str]) -> list[Track]:
        """A day of some series by the minute; gauges with random numbers, which are the dearest."""
        end, found = EPOCH + self.end, list[Track]()
        for number in range(0, 4 * families, 4):
            selector = Selector(f"publishing_f{number}", labels)
            found += self.keeper.ask(partial(_day, selector, end))
        return found

    def week(self) -> float:
        """Megabytes of seven days, from what a day and the rest take."""
        database = self.keeper.store.database
        database.execute("pragma wal_checkpoint(truncate)")
        (minutes,) = database.execute("select sum(length(cells) + 12) from minute").fetchone()
        return (self.keeper.store.bytes() + float(minutes) * (WEEK * 24 / HOURS - 1)) / 1e6

    def close(self) -> None:
        self.keeper.close()
        if self.naive is not None:
            self.naive.database.close()


def tables() -> Iterator[Table]:
    """The table of this area."""
    table = Table("P6 history: a cycle stored, a day read by the minute, the file", "series")
    for series in SIZES:
        folder = Path(tempfile.mkdtemp())
        try:
            kept = Kept(folder, series)
            _check(kept)
            _costs(kept, table)
            _reading(kept, table)
            kept.close()
        finally:
            shutil.rmtree(folder)
    table.notes.append(f"a cycle per minute for {HOURS} hours; values: random, counters, constant, one decimal in turn")
    table.notes.append("the share of a core is for a cycle every 15 s, moving hours into the tiers included")
    yield table


def _check(kept: Kept) -> None:
    """The same is read from both."""
    if kept.naive is None:
        return
    (track,) = kept.tracks(1, {"target": "target-7"})
    theirs = kept.naive.day(range(7, 8), kept.end)
    first = (kept.end - DAY) // 60
    assert len(theirs) == len(track) == DAY // 60
    assert all(isclose(track.mean(minute), theirs[7, first + minute]) for minute in range(len(track)))


def _costs(kept: Kept, table: Table) -> None:
    size, point = str(kept.series), kept.series == POINT
    write, fold = median(kept.writes), median(kept.folds)
    theirs = median(kept.theirs) if kept.theirs else None
    hour = write * CYCLES_PER_HOUR + fold
    naive_hour = theirs * CYCLES_PER_HOUR if theirs else None
    limit = Goal(1, "most", "%") if point else None
    table.rows += [
        Row(size, "a cycle stored, CPU ms", write * 1e3, PEER, theirs and theirs * 1e3),
        Row(size, "an hour moved into the tiers, CPU ms", fold * 1e3),
        Row(size, "share of a core, %", hour / 36, PEER, naive_hour and naive_hour / 36, goal=limit),
    ]
    naive_week = None
    if kept.naive is not None:
        kept.naive.database.execute("pragma wal_checkpoint(truncate)")
        naive_week = kept.naive.path.stat().st_size * WEEK * 24 / (HOURS + 0.5) / 1e6
    table.rows.append(
        Row(size, "seven days, MB", kept.week(), PEER, naive_week, goal=Goal(100, "most", "MB") if point else None)
    )


def _reading(kept: Kept, table: Table) -> None:
    size, point = str(kept.series), kept.series == POINT
    _row(kept, table, Row(size, "one series, ms", 0, goal=Goal(5, "most", "ms") if point else None), 1, range(7, 8))
    if kept.series >= POINT:
        goal = Goal(50, "most", "ms") if point else None
        _row(kept, table, Row(size, "100 series, ms", 0, goal=goal), 2, range(100))
        table.rows.append(Row(size, "a cycle stored while 100 are read, ms", _write_while_read(kept), goal=goal))


def _row(kept: Kept, table: Table, row: Row, families: int, series: range) -> None:
    labels = {"target": "target-7"} if len(series) == 1 else {}
    works: dict[str, Callable[[], float]] = {"ours": partial(_spent, lambda: kept.tracks(families, labels))}
    if (naive := kept.naive) is not None:
        works[PEER] = partial(_spent, lambda: naive.day(series, kept.end))
    found = in_turn(works, table)
    table.rows.append(Row(row.size, row.case, found["ours"], PEER, found.get(PEER), goal=row.goal))


def _spent(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1e3


def _write_while_read(kept: Kept) -> float:
    """Wall milliseconds of a cycle, in the median, while a reader never pauses."""
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            kept.tracks(2, {})

    reader = threading.Thread(target=read)
    reader.start()
    moving, taken = Moving(kept.series), list[float]()
    for number in range(30):
        samples = moving.next()
        began = time.perf_counter()
        kept.keeper.keep(kept.end + number, *samples)
        taken.append(time.perf_counter() - began)
    stop.set()
    reader.join()
    return median(taken) * 1e3


def main() -> None:
    """Prints the table."""
    for table in tables():
        table.print()


if __name__ == "__main__":
    main()
