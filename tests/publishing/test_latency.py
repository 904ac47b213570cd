"""Durations from histograms with different buckets."""

from __future__ import annotations

from math import inf, nan

import pytest

from exporter.publishing.latency import Cell, Latency, latency, timings
from tests.publishing.services import replica, rows, service

JOBS, PUBLISHER = "job_duration_seconds", "publisher_duration_seconds"


def of(*upstreams: object) -> Latency:
    return latency(timings(upstreams))  # type: ignore[arg-type]


def test_a_quantile_is_found_within_its_bucket() -> None:
    found = Latency.of([Cell(0.1, 50.0), Cell(1.0, 50.0), Cell(inf, 0.0)], 20.0)
    assert found.quantile(0.5) == pytest.approx(0.1)
    assert found.quantile(0.95) == pytest.approx(0.91)
    assert found.quantile(0.25) == pytest.approx(0.05)


def test_without_a_delivery_there_is_no_quantile() -> None:
    assert Latency().quantile(0.95) is None
    assert Latency.of([Cell(1.0, 0.0), Cell(inf, 0.0)], 0.0).quantile(0.95) is None


def test_what_took_longer_than_the_last_bound_took_as_long_as_the_sum_says() -> None:
    """A service whose buckets end at half a second does not look as if it were that fast."""
    found = Latency.of([Cell(0.512, 10.0), Cell(inf, 90.0)], 10 * 0.256 + 90 * 4.0)
    assert found.quantile(0.95) == pytest.approx(4.0)
    assert Latency.of([Cell(0.512, 10.0), Cell(inf, 90.0)], nan).quantile(0.95) == 0.512
    assert Latency.of([Cell(inf, 4.0)], 12.0).quantile(0.95) == 3.0


def test_histograms_with_different_buckets_are_put_together() -> None:
    first = service(replica(rows(JOBS, {("ops", "high"): (90.0, 0.0, 9.0)}, (0.1,))))
    second = service(
        replica(rows(JOBS, {("ops", "low"): (0.0, 10.0, 0.0, 5.0)}, (0.2, 0.6), "other/b:1"), name="b:1"), name="other"
    )
    found = of(first, second)
    assert found == Latency((Cell(0.1, 90.0), Cell(0.2, 0.0), Cell(0.6, 10.0), Cell(inf, 0.0)), 14.0)


def test_publishers_stand_in_where_nothing_is_said_of_jobs() -> None:
    publishers = rows(PUBLISHER, {("slack", ""): (1.0, 0.0, 0.1)}, (0.5,))
    assert of(service(replica(publishers))).number == 1.0
    jobs = rows(JOBS, {("ops", "high"): (7.0, 0.0, 0.7), ("b", "low"): (1.0, 0.0, 0.1)}, (0.5,))
    assert of(service(replica(publishers, jobs))).number == 8.0


def test_the_hop_before_is_quick_and_counts_only_where_there_is_nothing_else() -> None:
    hop = rows(PUBLISHER, {("alertmanager", "http://am"): (1000.0, 0.0, 1.0)}, (0.5,), "prometheus/p:1")
    before = service(replica(hop, name="p:1"), name="prometheus")
    assert of(before).number == 1000.0
    slow = service(replica(rows(PUBLISHER, {("slack", ""): (0.0, 3.0, 9.0)}, (0.5,))))
    assert of(before, slow).quantile(0.95) == 3.0


def test_numbers_that_are_none_are_left_out() -> None:
    assert of(service(replica(rows(JOBS, {("ops", "high"): (nan, 2.0, nan)}, (0.5,))))) == Latency((Cell(inf, 2.0),), 0)
