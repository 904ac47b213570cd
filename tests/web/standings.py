"""Snapshots that tell how publishing stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from exporter.model.metric import Family, Kind, Samples
from exporter.model.reason import Outcome, Reason
from exporter.model.snapshot import Record, Snapshot
from exporter.publishing.deliveries import Tally
from exporter.publishing.health import HealthDetail
from exporter.publishing.outlook import Hour, View
from exporter.publishing.signals import LastPublish
from exporter.publishing.statistics import Book, ScoreDetail
from exporter.publishing.trends import Change, Direction, ErrorTrend, Trends
from exporter.publishing.upstream import UpstreamDetail
from exporter.publishing.verdict import HealthState
from exporter.publishing.world import World
from tests.publishing.services import health, jobs, replica, rows, service
from tests.web.conftest import WALL, snapshot

SECONDS = Family(
    "publishing_job_duration_seconds", "Time.", Kind.HISTOGRAM, ("target", "priority"), "seconds", bounds=(0.5, 1.0)
)
JOBS = Family("publishing_jobs_processed_total", "Jobs.", Kind.COUNTER, ("target", "state"))
LATENCY = Family("publishing_latency", "Time.", Kind.SUMMARY, ("target",), bounds=(0.5,))
SPIKE = ErrorTrend(
    baseline=0.01,
    current=0.25,
    latest=0.5,
    spike=True,
    success_trend=Direction.DECREASING,
    success_change=-0.24,
    baseline_samples=288,
    recent_samples=12,
)
TRENDS = Trends(
    at=WALL - 10.0,
    errors=SPIKE,
    latency=Change(Direction.DEGRADING, 0.2, 0.1, 0.3),
    queue=Change(Direction.GROWING, 2.5, 10.0, 160.0),
    targets={"on-call": SPIKE, "ops-slack": replace(SPIKE, spike=False)},
)


def detail(view: View | None = None, **states: HealthState) -> ScoreDetail:
    """Two targets and one that nobody configured; deliveries to `on-call` fail at last."""
    targets = tuple(
        health(name, state, type=kind)
        for name, kind, state in (
            ("ops-slack", "slack", states.get("ops", HealthState.HEALTHY)),
            ("on-call", "pagerduty", states.get("call", HealthState.UNHEALTHY)),
            ("ops", "slack", HealthState.HEALTHY),
        )
    )
    book = Book()
    for failed in (5, 10):
        upstream = service(
            replica(
                jobs(ops_slack=(90, 0), on_call=(0, failed), stray=(1, 0)),
                rows("queue_size", {("high",): 60.0, ("low",): 100.0}),
                rows("queue_capacity_utilization", {("high",): 0.12, ("low",): 0.2}),
                rows("job_duration_seconds", {("ops-slack", "high"): (100.0, 0.0, 0.0, 30.0)}, (0.5, 1.0)),
                at=WALL - 10,
            )
        )
        world = World.of({"health": HealthDetail(targets), "queue": UpstreamDetail((upstream,))})
        found = book.standing(world, view or View(trends=TRENDS))
    return found


def standing(number: int = 1, /, details: Mapping[str, object] | None = None, **more: Any) -> Snapshot:
    """A snapshot with all of it."""
    found = more.pop("score", None) or detail()
    usual = snapshot(number)
    queue = (
        Samples.of(JOBS, {("ops-slack", "succeeded"): 90.0, ("on-call", "failed"): float("inf")}),
        Samples(SECONDS, (("ops-slack", "high"),), (60.0, 40.0, 0.0, 30.0)),
        Samples(LATENCY, (("ops",),), (float("nan"), 3.0, 2.0)),
    )
    records = {
        **usual.records,
        "publishers": Record("publishers", Outcome.PARTIAL, Reason.CONNECT, "history b:1: refused", WALL, 0.1, WALL),
        "score": Record("score", Outcome.OK, None, "", WALL - 4.0, 0.0001, WALL - 4.0),
    }
    told = {**(details or usual.details), "queue": UpstreamDetail(found.upstreams), "score": found}
    return replace(usual, **{"samples": {"queue": queue}, "records": records, "details": told, **more})


HOUR = View(Hour(Tally(3, 1), None, {"on-call": Tally(0, 1)}), TRENDS, {"ops": LastPublish(WALL - 500.0, None, True)})
