"""Tracks and sums: what a gap is, and how longer steps come of shorter ones."""

from __future__ import annotations

from math import isnan

import pytest

from exporter.model.metric import Kind
from exporter.publishing.past import HOUR, MINUTE, BadRange, Increase, Series, Sum, Track

GAUGE = Series("publishing_depth", Kind.GAUGE, {"queue": "a"})
COUNTER = Series("publishing_jobs_total", Kind.COUNTER, {"target": "a"})


def track(series: Series, *totals: float | None, step: int = MINUTE) -> Track:
    """One reading per step; None is a gap."""
    made = Track.empty(series, 0, step, len(totals))
    for at, total in enumerate(totals):
        if total is not None:
            made.low[at] = made.high[at] = made.total[at] = made.last[at] = total
            made.count[at], made.covered[at] = 1.0, float(step)
    return made


@pytest.mark.parametrize(
    ("kind", "part", "counts"),
    [
        (Kind.COUNTER, "", True),
        (Kind.GAUGE, "", False),
        (Kind.UNKNOWN, "", False),
        (Kind.HISTOGRAM, "0.5", True),
        (Kind.HISTOGRAM, "sum", True),
        (Kind.SUMMARY, "0.5", False),
        (Kind.SUMMARY, "sum", True),
        (Kind.SUMMARY, "count", True),
    ],
)
def test_what_only_rises_is_a_counter(kind: Kind, part: str, counts: bool) -> None:
    """Quantiles are not, what they were computed from is."""
    assert Series("publishing_x", kind, {}, part).counts is counts


def test_a_gap_is_a_gap_and_never_a_zero() -> None:
    """What cannot be known is no number, what did not happen while watched is 0."""
    made = track(GAUGE, 0.0, None)
    assert (made.mean(0), made.last[0], made.coverage(0)) == (0.0, 0.0, 1.0)
    assert isnan(made.mean(1))
    assert isnan(made.low[1])
    assert (made.count[1], made.coverage(1)) == (0.0, 0.0)


def test_longer_steps_leave_gaps_out() -> None:
    """Two of three minutes were watched."""
    longer = track(GAUGE, 4.0, None, 1.0, None, None, None).regrouped(3 * MINUTE)
    assert (longer.low[0], longer.high[0], longer.last[0], longer.mean(0)) == (1.0, 4.0, 1.0, 2.5)
    assert round(longer.coverage(0), 3) == 0.667
    assert isnan(longer.low[1])
    assert len(longer) == 2


@pytest.mark.parametrize("step", [0, -60, 30, 90])
def test_steps_that_do_not_fit_are_refused(step: int) -> None:
    """They would tear a minute apart."""
    with pytest.raises(BadRange):
        track(GAUGE, 1.0).regrouped(step)


def test_counters_add_up_by_what_they_rose_and_gauges_by_their_means() -> None:
    """Jobs of all targets; the depth of all queues."""
    together = Sum.empty({}, 0, 2 * MINUTE, 2)
    together.add(track(COUNTER, 1.0, 2.0, None, None))
    together.add(track(COUNTER, 5.0, None, None, None))
    assert (list(together.total), list(together.coverage)) == ([8.0, 0.0], [1.0, 0.0])
    depth = Sum.empty({}, 0, HOUR, 1)
    depth.add(track(GAUGE, 3.0, 5.0))
    depth.add(track(GAUGE, 10.0, 10.0))
    assert list(depth.total) == [14.0]


def test_an_increase_has_all_of_it_in_its_amount() -> None:
    """What was watched and what came across gaps."""
    assert Increase(COUNTER, 3.0, 4.0, 0.5, 0).amount == 7.0
