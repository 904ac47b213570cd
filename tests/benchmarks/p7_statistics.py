"""P7: what statistics cost whoever asks, and whoever puts them together, beside a search in a flat map of keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec

from exporter.model.metric import Key
from exporter.publishing.health import HealthDetail
from exporter.publishing.outlook import NOTHING
from exporter.publishing.statistics import Book, ScoreDetail
from exporter.publishing.trends import BASELINE, RECENT, Ratio, of_errors
from exporter.publishing.upstream import UpstreamDetail
from exporter.publishing.world import World
from tests.benchmarks.harness import Goal, Row, Table, in_turn
from tests.publishing.services import health, jobs, replica, rows, service

SIZES = (100, 1_000, 10_000)
POINT = 1_000
_BOUNDS = tuple(0.001 * 2**at for at in range(10))
_LEAST = 0.2  # seconds of a sample


def tables() -> Iterator[Table]:
    table = Table("P7 statistics: CPU milliseconds", "targets")
    for size in SIZES:
        _compare(size, table)
    yield table


def _world(size: int, more: int) -> World:
    names = [f"target-{number}" for number in range(size)]
    counted = {name.replace("-", "_"): (90.0 + more, 1.0) for name in names}
    keys: dict[Key, tuple[float, ...] | float] = {
        (name, priority): (*[1.0] * 11, 3.0) for name in names for priority in ("high", "medium", "low")
    }
    found = replica(
        jobs("a:1", **counted),
        rows("job_duration_seconds", keys, _BOUNDS),
        rows("queue_size", {("high",): 5.0}),
    )
    health_of_all = HealthDetail(tuple(health(name) for name in names))
    return World.of({"health": health_of_all, "queue": UpstreamDetail((service(found),))})


def _compare(size: int, table: Table) -> None:
    worlds, book = [_world(size, more) for more in (0, 1)], Book()
    standing = book.standing(worlds[0], NOTHING)
    flat = {
        f'jobs_processed_total{{target="{name}",state="{state}"}}': number
        for name, target in standing.targets.items()
        for state, number in (("succeeded", target.jobs.succeeded), ("failed", target.jobs.failed))
    }
    outage = Ratio([0.0] * (BASELINE + RECENT - 1) + [5.0], [5.0] * (BASELINE + RECENT))
    found = in_turn(
        {
            "asked": _timed(lambda turn: _asked(standing)),
            "searched": _timed(lambda turn: _searched(flat)),
            "put together": _timed(lambda turn: book.standing(worlds[turn % 2], NOTHING)),
            "one trend": _timed(lambda turn: of_errors(outage)),
        },
        table,
    )
    goal = Goal(0.1, "most", "ms") if size == POINT else None
    table.rows.append(Row(f"{size:,}", "asked", found["asked"], "flat map", found["searched"], goal=goal))
    table.rows.append(Row(f"{size:,}", "put together, once per cycle", found["put together"]))
    table.rows.append(Row(f"{size:,}", "trend of one target over a day", found["one trend"]))


def _asked(standing: ScoreDetail) -> bytes:
    target = standing.targets["target-50"]
    return msgspec.json.encode((standing.system.success_percent, target.jobs, target.jobs.percent))


def _searched(flat: dict[str, float]) -> bytes:
    succeeded = sum(number for key, number in flat.items() if 'state="succeeded"' in key)
    failed = sum(number for key, number in flat.items() if 'state="failed"' in key)
    target = [number for key, number in flat.items() if "target-50" in key]
    return msgspec.json.encode((100 * succeeded / (succeeded + failed), target))


def _timed(work: Callable[[int], object]) -> Callable[[], float]:
    def measure() -> float:
        begin, number = time.process_time(), 0
        while time.process_time() - begin < _LEAST:
            work(number)
            number += 1
        return (time.process_time() - begin) / number * 1000

    return measure
