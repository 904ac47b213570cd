"""What is in the history when clocks jump, when new series never end, and when there was nothing to keep."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing

import pytest

from exporter.history.query import Reader
from exporter.history.roster import MOST_METRICS
from exporter.publishing.past import HOUR, Selector
from tests.faults.page import Page
from tests.faults.scene import Scene
from tests.faults.surroundings import turned
from tests.history.build import integrity, read_now

pytestmark = pytest.mark.slow

DAY = 24 * HOUR
FULL = bool(os.environ.get("FULL"))
TARGETS = Selector("publishing_targets", {"type": "webhook", "enabled": "true"})
CHECKS = Selector("publishing_health_checks_total", {"target": "good", "outcome": "success"})


def is_stored(page: Page, days: int) -> bool:
    """Whether snapshots of now are stored, by a clock that is wrong by so many days."""
    stamp = page.own("history_last_stored_timestamp_seconds")
    return page.own("history_up") == 1.0 and abs(stamp - time.time() - days * DAY) < 3.0


def ask(scene: Scene) -> None:
    for part in ("stats", "trends", "health"):
        assert scene.daemon.get(f"/api/v2/publishing/{part}").status == 200


def lives_through(scene: Scene, monkeypatch: pytest.MonkeyPatch, days: list[int]) -> None:
    """Turns the clock by so many days one after the other; then all snapshots are there, and no number is negative."""
    path, turn = scene.folder / "platform-exporter.db", turned(monkeypatch, scene)
    scene.start(scene.config())
    begin, end = time.time() + DAY * min(*days, 0) - HOUR, time.time() + DAY * max(*days, 0) + HOUR

    def missing(reader: Reader) -> float:
        ((_, newest),) = reader.last(TARGETS)
        (track,) = reader.tracks(TARGETS, begin, end, HOUR)
        (checks,) = reader.tracks(CHECKS, begin, end, HOUR)
        assert min(min(checks.total), min(checks.jump)) == 0.0
        assert max(checks.resets) == 0.0
        return newest.snapshot - sum(track.count)

    # Of the first snapshots: targets had not been looked for.
    before = read_now(path, missing)
    assert before <= 2
    ask(scene)  # whoever asks first brings the threads that answer
    with scene.fault(but_for=["X2"]):  # it compares the stamps with our own clock
        for each in days:
            turn(each * DAY)
            scene.page_with(lambda page, each=each: is_stored(page, each), 8.0)  # type: ignore[misc]
            page = scene.cycles(3)
            assert is_stored(page, each)
            ask(scene)
            assert read_now(path, missing) == before
        assert page.own("history_dropped_snapshots_total") == 0.0
        assert page.total("platform_exporter_history_errors_total") == 0.0
    assert integrity(path) == "ok"


def test_DB8_a_clock_that_jumps_far_ahead_and_back_purges_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives_through(scene, monkeypatch, [500, 0])


def test_DB9_a_clock_that_is_set_back_a_day_loses_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    lives_through(scene, monkeypatch, [-1, 0])


def test_CARD7_series_without_end_take_no_more_room_than_the_cap(scene: Scene) -> None:
    path, together = scene.folder / "platform-exporter.db", 10_000
    config = scene.config("one")
    config["history"] = {"series": ["one_*"]}
    config["collectors"]["one"] = {"blocking": True}
    scene.start(config)
    wanted = 1_000_000 if FULL else MOST_METRICS + 3 * together
    with scene.fault(but_for=["X6: rss"]):
        scene.mood(one=f"random:{together}")
        page = scene.cycles(wanted // together)
        assert page.own("history_up") == 1.0
        assert page.own("history_dropped_snapshots_total") == 0.0
        scene.mood()
        scene.page_with(lambda page: bool(page.get("one_events_total")), 5.0)
    with closing(sqlite3.connect(path)) as database:
        (metrics,) = database.execute("select count(*) from metric").fetchone()
        (ever,) = database.execute("select value from meta where name = 'next'").fetchone()
    assert metrics <= MOST_METRICS < wanted - together <= ever
    assert integrity(path) == "ok"
