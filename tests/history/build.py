"""Snapshots on a clock of their own, and a store to keep them in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from exporter.history.figures import Figures
from exporter.history.fold import Fold, due
from exporter.history.history import read
from exporter.history.query import Reader
from exporter.history.store import Store
from exporter.history.writer import Options, Writer
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
        return read(self.path, question, time.monotonic() + 30)

    def close(self) -> None:
        self.store.close()


def writer(path: Path, options: Options | None = None) -> tuple[Writer, Meter]:
    """A writer that has not been started, and what it counts into."""
    meter = Meter("platform_exporter_")
    return Writer(path, options or Options(), Figures(meter)), meter


def counted(meter: Meter, name: str, *labels: str) -> float | None:
    """The value of a counter or gauge; None if there is no such series."""
    for samples in meter.capture():
        if samples.family.name == f"platform_exporter_{name}":
            return dict(zip(samples.keys, samples.values, strict=True)).get(labels)
    return None
