"""Which metrics are kept, by which ids, and what happens when there are too many."""

from __future__ import annotations

import logging

import pytest

from exporter.history.roster import Roster, parts_of
from exporter.model.metric import Distribution, Family, Key, Kind, Samples, Value
from exporter.publishing.past import Selector
from tests.history.build import COUNTER, EPOCH, HISTOGRAM, Keeper, depth, jobs

OTHER = Family("other_depth", "Not of interest.", Kind.GAUGE)


def metrics(keeper: Keeper) -> list[tuple[int, str]]:
    return keeper.store.database.execute("select id, family from metric order by id").fetchall()


def count(keeper: Keeper, table: str) -> int:
    return int(keeper.store.database.execute(f"select count(*) from {table}").fetchone()[0])


def capped(keeper: Keeper, most: int) -> list[int]:
    """Puts a cap on the keeper's roster; returns what it will be told it left out."""
    left_out: list[int] = []
    keeper.store.roster = Roster(keeper.store.database, left_out.append, most)
    keeper.store.roster.keep(("publishing_*",))
    return left_out


def test_only_families_that_are_asked_for_are_kept(keeper: Keeper) -> None:
    """By globs on their names, which can change while it runs."""
    keeper.keep(0, depth(1.0), jobs(1.0), Samples.of(OTHER, 1.0))
    assert [family for _, family in metrics(keeper)] == ["publishing_depth", "publishing_jobs_total"]
    keeper.store.roster.keep(("other_*", "*_jobs_total"))
    keeper.keep(15, depth(1.0), jobs(1.0), Samples.of(OTHER, 1.0))
    assert {family for _, family in metrics(keeper)} == {"publishing_depth", "publishing_jobs_total", "other_depth"}
    found = keeper.ask(lambda reader: reader.last(Selector("publishing_depth")))
    assert found == ()


def test_each_number_of_a_metric_has_an_id(keeper: Keeper) -> None:
    """Side by side, so that they are read together."""
    keeper.keep(0, Samples.of(HISTOGRAM, {(name,): Distribution((1.0, 0.0, 0.0), 0.1) for name in "ab"}), depth(1.0))
    assert [id for id, _ in metrics(keeper)] == [1, 5, 9]


def test_parts_are_named_as_on_the_page() -> None:
    """Bounds without noise, and what is not a bucket by its name."""
    assert parts_of(HISTOGRAM) == ["0.1", "1", "+Inf", "sum"]
    summary = Family("publishing_s", "S.", Kind.SUMMARY, bounds=(0.5, 0.99))
    assert parts_of(summary) == ["0.5", "0.99", "sum", "count"]
    odd = Family("publishing_h", "H.", Kind.HISTOGRAM, bounds=(0.1 + 0.2,))
    assert parts_of(odd)[0] == "0.30000000000000004"


def test_the_same_metrics_in_another_order_are_the_same_layout(keeper: Keeper) -> None:
    """An upstream that lists its series differently each time costs nothing."""
    keeper.keep(0, jobs({("a", "x"): 1.0, ("b", "x"): 2.0}))
    keeper.keep(15, jobs({("b", "x"): 4.0, ("a", "x"): 3.0}), depth(5.0))
    keeper.keep(30, depth(5.0), jobs({("b", "x"): 4.0, ("a", "x"): 3.0}))
    assert count(keeper, "layout") == 2
    found = keeper.ask(lambda reader: reader.last(Selector("publishing_jobs_total")))
    assert {series.labels["target"]: point.value for series, point in found} == {"a": 3.0, "b": 4.0}


def test_a_snapshot_of_nothing_is_kept_as_well(keeper: Keeper) -> None:
    """It tells that somebody looked."""
    keeper.keep(0)
    keeper.keep(15, jobs(3.0))
    assert count(keeper, "raw") == 2


def test_a_new_counter_of_a_watched_upstream_began_at_zero(keeper: Keeper) -> None:
    """And one of an upstream nobody watched before began nobody knows where; so it is for each replica by itself."""
    replicas = Family("publishing_r_total", "R.", Kind.COUNTER, ("upstream", "replica", "state"))
    keeper.keep(0, Samples.of(replicas, {("x", "1", "ok"): 100.0}))
    new: dict[Key, Value] = {
        ("x", "1", "ok"): 100.0,
        ("x", "1", "failed"): 4.0,
        ("x", "2", "failed"): 700.0,
        ("y", "1", "ok"): 9.0,
    }
    keeper.keep(15, Samples.of(replicas, new))
    found = keeper.ask(lambda reader: reader.increases(Selector("publishing_r_total"), EPOCH, EPOCH + 60))
    assert {tuple(increase.series.labels.values()): increase.amount for increase in found} == {
        ("x", "1", "ok"): 0.0,
        ("x", "1", "failed"): 4.0,
        ("x", "2", "failed"): 0.0,
        ("y", "1", "ok"): 0.0,
    }


def test_a_short_failure_of_an_upstream_does_not_hide_what_is_new_after_it(keeper: Keeper) -> None:
    """A snapshot without any of its series is bridged, an hour without is not."""
    keeper.keep(0, jobs({("a", "x"): 1.0}))
    keeper.keep(15)
    keeper.keep(30, jobs({("a", "x"): 1.0, ("b", "x"): 3.0}))
    keeper.keep(4000, jobs({("a", "x"): 1.0, ("b", "x"): 3.0, ("c", "x"): 8.0}))
    found = keeper.ask(lambda reader: reader.increases(Selector("publishing_jobs_total"), EPOCH, EPOCH + 7200))
    assert [increase.amount for increase in found] == [0.0, 3.0, 0.0]


@pytest.mark.matrix
def test_CARD7_metrics_over_the_cap_are_not_kept_and_that_is_told(keeper: Keeper) -> None:
    """Those that are there already stay."""
    left_out = capped(keeper, 10)
    keeper.keep(0, jobs({(f"t{number}", "x"): 1.0 for number in range(8)}))
    keeper.keep(15, jobs({(f"t{number}", "x"): 1.0 for number in range(13)}))
    assert left_out == [3]
    found = keeper.ask(lambda reader: reader.last(Selector("publishing_jobs_total")))
    assert len(found) == count(keeper, "metric") == 10


@pytest.mark.matrix
def test_CARD7_metrics_not_seen_for_longest_make_room(keeper: Keeper) -> None:
    """A million names in turn take no more room than the cap; ids are never used twice."""
    left_out = capped(keeper, 50)
    for number in range(40):
        keeper.keep(15 * number, jobs({("steady", "x"): 1.0, **{(f"{number}-{each}", "x"): 1.0 for each in range(20)}}))
        keeper.fold()
    assert left_out == []
    assert count(keeper, "metric") <= 50
    assert metrics(keeper)[0][0] == 1  # the steady one
    assert metrics(keeper)[-1][0] == 40 * 20 + 1
    (steady,) = keeper.ask(
        lambda reader: reader.tracks(Selector(COUNTER.name, {"target": "steady"}), EPOCH, EPOCH + 3600)
    )
    assert sum(steady.count) == 40


def test_a_family_that_changes_its_type_is_another_one(keeper: Keeper) -> None:
    """What was a gauge yesterday must not make a counter of today look like one."""
    gauge = Family("publishing_x_total", "X.", Kind.GAUGE)
    keeper.keep(0, Samples.of(gauge, 5.0))
    for second in (15, 30):
        keeper.keep(second, Samples.of(Family("publishing_x_total", "X.", Kind.COUNTER), float(second)))
    found = keeper.ask(lambda reader: reader.increases(Selector("publishing_x_total"), EPOCH, EPOCH + 60))
    assert [increase.amount for increase in found] == [30.0]


def test_the_cap_is_told_once(keeper: Keeper, caplog: pytest.LogCaptureFixture) -> None:
    """However often it is met."""
    with caplog.at_level(logging.WARNING):
        keeper.store.left_out(5)
        keeper.store.left_out(6)
    assert [record.getMessage() for record in caplog.records] == ["history keeps no more series"]


def test_what_was_taken_back_is_not_taken_for_known(keeper: Keeper) -> None:
    """A transaction that failed leaves no id in memory that is not in the file."""
    with keeper.store.transaction() as database:
        keeper.store.roster.batch(0, 1, {"queue": (jobs(1.0),)})
        database.execute("rollback")
        database.execute("begin")
    keeper.store.roster.doubt()
    keeper.keep(0, jobs(1.0))
    assert [id for id, _ in metrics(keeper)] == [1]
    assert len(keeper.ask(lambda reader: reader.last(Selector("publishing_jobs_total")))) == 1
