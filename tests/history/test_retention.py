"""What goes when, and when a clock is believed."""

from __future__ import annotations

import pytest

from exporter.history.retention import BELIEVED_AFTER, KEEP_RAW, Trust, sweep, sweep_raw
from exporter.publishing.past import HOUR, Selector
from tests.history.build import EPOCH, Keeper, depth, jobs

DAY = 24 * HOUR
JOBS = Selector("publishing_jobs_total")


def swept(keeper: Keeper, now: int, minutes: int, retention: int) -> None:
    """Everything that is too old is gone."""
    wall = (EPOCH + now) * 1000
    for _ in (
        *sweep_raw(keeper.store.transaction, wall),
        *sweep(keeper.store.transaction, wall, minutes * 1000, retention * 1000),
    ):
        pass


def test_each_tier_is_kept_for_its_time(keeper: Keeper) -> None:
    """Readings for two hours, minutes and hours as configured; to the hour and to the day."""
    for second in range(0, 4 * DAY, 1800):
        keeper.keep(second, jobs(float(second)))
        keeper.fold()
    end = 4 * DAY
    swept(keeper, end, 30 * HOUR, 2 * DAY)
    execute = keeper.store.database.execute
    assert execute("select min(at) from raw").fetchone()[0] == (EPOCH + end) * 1000 - KEEP_RAW
    assert execute("select min(id) >> 32 from minute").fetchone()[0] == (EPOCH + end) // HOUR - 30
    assert execute("select min(id) >> 32 from hour").fetchone()[0] == (EPOCH + end) // DAY - 2
    counted = sum(execute(f"select count(*) from {tier}").fetchone()[0] for tier in ("raw", "minute", "hour"))
    assert keeper.store.rows() == counted


def test_series_that_are_long_gone_are_forgotten(keeper: Keeper) -> None:
    """With the layouts they were in; those of today stay."""
    keeper.keep(0, jobs(1.0), depth(1.0))
    for second in range(HOUR, 3 * DAY, HOUR):
        keeper.keep(second, depth(1.0))
        keeper.fold()
    swept(keeper, 3 * DAY, HOUR, DAY)
    execute = keeper.store.database.execute
    assert execute("select family from metric").fetchall() == [("publishing_depth",)]
    assert execute("select count(*) from layout").fetchone() == (1,)
    keeper.store.roster.doubt()
    keeper.keep(3 * DAY, jobs(1.0), depth(1.0))
    assert execute("select max(id) from metric").fetchone() == (3,)


def test_what_is_not_in_the_tiers_yet_is_not_deleted(keeper: Keeper) -> None:
    """However old it is: the daemon was stopped for a month, and its last hour has not been moved."""
    keeper.keep(0, jobs(1.0))
    keeper.keep(60, jobs(5.0))
    swept(keeper, 30 * DAY, DAY, 400 * DAY)
    (increase,) = keeper.ask(lambda reader: reader.increases(JOBS, EPOCH, EPOCH + HOUR))
    assert increase.amount == 4.0


def test_snapshots_of_a_clock_that_was_ahead_do_not_stay_for_ever(keeper: Keeper) -> None:
    """They are in the tiers; as single snapshots nothing else would ever make them old."""
    for second in (400 * DAY, 400 * DAY + 15, 0, 15, HOUR):
        keeper.keep(second, depth(1.0))
        keeper.fold()
    swept(keeper, HOUR, DAY, DAY)
    (ahead,) = keeper.store.database.execute(
        "select count(*) from raw where at > ?", ((EPOCH + DAY) * 1000,)
    ).fetchone()
    assert ahead == 0
    assert keeper.store.database.execute("select count(*) from raw").fetchone()[0] >= 3


def test_a_clock_that_runs_on_is_believed() -> None:
    """From what was stored last, through small corrections."""
    trust = Trust(1000.0)
    assert not trust.clock
    for second, correction in ((0, 0), (15, 2), (30, -3), (3600, 20)):
        trust.note(1010.0 + second + correction, 50.0 + second)
        assert trust.clock


@pytest.mark.parametrize("jump", [400.0 * DAY, -DAY, -600.0, 600.0])
def test_a_clock_that_jumps_is_believed_only_after_hours(jump: float) -> None:
    """In whichever direction."""
    trust = Trust(None)
    believed = []
    for second, ahead in ((0.0, 0.0), (15.0, jump), (BELIEVED_AFTER, jump), (15.0 + BELIEVED_AFTER, jump)):
        trust.note(1e9 + second + ahead, 100.0 + second)
        believed.append(trust.clock)
    assert believed == [True, False, False, True]


@pytest.mark.parametrize(("newest", "believed"), [(1e9 - 3600, True), (1e9 - 2 * DAY, False), (1e9 + DAY, False)])
def test_at_a_start_what_was_stored_last_vouches_for_the_clock(newest: float, believed: bool) -> None:
    """A machine that comes up in the wrong year must not delete this one."""
    trust = Trust(newest)
    trust.note(1e9, 5.0)
    assert trust.clock is believed
