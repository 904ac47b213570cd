from __future__ import annotations

import pytest

from exporter.model.reason import Outcome, Reason
from exporter.model.snapshot import Record, Snapshot
from exporter.publishing.health import HealthDetail, TargetHealth
from exporter.publishing.verdict import HealthState
from exporter.web.summary import Level, Summary, summarise, targets_of
from tests.web.conftest import snapshot, target, trouble

NOW = 1000.0


def told(shown: Snapshot | None, now: float = NOW) -> Summary:
    return summarise(shown, targets_of(shown) if shown else (), now)


def with_targets(*targets: TargetHealth) -> Snapshot:
    return snapshot(1, details={"health": HealthDetail(targets)})


def test_all_is_well() -> None:
    summary = told(snapshot())
    assert (summary.headline.level, summary.others) == (Level.OK, ())
    assert summary.headline.text == "All 2 collectors fine · 2 of 2 targets healthy"


def test_before_the_first_cycle() -> None:
    assert told(None).headline.text == "Starting: no cycle has ended yet"


def test_cycles_that_have_stopped_come_first() -> None:
    summary = told(trouble(), now=2000.0)
    assert (summary.headline.level, summary.headline.text[:19]) == (Level.BAD, "Cycles have stopped")


def test_the_worst_comes_first_and_the_good_last() -> None:
    summary = told(trouble())
    assert summary.headline.text == "1 of 4 collectors failing: queue (timeout)"
    assert [clause.text for clause in summary.others] == [
        "2 of 6 targets unhealthy: legacy-receiver, on-call",
        "1 of 6 targets degraded: audit-webhook",
        "1 of 6 targets unknown",
        "2 of 6 targets healthy",
    ]


def test_few_are_named_and_the_rest_counted() -> None:
    many = [target(f"t{number}", HealthState.UNHEALTHY) for number in range(5)]
    assert told(with_targets(*many)).headline.text == "5 of 5 targets unhealthy: t0, t1, t2 and 2 more"


def test_a_disabled_target_counts_for_nothing() -> None:
    summary = told(with_targets(target("a"), target("b", HealthState.UNHEALTHY, enabled=False)))
    assert summary.headline.text == "All 2 collectors fine · 1 of 1 target healthy"


def test_without_health_there_are_no_targets() -> None:
    assert told(snapshot(1, details={})).headline.text == "All 2 collectors fine"
    assert told(snapshot(1, details={"health": "something else"})).headline.text == "All 2 collectors fine"


@pytest.mark.parametrize(
    ("outcome", "level"), [(Outcome.ERROR, Level.BAD), (Outcome.TIMEOUT, Level.BAD), (Outcome.BACKOFF, Level.WARN)]
)
def test_a_failing_collector_is_as_bad_as_its_outcome(outcome: Outcome, level: Level) -> None:
    summary = told(snapshot(1, records={"health": Record("health", outcome, Reason.AUTH)}, details={}))
    assert (summary.headline.level, summary.headline.text) == (level, "1 of 1 collector failing: health (auth)")


def test_one_collector_and_none() -> None:
    one = {"health": Record("health", Outcome.PARTIAL)}
    assert told(snapshot(1, records=one, details={})).headline.text == "The collector is fine"
    off = {"health": Record("health", Outcome.DISABLED)}
    assert told(snapshot(1, records=off, details={})).headline.text == "No collector is enabled"


def test_targets_are_sorted_the_worst_first() -> None:
    assert [one.name for one in targets_of(trouble())] == [
        "legacy-receiver",
        "on-call",
        "audit-webhook",
        "new-team",
        "ops-slack",
        "rootly-prod",
        "old-team",
    ]
