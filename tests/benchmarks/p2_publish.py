"""P2: what it costs to publish a cycle, beside what prometheus_client spends on every scrape."""

from __future__ import annotations

import gzip
import random
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import prometheus_client

from exporter.exposition.compress import Compressor
from exporter.exposition.format import Format
from exporter.exposition.render import Renderer
from exporter.model.metric import Family, Key, Kind, Samples

SIZES = (1_000, 10_000, 100_000)
PER_FAMILY = 500
REPEATS = 5
LABELS = ("cluster", "app", "status")


class Row(NamedTuple):
    """One line of the table: CPU milliseconds of ours and of the library in the same run; `goal` is a ratio, if any."""

    series: int
    case: str
    ours: float
    theirs: float
    goal: float | None = None

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours


def data(series: int) -> list[Samples]:
    """Gauges and counters in turn, 500 series each with three labels; half of the values are whole numbers."""
    chance = random.Random(42)
    found: list[Samples] = []
    for start in range(0, series, PER_FAMILY):
        number = len(found)
        kind = Kind.COUNTER if number % 2 else Kind.GAUGE
        name = f"exporter_service_metric_{number}" + ("_requests_total" if kind is Kind.COUNTER else "_seconds")
        rows: dict[Key, float] = {}
        for i in range(start, min(start + PER_FAMILY, series)):
            value = float(chance.randrange(1_000_000)) if i % 2 else chance.random() * 1000
            rows[f"namespace-{i % 20}", f"service-{i}", str(200 + i % 5)] = value
        found.append(Samples.of(Family(name, f"Synthetic family number {number}.", kind, LABELS), rows))
    return found


def changed(samples: list[Samples], step: int = 1) -> list[Samples]:
    """Every step-th family with new numbers, as a cycle leaves it; the others untouched."""
    return [
        Samples(column.family, column.keys, tuple([value + 1.0 for value in column.values]))
        if at % step == 0
        else column
        for at, column in enumerate(samples)
    ]


def recollected(samples: list[Samples]) -> list[Samples]:
    """New objects with the same numbers, as from a collector that ran and found nothing new."""
    return [Samples(column.family, column.keys, tuple([value + 0.0 for value in column.values])) for column in samples]


def registry(samples: list[Samples]) -> prometheus_client.CollectorRegistry:
    """The same as the library's own metrics."""
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    found = prometheus_client.CollectorRegistry()
    for column in samples:
        family = column.family
        for_kind = prometheus_client.Counter if family.kind is Kind.COUNTER else prometheus_client.Gauge
        metric = for_kind(family.name, family.help, family.labels, registry=found)
        for key, value in zip(column.keys, column.values, strict=True):
            metric.labels(*key).inc(value)
    return found


class Publisher:
    """Render and compress, as `Pages` does once per snapshot."""

    def __init__(self, format: Format = Format.TEXT) -> None:
        self._format = format
        self._renderer = Renderer()
        self._compressor = Compressor()

    def plain(self, samples: list[Samples]) -> bytes:
        return b"".join(self._renderer.render(samples, self._format))

    def gzip(self, samples: list[Samples]) -> bytes:
        self._compressor.turn()
        return self._compressor.gzip(self._renderer.render(samples, self._format))


def numbers(page: bytes) -> dict[frozenset[bytes], float]:
    """Series, whatever the order of their labels, and values."""
    lines = (line.rsplit(b" ", 1) for line in page.splitlines() if not line.startswith(b"#"))
    return {
        frozenset(series.replace(b"}", b"").replace(b"{", b",").split(b",")): float(value) for series, value in lines
    }


def spent(prepare: Callable[[], list[Samples]], work: Callable[[list[Samples]], object]) -> float:
    """CPU milliseconds of one piece of work: the median of five batches."""
    batches = []
    for _ in range(REPEATS):
        total, rounds = 0.0, 0
        while rounds < 3 or (total < 0.02 and rounds < 200):
            samples = prepare()
            start = time.process_time()
            work(samples)
            total += time.process_time() - start
            rounds += 1
        batches.append(total / rounds * 1e3)
    return statistics.median(batches)


def moving(samples: list[Samples], step: int = 1) -> Callable[[], list[Samples]]:
    """Numbers that differ each time."""
    now = samples

    def following() -> list[Samples]:
        nonlocal now
        now = changed(now, step)
        return now

    return following


def run() -> list[Row]:
    """The table."""
    # With fewer than 20 families, one of them is more than 5 %.
    return [row for series in SIZES for row in _compared(series) if series >= 20 * PER_FAMILY or "5 %" not in row.case]


def _compared(series: int) -> list[Row]:
    samples = data(series)
    library = registry(samples)
    ours = gzip.decompress(Publisher().gzip(samples))
    if numbers(ours) != numbers(prometheus_client.generate_latest(library)):
        raise AssertionError("the two pages do not say the same")

    def scrape(_: list[Samples]) -> bytes:
        return gzip.compress(prometheus_client.generate_latest(library))

    theirs = spent(lambda: samples, scrape)
    goals = series == 10_000
    text, openmetrics, fifth, idle, same = (
        Publisher(),
        Publisher(Format.OPENMETRICS),
        *(Publisher() for _ in range(3)),
    )
    for publisher in (text, openmetrics, fifth, idle, same):
        publisher.gzip(samples)
    full = spent(moving(samples), text.gzip)
    return [
        Row(series, "first page, all series new", spent(lambda: samples, lambda it: Publisher().gzip(it)), theirs),
        Row(series, "all numbers changed", full, theirs, 20.0 if goals else None),
        Row(
            series, "5 % of families changed", spent(moving(samples, 20), fifth.gzip), theirs, 100.0 if goals else None
        ),
        Row(series, "collected again, nothing changed", spent(lambda: recollected(samples), same.gzip), theirs),
        Row(series, "nothing collected", spent(lambda: samples, idle.gzip), theirs),
        Row(
            series,
            "OpenMetrics beside text",
            spent(moving(samples), openmetrics.gzip),
            full,
            1 / 1.1 if goals else None,
        ),
    ]


def main() -> None:
    print(f"{'series':>7}  {'case':34} {'ours ms':>9} {'theirs ms':>10} {'ratio':>8}  goal")
    for row in run():
        goal = "" if row.goal is None else f">= {row.goal:.2f} {'met' if row.ratio >= row.goal else 'MISSED'}"
        print(f"{row.series:7}  {row.case:34} {row.ours:9.3f} {row.theirs:10.3f} {row.ratio:7.1f}x  {goal}")


if __name__ == "__main__":
    main()
