"""How publishing stands, put together from what collectors found."""

from __future__ import annotations

import time

import pytest

from exporter.publishing.deliveries import Tally
from exporter.publishing.dialects.translate import Rows
from exporter.publishing.health import HealthDetail
from exporter.publishing.latency import Cell, Latency
from exporter.publishing.outlook import NOTHING, Hour, View
from exporter.publishing.refresh import DiscoveryDetail, TargetPicture
from exporter.publishing.score import Basis
from exporter.publishing.signals import LastPublish, Signal, Use
from exporter.publishing.statistics import Book, ScoreDetail
from exporter.publishing.upstream import UpstreamDetail, UpstreamState
from exporter.publishing.verdict import HealthState
from exporter.publishing.world import World
from tests.publishing.services import WALL, health, jobs, replica, rows, service

BUCKETS = (0.5, 1.0)


def durations(quick: float, slow: float) -> Rows:
    return rows("job_duration_seconds", {("ops", "high"): (quick, slow, 0.0, quick * 0.3 + slow * 0.8)}, BUCKETS)


def world(*upstreams: UpstreamState, **states: HealthState) -> World:
    targets = tuple(health(name.replace("_", "-"), state) for name, state in states.items())
    return World.of({"health": HealthDetail(targets), "queue": UpstreamDetail(upstreams)})


def stands(world: World, view: View = NOTHING, book: Book | None = None) -> ScoreDetail:
    return (book or Book()).standing(world, view)


def test_the_score_is_made_of_what_services_and_probes_say() -> None:
    upstream = service(
        replica(jobs(ops=(90, 10)), durations(100, 0), rows("queue_size", {("high",): 40.0, ("low",): 60.0}))
    )
    found = stands(world(upstream, ops=HealthState.HEALTHY, audit=HealthState.DEGRADED))
    components = {name: (part.value, part.basis) for name, part in found.score.components.items()}
    assert components == {
        "success": (90.0, Basis.LIFETIME),
        "availability": (50.0, Basis.NOW),
        "performance": (pytest.approx(76.25), Basis.LIFETIME),
        "queue": (90.0, Basis.NOW),
    }
    assert found.system.success_percent == 90.0
    assert found.system.queue_size == 100.0


def test_the_last_hour_takes_the_place_of_all_the_time_as_soon_as_it_is_known() -> None:
    upstream = service(replica(jobs(ops=(90, 10)), durations(100, 0)))
    hour = Hour(Tally(1, 3), Latency((Cell(4.0, 10.0),), 30.0), {"ops": Tally(1, 3)})
    found = stands(world(upstream, ops=HealthState.HEALTHY), View(hour))
    success, performance = (found.score.components[name] for name in ("success", "performance"))
    assert (success.value, success.basis) == (25.0, Basis.WINDOW)
    assert (performance.value, performance.basis) == (0.0, Basis.WINDOW)
    assert found.targets["ops"].hour == Tally(1, 3)
    assert found.targets["ops"].jobs == Tally(90, 10)


def test_an_hour_without_deliveries_has_no_success_and_the_days_before_do_not_stand_in() -> None:
    upstream = service(replica(jobs(ops=(90, 10)), durations(100, 0)))
    found = stands(world(upstream, ops=HealthState.HEALTHY), View(Hour(Tally(), Latency())))
    assert found.score.missing == ("success", "performance", "queue")
    assert found.system.success_percent is None
    assert found.targets["ops"].hour == Tally()


def test_what_cannot_be_asked_of_history_is_about_all_the_time() -> None:
    upstream = service(replica(jobs(ops=(9, 1)), durations(100, 0)))
    found = stands(world(upstream), View(Hour(Tally(1, 0), None)))
    assert [found.score.components[name].basis for name in ("success", "performance")] == [
        Basis.WINDOW,
        Basis.LIFETIME,
    ]


def test_targets_that_are_off_or_were_never_probed_do_not_count_for_availability() -> None:
    targets = (health("ops"), health("off", enabled=False), health("new", HealthState.UNKNOWN, last_probe=None))
    found = stands(World.of({"health": HealthDetail(targets)}))
    assert found.score.components["availability"].value == 100.0
    assert (found.system.targets, found.system.disabled) == (3, 1)
    assert found.system.states == {HealthState.HEALTHY: 1, HealthState.UNKNOWN: 1}


def test_nothing_known_is_nothing_claimed() -> None:
    found = stands(World.of({}))
    assert found.score.score is None
    assert (found.system.success_percent, found.system.queue_size, found.system.queue_capacity) == (None, None, None)
    assert found.targets == {}


def test_targets_are_known_without_probes_too() -> None:
    picture = TargetPicture("ops", "slack", "slack", True, "https://x", "static", "")
    found = stands(World.of({"discovery": DiscoveryDetail((picture,)), "publishers": UpstreamDetail(())}))
    assert (found.targets["ops"].type, found.targets["ops"].state) == ("slack", HealthState.UNKNOWN)


def test_a_target_has_signals_of_probes_and_of_deliveries() -> None:
    book = Book()
    for number, failed in enumerate((0, 3)):
        upstream = service(replica(jobs(ops=(5, failed)), at=WALL + number))
        found = stands(world(upstream, ops=HealthState.HEALTHY), book=book)
    target = found.targets["ops"]
    assert (target.signals[Signal.ANSWER], target.signals[Signal.PUBLISH]) == (True, False)
    assert target.last == LastPublish(failure=WALL + 1, succeeded=False)


def test_a_cycle_in_which_nothing_was_asked_costs_no_memory_of_deliveries() -> None:
    book = Book()
    for succeeded in (5, 6):
        stands(world(service(replica(jobs(ops=(succeeded, 0)))), ops=HealthState.HEALTHY), book=book)
    assert stands(world(ops=HealthState.HEALTHY), book=book).targets["ops"].last.success == WALL
    found = stands(world(service(replica(jobs(ops=(6, 1)), at=WALL + 9)), ops=HealthState.HEALTHY), book=book)
    assert found.targets["ops"].last == LastPublish(success=WALL, failure=WALL + 9, succeeded=False)


def test_history_tells_of_deliveries_before_the_start() -> None:
    last = {"ops": LastPublish(success=5.0, succeeded=True), "gone": LastPublish(success=5.0, succeeded=True)}
    found = stands(world(service(replica(jobs(ops=(5, 0)))), ops=HealthState.HEALTHY), View(last=last))
    assert found.targets["ops"].last == last["ops"]
    assert "gone" not in found.targets


def test_targets_of_services_that_are_not_configured_here_are_told() -> None:
    upstream = service(replica(jobs(ops=(1, 0), stray=(2, 1))))
    found = stands(world(upstream, ops=HealthState.HEALTHY, idle=HealthState.HEALTHY))
    assert {name: target.use for name, target in found.targets.items()} == {
        "ops": Use.USED,
        "idle": Use.UNUSED,
        "stray": Use.UNCONFIGURED,
    }
    assert (found.targets["stray"].type, found.targets["stray"].jobs) == (None, Tally(2, 1))
    assert found.system.targets == 2


def test_a_queue_that_is_empty_keeps_the_capacity_it_was_known_to_have() -> None:
    book = Book()
    seen = []
    for size, share in ((0.0, 0.0), (50.0, 0.1), (0.0, 0.0)):
        found = replica(rows("queue_size", {("high",): size}), rows("queue_capacity_utilization", {("high",): share}))
        seen.append(stands(world(service(found)), book=book).system.queue_capacity)
    assert seen == [None, 500.0, 500.0]
    both = replica(rows("queue_size", {("high",): 1.0, ("low",): 1.0}))
    assert stands(world(service(both)), book=book).system.queue_capacity is None


def test_statistics_of_a_thousand_targets_are_there_at_once() -> None:
    """They are put together once per cycle; whoever asks looks them up."""
    names = [f"target-{number}" for number in range(1000)]
    upstream = service(replica(jobs("a:1", **{name.replace("-", "_"): (9, 1) for name in names})))
    found = stands(World.of({"health": HealthDetail(tuple(map(health, names))), "queue": UpstreamDetail((upstream,))}))
    fastest = min(_timed(found) for _ in range(20))
    assert found.system.jobs == Tally(9000, 1000)
    assert fastest < 0.0001


def _timed(found: ScoreDetail) -> float:
    begin = time.perf_counter()
    assert found.system.success_percent == 90.0
    assert found.targets["target-500"].jobs.percent == 90.0
    return time.perf_counter() - begin
