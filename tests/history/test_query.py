"""What is asked is answered the same, wherever the answer is: in single snapshots, in minutes or in hours."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from math import isnan

import pytest

from exporter.history.query import MOST_LISTED, Reader
from exporter.history.retention import sweep
from exporter.model.metric import Distribution, Key, Samples, Value
from exporter.publishing.past import HOUR, MINUTE, BadRange, Selector, Series, Track
from tests.history.build import COUNTER, EPOCH, GAUGE, HISTOGRAM, Keeper, depth, jobs

JOBS = Selector("publishing_jobs_total")


def one(keeper: Keeper, selector: Selector, start: float, end: float, step: int = MINUTE) -> Track:
    """The only track there is; times count from the epoch of these tests."""
    (track,) = keeper.ask(lambda reader: reader.tracks(selector, EPOCH + start, EPOCH + end, step))
    return track


def amounts(keeper: Keeper, selector: Selector, start: float, end: float) -> list[tuple[float, float]]:
    """What was watched, and what came across gaps, of each series."""
    found = keeper.ask(lambda reader: reader.increases(selector, EPOCH + start, EPOCH + end))
    return [(increase.watched, increase.across_gaps) for increase in found]


def test_a_gauge_is_read_by_the_minute(keeper: Keeper) -> None:
    """What it was at, and which minutes are known."""
    for second, value in ((0, 2.0), (15, 4.0), (30, 3.0), (120, 9.0)):
        keeper.keep(second, depth(value))
    track = one(keeper, Selector("publishing_depth", {"queue": "a"}), 0, 180)
    assert track.series == Series("publishing_depth", GAUGE.kind, {"queue": "a"})
    assert list(track.count) == [3, 0, 1]
    assert (track.low[0], track.high[0], track.last[0], track.mean(0)) == (2.0, 4.0, 3.0, 3.0)
    assert isnan(track.last[1])
    assert isnan(track.mean(1))
    assert (track.coverage(0), track.coverage(1), track.coverage(2)) == (0.5, 0.0, 1.0)


@pytest.mark.parametrize("folded", [False, True])
def test_an_answer_does_not_depend_on_where_it_is_kept(keeper: Keeper, folded: bool) -> None:
    """Before and after an hour has moved into the tiers; also in the middle of a restart of what counts."""
    value = 1000.0
    for second in range(0, 3 * HOUR + 60, 60):
        value = 5.0 if second == 5000 // 60 * 60 else value + 2
        keeper.keep(second, jobs(value))
        if folded:
            keeper.fold()
    assert amounts(keeper, JOBS, 0, 3 * HOUR + 60) == [(2.0 * 179 + 5.0, 0.0)]
    hours = one(keeper, JOBS, 0, 3 * HOUR, HOUR)
    assert list(hours.total) == [2.0 * 59, 2.0 * 59 + 5.0, 2.0 * 60]
    assert list(hours.resets) == [0, 1, 0]


def test_tiers_agree_with_a_plain_list_of_readings(keeper: Keeper) -> None:
    """Against the simplest possible history, with series that come and go, restarts and a clock that steps."""
    chance, naive, at = random.Random(3), list[tuple[int, Key, float]](), 0
    values: dict[Key, float] = {}
    keeper.keep(at, jobs({("z", "x"): 0.0}))
    for _ in range(800):
        at += chance.choice([15] * 20 + [30, 45])
        for target in "abcdef":
            key: Key = (target, "x")
            moved = chance.choice([*[values.get(key, 0.0) + chance.randint(0, 3)] * 60, 1.0, None])
            if moved is None:
                values.pop(key, None)
            else:
                values[key] = moved
        keeper.keep(at, jobs({("z", "x"): 0.0, **values}))
        naive += [(at, key, value) for key, value in values.items()]
        if chance.random() < 0.1:
            keeper.fold()
    last: dict[Key, float] = {}
    rises: dict[tuple[str, int], float] = {}
    for when, key, value in naive:
        before = last.get(key, 0.0)
        minute = (key[0], when // 60)
        rises[minute] = rises.get(minute, 0.0) + (value - before if value >= before else value)
        last[key] = value
    tracks = keeper.ask(lambda reader: reader.tracks(JOBS, EPOCH, EPOCH + at + 60))
    assert {track.series.labels["target"] for track in tracks} == set("abcdefz")
    for track in tracks:
        name = track.series.labels["target"]
        assert [rises.get((name, minute), 0.0) for minute in range(len(track))] == list(track.total)


def test_a_histogram_is_kept_number_by_number(keeper: Keeper) -> None:
    """Its buckets are not cumulated, so that those of many add up."""
    for second, counts in ((0, (0.0, 0.0, 0.0)), (15, (3.0, 1.0, 0.0)), (30, (4.0, 1.0, 2.0))):
        keeper.keep(second, Samples.of(HISTOGRAM, {("a",): Distribution(counts, sum(counts))}))
    found = keeper.ask(lambda reader: reader.increases(Selector("publishing_seconds"), EPOCH, EPOCH + 60))
    assert {increase.series.part: increase.amount for increase in found} == {"0.1": 4, "1": 1, "+Inf": 2, "sum": 7}
    bucket = Selector("publishing_seconds", {"target": "a"}, "1")
    assert list(one(keeper, bucket, 0, 60).total) == [1.0]


def test_labels_pick_series_and_unknown_ones_pick_none(keeper: Keeper) -> None:
    """Those that are named must be equal, the others may be anything."""
    keeper.keep(0, jobs({("a", "x"): 1.0, ("b", "x"): 2.0, ("a", "y"): 3.0}))

    def picked(**labels: str) -> int:
        return len(
            keeper.ask(lambda reader: reader.tracks(Selector("publishing_jobs_total", labels), EPOCH, EPOCH + 60))
        )

    assert (picked(), picked(target="a"), picked(target="a", upstream="y")) == (3, 2, 1)
    assert (picked(target="c"), picked(nonsense="a")) == (0, 0)


def test_an_increase_reaches_back_beyond_the_minutes(keeper: Keeper) -> None:
    """Where minutes are gone hours stand in, and nothing is counted twice."""
    for second in range(0, 50 * HOUR, 600):
        keeper.keep(second, jobs(float(second)))
        keeper.fold()
    end = 50 * HOUR
    before = amounts(keeper, JOBS, 0, end)
    list(sweep(keeper.store.transaction, (EPOCH + end) * 1000, 10 * HOUR * 1000, 400 * 24 * HOUR * 1000))
    assert amounts(keeper, JOBS, 0, end) == before == [(0.0, end - 600.0)]  # ten minutes are a gap here
    assert amounts(keeper, JOBS, 5 * HOUR, end) == [(0.0, 45.0 * HOUR)]
    assert amounts(keeper, JOBS, end - 2 * HOUR, end) == [(0.0, 2.0 * HOUR)]


def test_an_hour_that_is_being_deleted_is_counted_whole(keeper: Keeper) -> None:
    """Half of its minutes are gone already; the hour itself is not."""
    for second in range(0, 6 * HOUR, 60):
        keeper.keep(second, jobs({("a", "x"): float(second), ("b", "x"): float(second)}))
        keeper.fold()
    with keeper.store.transaction() as database:
        database.execute("delete from minute where id >> 32 < ?", (EPOCH // HOUR + 2,))
        database.execute("delete from minute where id = (select min(id) from minute)")
    assert amounts(keeper, JOBS, 0, 6 * HOUR) == [(6.0 * HOUR - 60, 0.0)] * 2


def test_minutes_that_are_lived_through_again_are_added_before_and_after_they_move(keeper: Keeper) -> None:
    """The clock was set back by an hour: some of it is in the tiers, some is not."""
    for second in (*range(0, HOUR + 60, 60), *range(0, 600, 60)):
        keeper.keep(second, depth(float(second)))
        keeper.fold()
    track = one(keeper, Selector("publishing_depth"), 0, HOUR)
    assert [track.count[minute] for minute in (0, 9, 10, 59)] == [2, 2, 1, 1]
    assert (track.total[9], track.low[9], track.last[9]) == (1080.0, 540.0, 540.0)
    assert track.mean(10) == 600.0


def test_an_increase_says_how_much_of_the_time_was_watched(keeper: Keeper) -> None:
    """Half an hour of an hour, with a restart in it."""
    for second in range(0, 1815, 15):
        keeper.keep(second, jobs(float(second % 900)))
    (increase,) = keeper.ask(lambda reader: reader.increases(JOBS, EPOCH, EPOCH + HOUR))
    assert increase.coverage == 0.5
    assert increase.resets == 2
    assert increase.amount == increase.watched


def test_many_series_are_summed_up_by_step_and_label(keeper: Keeper) -> None:
    """Counters by what they rose, gauges by their means; together or by labels, in the tiers or not."""
    for second in range(0, 2 * HOUR, 60):
        names = [("a", "x"), ("b", "x"), ("a", "y")]
        keeper.keep(second, jobs({name: float(second * factor) for factor, name in enumerate(names, 1)}), depth(5.0))
        keeper.fold()

    def sums(step: int, *by: str) -> dict[tuple[str, ...], list[float]]:
        found = keeper.ask(lambda reader: reader.sums(JOBS, EPOCH + 1800, EPOCH + 2 * HOUR, step, by))
        return {tuple(each.labels.values()): list(each.total) for each in found}

    assert sums(1800) == {(): [1800.0 * 6] * 3}
    assert sums(1800, "target") == {("a",): [1800.0 * 4] * 3, ("b",): [1800.0 * 2] * 3}
    assert sums(HOUR, "upstream", "none") == {("x", ""): [3540.0 * 3, HOUR * 3.0], ("y", ""): [3540.0 * 3, HOUR * 3.0]}
    (depths,) = keeper.ask(lambda reader: reader.sums(Selector("publishing_depth"), EPOCH, EPOCH + 3 * HOUR, HOUR))
    assert list(depths.total) == [5.0, 5.0, 0.0]
    assert [round(share, 2) for share in depths.coverage] == [0.98, 1.0, 0.0]
    assert keeper.ask(lambda reader: reader.sums(Selector("unknown"), EPOCH, EPOCH + HOUR)) == ()


def test_sums_and_increases_take_more_series_than_tracks(keeper: Keeper) -> None:
    """Statistics over thousands of targets are one question."""
    for second in (0, 15):
        keeper.keep(second, jobs({(f"t{number}", "x"): float(second) for number in range(3000)}))
    (together,) = keeper.ask(lambda reader: reader.sums(JOBS, EPOCH, EPOCH + 60))
    assert list(together.total) == [45_000.0]
    assert len(amounts(keeper, JOBS, 0, 60)) == 3000


def test_gauges_have_no_increase(keeper: Keeper) -> None:
    """They are left out."""
    keeper.keep(0, depth(1.0))
    assert amounts(keeper, Selector("publishing_depth"), 0, 60) == []


def test_the_last_reading_is_that_of_one_snapshot(keeper: Keeper) -> None:
    """Of the newest, or of the one with a number; what is gone is not there."""
    keeper.keep(0, depth(1.0), jobs(5.0))
    keeper.keep(15, jobs(7.0))
    ((series, point),) = keeper.ask(lambda reader: reader.last(JOBS))
    assert series.labels == {"target": "a", "upstream": "x"}
    assert (point.at, point.value, point.snapshot) == (EPOCH + 15, 7.0, 2)
    ((_, point),) = keeper.ask(lambda reader: reader.last(JOBS, 1))
    assert (point.value, point.snapshot) == (5.0, 1)
    assert keeper.ask(lambda reader: reader.last(Selector("publishing_depth"))) == ()
    assert keeper.ask(lambda reader: reader.last(JOBS, 99)) == ()


def test_single_readings_are_as_they_were_made(keeper: Keeper) -> None:
    """Raw numbers with the snapshots they were in."""
    for number in range(4):
        keeper.keep(15 * number, jobs(float(number)))
    ((_, points),) = keeper.ask(lambda reader: reader.readings(JOBS, EPOCH + 15, EPOCH + 45))
    assert [(point.value, point.snapshot) for point in points] == [(1.0, 2), (2.0, 3)]


def test_what_is_kept_is_listed_page_by_page(keeper: Keeper) -> None:
    """By family, with the total."""
    keeper.keep(0, depth(1.0), jobs({(f"t{number:02}", "x"): 1.0 for number in range(30)}))
    total, page = keeper.ask(lambda reader: reader.listing("publishing_jobs", limit=10, offset=20))
    assert total == 30
    assert [series.labels["target"] for series in page] == [f"t{number}" for number in range(20, 30)]
    assert keeper.ask(lambda reader: reader.listing())[0] == 31


@pytest.mark.parametrize(
    "question",
    [
        lambda reader: reader.tracks(JOBS, 10.0, 10.0),
        lambda reader: reader.tracks(JOBS, 20.0, 10.0),
        lambda reader: reader.tracks(JOBS, float("nan"), 10.0),
        lambda reader: reader.tracks(JOBS, 0.0, float("inf")),
        lambda reader: reader.tracks(JOBS, -1.0, 10.0),
        lambda reader: reader.tracks(JOBS, 0.0, 600.0, 0),
        lambda reader: reader.tracks(JOBS, 0.0, 600.0, -60),
        lambda reader: reader.tracks(JOBS, 0.0, 600.0, 90),
        lambda reader: reader.tracks(JOBS, 0.0, 4e9),
        lambda reader: reader.increases(JOBS, 5.0, 1.0),
        lambda reader: reader.sums(JOBS, 0.0, 600.0, 61),
        lambda reader: reader.readings(JOBS, 5.0, 1.0),
        lambda reader: reader.listing(limit=-1),
        lambda reader: reader.listing(limit=MOST_LISTED + 1),
        lambda reader: reader.listing(offset=-1),
    ],
    ids=map(str, range(15)),
)
def test_questions_that_make_no_sense_or_are_too_large_are_refused(
    keeper: Keeper, question: Callable[[Reader], object]
) -> None:
    """With words for whoever asked."""
    keeper.keep(0, jobs(1.0))
    with pytest.raises(BadRange):
        keeper.ask(question)


def test_too_many_series_at_once_are_refused(keeper: Keeper) -> None:
    """Labels narrow it down."""
    keeper.keep(0, jobs({(f"t{number}", "x"): 1.0 for number in range(1001)}))
    with pytest.raises(BadRange, match="more than 1000 series"):
        keeper.ask(lambda reader: reader.tracks(JOBS, EPOCH, EPOCH + 60))


def test_series_far_apart_are_found_as_those_side_by_side(keeper: Keeper) -> None:
    """Whether rows are read as a range or one by one."""
    many: dict[Key, Value] = {(f"t{number}", "x" if number % 40 else "y"): float(number) for number in range(400)}
    for second in (0, HOUR):
        keeper.keep(second, jobs(many))
    keeper.fold()
    tracks = keeper.ask(lambda reader: reader.tracks(Selector(COUNTER.name, {"upstream": "y"}), EPOCH, EPOCH + HOUR))
    assert [track.last[0] for track in tracks] == [float(number) for number in range(0, 400, 40)]


def test_longer_steps_are_made_of_shorter_ones(keeper: Keeper) -> None:
    """Five minutes from minutes, with a gap among them; the last may be cut short."""
    for second in [*range(0, 420, 60), *range(900, 1200, 60)]:
        keeper.keep(second, depth(float(second)))
    track = one(keeper, Selector("publishing_depth"), 0, 1200)
    five = track.regrouped(300)
    assert track.regrouped(60) is track
    assert list(five.count) == [5, 2, 0, 5]
    assert (five.low[0], five.high[0], five.last[0], five.mean(0)) == (0.0, 240.0, 240.0, 120.0)
    assert isnan(five.low[2])
    assert len(track.regrouped(720)) == 2
    with pytest.raises(BadRange):
        track.regrouped(90)
    assert json.dumps(list(one(keeper, Selector("publishing_depth"), 0, 1200, 300).count)) == "[5.0, 2.0, 0.0, 5.0]"
