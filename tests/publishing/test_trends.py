"""Is it getting worse: a day and an hour in intervals of five minutes, made up."""

from __future__ import annotations

from math import nan
from random import Random

import pytest

from exporter.publishing.trends import (
    BASELINE,
    RECENT,
    Change,
    Direction,
    Material,
    Ratio,
    of_errors,
    of_latency,
    of_queue,
    trends,
)


def errors(day: float = 0.0, hour: float = 0.0, jobs: float = 50.0) -> Ratio:
    """Error rates of the day and of the hour after it."""
    return Ratio([day * jobs] * BASELINE + [hour * jobs] * RECENT, [jobs] * (BASELINE + RECENT))


def with_outage(usual: Ratio, minutes: int, back: int = 3) -> Ratio:
    """Everything fails for so long, beginning so many intervals before the end."""
    failed, left = list(usual.part), float(minutes)
    at = len(failed) - back
    while left > 0:
        share = min(left, 5.0) / 5.0
        failed[at] += share * (usual.whole[at] - failed[at])
        at, left = at + 1, left - 5.0
    return Ratio(failed, usual.whole)


def noisy(rate: float, jobs: int, seed: int, intervals: int = BASELINE + RECENT) -> Ratio:
    luck = Random(seed)
    return Ratio([float(sum(luck.random() < rate for _ in range(jobs))) for _ in range(intervals)], [jobs] * intervals)


# -- the three behaviours that must not come back, and too little data


@pytest.mark.parametrize("jobs", [5.0, 50.0, 5000.0])
@pytest.mark.parametrize("usual", [0.0, 0.01])
def test_W_A7_an_outage_of_five_minutes_after_a_quiet_day_is_a_spike(usual: float, jobs: float) -> None:
    found = of_errors(with_outage(errors(usual, usual, jobs), minutes=5))
    assert found.spike is True
    assert found.success_trend is (Direction.DECREASING if jobs > 5 or not usual else Direction.STABLE)


def test_an_outage_that_straddles_two_intervals_is_a_spike_as_well() -> None:
    outage = errors()
    failed = list(outage.part)
    failed[-4:-2] = [25.0, 25.0]
    assert of_errors(Ratio(failed, outage.whole)).spike is True


def test_an_outage_after_a_day_in_which_nothing_was_sent_is_a_spike() -> None:
    whole, failed = [0.0] * (BASELINE + RECENT), [0.0] * (BASELINE + RECENT)
    whole[-2] = failed[-2] = 5.0
    found = of_errors(Ratio(failed, whole))
    assert (found.spike, found.baseline, found.success_trend) == (True, None, Direction.INSUFFICIENT)


def test_an_outage_that_is_going_on_is_noticed_with_its_first_failures() -> None:
    assert of_errors(with_outage(errors(), minutes=1, back=1)).spike is True


@pytest.mark.parametrize("change", [1e-6, -1e-6])
def test_W_A7_a_change_of_one_millionth_is_none(change: float) -> None:
    found = of_errors(errors(0.1, 0.1 + change))
    assert (found.spike, found.success_trend) == (False, Direction.STABLE)
    seconds = [0.2] * BASELINE + [0.2 + change] * RECENT
    assert of_latency(Ratio(seconds, [1.0] * len(seconds))).trend is Direction.STABLE
    assert of_queue([5.0] * BASELINE + [5.0 + change * at for at in range(RECENT)]).trend is Direction.STABLE


@pytest.mark.parametrize("left", [0.0, 0.1])
def test_W_A7_an_improvement_is_not_a_spike(left: float) -> None:
    found = of_errors(errors(0.5, left))
    assert (found.spike, found.success_trend) == (False, Direction.INCREASING)
    assert found.success_change == pytest.approx(0.5 - left)


def test_W_A7_what_is_certain_and_small_matters_to_nobody() -> None:
    """Of so many deliveries chance changes nothing: what is left is whether the change is worth a word."""
    found = of_errors(errors(0.1, 0.1 + 1e-6, jobs=1e15))
    assert (found.spike, found.success_trend) == (False, Direction.STABLE)
    assert of_errors(errors(0.01, 0.05, jobs=1e15)).spike is False


@pytest.mark.parametrize("samples", [0, 3, 11])
def test_W_A7_with_a_few_samples_there_is_too_little_data(samples: int) -> None:
    gap = [nan] * (BASELINE + RECENT - samples)
    found = trends(
        Material(
            errors=Ratio([*gap, *[9.0] * samples], [*gap, *[10.0] * samples]),
            latency=Ratio([*gap, *[1.0] * samples], [*gap, *[1.0] * samples]),
            depth=[*gap, *[100.0 * at for at in range(samples)]],
        ),
        at=1.0,
    )
    assert (found.errors.spike, found.errors.success_trend) == (None, Direction.INSUFFICIENT)
    assert (found.latency.trend, found.queue.trend) == (Direction.INSUFFICIENT, Direction.INSUFFICIENT)
    assert (found.errors.recent_samples, found.errors.baseline_samples) == (samples, 0)
    assert found.errors.current == (0.9 if samples else None)


def test_without_anything_that_counts_there_is_too_little_data() -> None:
    found = trends(Material(), at=1.0)
    assert (found.errors.spike, found.latency, found.queue) == (None, Change(), Change())


# -- chance


@pytest.mark.parametrize("jobs", [1, 3, 20])
@pytest.mark.parametrize("rate", [0.001, 0.02, 0.2])
def test_chance_alone_is_neither_a_spike_nor_a_trend(rate: float, jobs: int) -> None:
    found = [of_errors(noisy(rate, jobs, seed)) for seed in range(100)]
    assert sum(bool(one.spike) for one in found) <= 1
    assert sum(one.success_trend is not Direction.STABLE for one in found) <= 1


def test_two_failures_of_two_are_no_spike() -> None:
    failed, whole = [0.0] * (BASELINE + RECENT), [2.0] * (BASELINE + RECENT)
    failed[-2] = 2.0
    assert of_errors(Ratio(failed, whole)).spike is False


def test_a_bad_hour_yesterday_does_not_hide_one_today() -> None:
    before = with_outage(errors(), minutes=60, back=100)
    assert of_errors(before).spike is False
    assert of_errors(with_outage(before, minutes=5)).spike is True


def test_the_hour_that_is_judged_is_no_part_of_what_is_usual() -> None:
    found = of_errors(errors(0.0, 1.0))
    assert (found.baseline, found.current) == (0.0, 1.0)


def test_a_rise_too_slow_for_any_interval_is_seen_in_the_hour() -> None:
    found = of_errors(errors(0.0, 0.1, jobs=10.0))
    assert found.spike is True


def test_what_nobody_watched_is_not_taken_for_quiet() -> None:
    usual = errors(0.3, 0.3)
    failed, whole = list(usual.part), list(usual.whole)
    failed[12:200] = whole[12:200] = [nan] * 188
    found = of_errors(Ratio(failed, whole))
    assert found.baseline == pytest.approx(0.3)
    assert (found.spike, found.baseline_samples) == (False, 100)


def test_a_recovery_is_seen_in_the_latest_minutes_first() -> None:
    outage = with_outage(errors(), minutes=5, back=3)
    found = of_errors(outage)
    assert found.latest == 0.0
    assert found.current == pytest.approx(1 / 12)


# -- latency


@pytest.mark.parametrize(
    ("usual", "now", "trend"),
    [
        (0.2, 0.4, Direction.DEGRADING),
        (0.4, 0.2, Direction.IMPROVING),
        (0.2, 0.22, Direction.STABLE),
        (0.001, 0.004, Direction.STABLE),
    ],
)
def test_latency_has_a_trend_if_it_is_another_by_far(usual: float, now: float, trend: Direction) -> None:
    jobs = 10.0
    seconds = [usual * jobs] * BASELINE + [now * jobs] * RECENT
    found = of_latency(Ratio(seconds, [jobs] * len(seconds)))
    assert found.trend is trend
    assert found.change == pytest.approx(now - usual)
    assert [found.baseline, found.current] == pytest.approx([usual, now])


def test_latency_that_is_always_different_has_no_trend() -> None:
    luck = Random(1)
    hours = [luck.uniform(0.1, 1.0) for _ in range(25)]
    seconds = [hour for hour in hours for _ in range(12)]
    assert of_latency(Ratio(seconds, [1.0] * len(seconds))).trend is Direction.STABLE


def test_latency_is_not_known_where_nothing_was_delivered() -> None:
    nothing = [0.0] * (BASELINE + RECENT)
    assert of_latency(Ratio(nothing, nothing)) == Change()


# -- queue


@pytest.mark.parametrize(
    ("step", "trend"), [(5.0, Direction.GROWING), (-5.0, Direction.SHRINKING), (0.1, Direction.STABLE)]
)
def test_a_queue_that_grows_for_an_hour_is_said_to(step: float, trend: Direction) -> None:
    found = of_queue([100.0] * BASELINE + [100.0 + step * at for at in range(RECENT)])
    assert found.trend is trend
    assert found.change == pytest.approx(step / 5.0)
    assert [found.baseline, found.current] == pytest.approx([100.0, 100.0 + step * 11])


def test_one_reading_out_of_line_is_no_growth() -> None:
    assert of_queue([0.0] * (BASELINE + RECENT - 1) + [900.0]).trend is Direction.STABLE


def test_a_queue_that_always_moves_so_much_is_stable() -> None:
    hours = [(0.0 if hour % 2 else 50.0) for hour in range(24)]
    baseline = [hour for hour in hours for _ in range(12)]
    assert of_queue(baseline + [4.0 * at for at in range(RECENT)]).trend is Direction.STABLE


def test_gaps_do_not_make_a_queue_grow_faster() -> None:
    rise = [10.0 * at for at in range(RECENT)]
    rise[3:7] = [nan] * 4
    found = of_queue([0.0] * BASELINE + rise)
    assert found.change == pytest.approx(2.0)
    assert of_queue([0.0] * BASELINE + [nan] * 7 + rise[7:]).trend is Direction.INSUFFICIENT


def test_W_A8_each_series_has_a_threshold_of_its_own_in_its_own_unit() -> None:
    """Five of something is nothing for a queue, much for an error rate, and for latency it depends on the rest."""
    found = trends(
        Material(
            errors=errors(0.0, 0.05 + 1e-9, jobs=500.0),
            latency=Ratio([0.1] * BASELINE + [0.105] * RECENT, [1.0] * (BASELINE + RECENT)),
            depth=[5.0] * BASELINE + [5.0 + 5.0 * at / RECENT for at in range(RECENT)],
        ),
        at=1.0,
    )
    assert found.errors.spike is True
    assert (found.latency.trend, found.queue.trend) == (Direction.STABLE, Direction.STABLE)


def test_every_target_is_judged_by_itself() -> None:
    found = trends(Material(targets={"a": errors(0.0, 1.0), "b": errors()}), at=2.0)
    assert [found.targets[name].spike for name in "ab"] == [True, False]
    assert found.at == 2.0
