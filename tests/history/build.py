"""Snapshots on a clock of their own, and a store to keep them in."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from exporter.history.figures import Figures
from exporter.history.fold import Fold, due
from exporter.history.history import read
from exporter.history.options import Options
from exporter.history.query import Reader
from exporter.history.store import Store
from exporter.history.writer import Writer
from exporter.instruments.meter import Meter
from exporter.model.metric import Family, Key, Kind, Samples, Value
from exporter.model.snapshot import Snapshot

T = TypeVar("T")

# A full hour, and the beginning of a day.
EPOCH = 1_700_006_400
GAUGE = Family("publishing_depth", "How deep.", Kind.GAUGE, ("queue",))
COUNTER = Family("publishing_jobs_total", "Jobs.", Kind.COUNTER, ("target", "upstream"))
HISTOGRAM = Family("publishing_seconds", "How long.", Kind.HISTOGRAM, ("target",), "seconds", (0.1, 1.0))


def snapshot(
    id: int, at: float, *samples: Samples, collector: str = "queue", monotonic: float | None = None
) -> Snapshot:
    """A snapshot of one collector; `at` counts from the epoch of these tests."""
    monotonic = at if monotonic is None else monotonic
    return Snapshot(id, EPOCH + at, monotonic, 0.01, monotonic + 45, {collector: samples}, {}, {}, ())


def depth(value: float, queue: str = "a") -> Samples:
    return Samples.of(GAUGE, {(queue,): value})


def jobs(values: Mapping[Key, Value] | float) -> Samples:
    """Counters by target and upstream; a lone number is that of one of them."""
    return Samples.of(COUNTER, values if isinstance(values, Mapping) else {("a", "x"): values})


class Keeper:
    """Stores snapshots at once, and folds what is over, as the writer does."""

    def __init__(self, path: Path, options: Options | None = None, gap: int = 300_000) -> None:
        self.path = path
        self.options = options or Options()
        self.gap = gap
        self.store = Store(path)
        self.store.roster.keep(self.options.series)
        self.number = 0

    def keep(self, at: float, *samples: Samples, collector: str = "queue") -> None:
        self.number += 1
        made = snapshot(self.number, at, *samples, collector=collector)
        with self.store.transaction():
            batch = self.store.roster.batch(round(made.wall * 1000), made.id, made.samples)
            self.store.write(batch, self.gap)

    def fold(self) -> int:
        """Moves every hour that is over into the tiers; tells how many there were."""
        done = 0
        while (until := due(self.store.database)) is not None:
            fold = Fold(self.store.database, until)
            for _ in fold.slices():
                pass
            with self.store.transaction():
                fold.write()
            done += 1
        return done

    def ask(self, question: Callable[[Reader], T]) -> T:
        return read_now(self.path, question)

    def close(self) -> None:
        self.store.close()


def counted(meter: Meter, name: str, *labels: str) -> float | None:
    """The value of a counter or gauge; None if there is no such series."""
    for samples in meter.capture():
        if samples.family.name == f"platform_exporter_{name}":
            return dict(zip(samples.keys, samples.values, strict=True)).get(labels)
    return None


def until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Waits for what another thread or process does; what it is goes into the complaint."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.005)


class Running:
    """A writer on its own thread."""

    def __init__(self, path: Path, options: Options | None = None, opener: Callable[[Path], Store] = Store) -> None:
        self.path = path
        self.meter = Meter("platform_exporter_")
        self.writer = Writer(path, options or Options(), Figures(self.meter), opener)
        self.number = 0
        self._ended = threading.Event()

    def __enter__(self) -> Running:
        self.writer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.writer.stop(self._ended.set)
        assert self._ended.wait(20)

    def offer(self, at: float, *samples: Samples, monotonic: float | None = None) -> None:
        """Offers a snapshot whose counter is its number, unless told otherwise."""
        self.number += 1
        found = samples or (jobs(float(self.number)),)
        self.writer.offer(snapshot(self.number, at, *found, monotonic=monotonic))

    def store(self, at: float, *samples: Samples, monotonic: float | None = None) -> None:
        """Offers one and waits until it is on disk."""
        self.offer(at, *samples, monotonic=monotonic)
        wall = EPOCH + at
        until(lambda: self.counted("history_last_stored_timestamp_seconds") == wall, "the snapshot is stored")

    def counted(self, name: str, *labels: str) -> float | None:
        return counted(self.meter, name, *labels)

    def errors(self, reason: str) -> float | None:
        return self.counted("history_errors_total", reason)

    def ask(self, question: Callable[[Reader], T]) -> T:
        return read_now(self.path, question)


def read_now(path: Path, question: Callable[[Reader], T]) -> T:
    """The answer to a question, with more time than it can need."""
    return read(path, question, time.monotonic() + 30)


def integrity(path: Path) -> str:
    """What SQLite says of a whole file."""
    with closing(sqlite3.connect(path)) as database:
        return str(database.execute("pragma integrity_check").fetchone()[0])


def kept(path: Path) -> list[int]:
    """The numbers of the snapshots that are in the file as such, in the order they came."""
    with closing(sqlite3.connect(path)) as database:
        return [number for (number,) in database.execute("select snapshot from raw order by seq")]
