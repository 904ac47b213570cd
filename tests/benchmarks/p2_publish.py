"""P2: what it costs to publish a cycle, beside what prometheus_client spends on every scrape."""

from __future__ import annotations

import gzip
import random
import time
from collections.abc import Callable, Iterator
from functools import partial

import prometheus_client

from exporter.exposition.compress import Compressor
from exporter.exposition.format import Format
from exporter.exposition.render import Renderer
from exporter.model.metric import Family, Key, Kind, Samples
from tests.benchmarks.harness import Goal, Row, Table, in_turn

SIZES = (1_000, 10_000, 100_000)
PER_FAMILY = 500
POINT = 10_000
GOALS = {"all numbers changed": Goal(20, "ratio"), "5 % of families changed": Goal(100, "ratio")}
LABELS = ("cluster", "app", "status")


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
    """CPU milliseconds of one piece of work, by doing it a few times."""
    total, rounds = 0.0, 0
    while rounds < 3 or (total < 0.02 and rounds < 200):
        samples = prepare()
        start = time.process_time()
        work(samples)
        total += time.process_time() - start
        rounds += 1
    return total / rounds * 1e3


def moving(samples: list[Samples], step: int = 1) -> Callable[[], list[Samples]]:
    """Numbers that differ each time."""
    now = samples

    def following() -> list[Samples]:
        nonlocal now
        now = changed(now, step)
        return now

    return following


def tables() -> Iterator[Table]:
    """The table of this area."""
    table = Table(
        "P2 publish: CPU milliseconds to render and compress a page, beside a scrape of the library", "series"
    )
    for series in SIZES:
        _compare(series, table)
    yield table


def _compare(series: int, table: Table) -> None:
    samples = data(series)
    library = registry(samples)
    ours = gzip.decompress(Publisher().gzip(samples))
    if numbers(ours) != numbers(prometheus_client.generate_latest(library)):
        raise AssertionError("the two pages do not say the same")

    def scrape(_: list[Samples]) -> bytes:
        return gzip.compress(prometheus_client.generate_latest(library))

    text, openmetrics, part, same, idle = Publisher(), Publisher(Format.OPENMETRICS), *(Publisher() for _ in range(3))
    for publisher in (text, openmetrics, part, same, idle):
        publisher.gzip(samples)
    works: dict[str, Callable[[], float]] = {
        "prometheus_client": lambda: spent(lambda: samples, scrape),
        "first page, all series new": lambda: spent(lambda: samples, lambda it: Publisher().gzip(it)),
        "all numbers changed": partial(spent, moving(samples), text.gzip),
        "5 % of families changed": partial(spent, moving(samples, 20), part.gzip),
        "collected again, nothing changed": lambda: spent(lambda: recollected(samples), same.gzip),
        "nothing collected": lambda: spent(lambda: samples, idle.gzip),
        "OpenMetrics, all numbers changed": partial(spent, moving(samples), openmetrics.gzip),
    }
    found = in_turn(works, table)
    theirs = found.pop("prometheus_client")
    goals = GOALS if series == POINT else {}
    for case, milliseconds in found.items():
        table.rows.append(Row(f"{series:,}", case, milliseconds, "prometheus_client", theirs, goal=goals.get(case)))
    case, beside = "OpenMetrics, all numbers changed", "all numbers changed"
    goal = Goal(1 / 1.1, "ratio") if series == POINT else None
    table.rows.append(Row(f"{series:,}", case, found[case], "our text", found[beside], goal=goal))


if __name__ == "__main__":
    for found in tables():
        found.print()
