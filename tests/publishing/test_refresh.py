"""The state machine of refreshes, told the time."""

from __future__ import annotations

import pytest

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.model.secret import Secret
from exporter.model.target import Target
from exporter.publishing.health import Moment
from exporter.publishing.refresh import RefreshDetail, Refreshes, RefreshRules, RefreshState, TargetPicture

EPOCH = 1_700_000_000.0
RULES = RefreshRules(interval=300.0, backoff=1.0, backoff_max=30.0, manual_interval=60.0)
DOWN = Failure(Reason.CONNECT, "connection refused")


def at(seconds: float) -> Moment:
    return Moment(seconds, EPOCH + seconds)


def opened() -> Refreshes:
    refreshes = Refreshes(RULES)
    refreshes.open()
    return refreshes


def test_before_the_first_nothing_is_known() -> None:
    assert Refreshes().detail == RefreshDetail(state=RefreshState.IDLE)


def test_one_that_ended_well_tells_when_the_next_comes() -> None:
    refreshes = opened()
    refreshes.begin(at(10.0))
    assert refreshes.running
    assert refreshes.detail.last_refresh == EPOCH + 10.0
    assert refreshes.end(at(12.0), None, 0.0) == 2.0
    detail = refreshes.detail
    assert (detail.state, detail.duration, detail.reason) == (RefreshState.SUCCESS, 2.0, None)
    assert (detail.last_success, detail.next_refresh) == (EPOCH + 12.0, EPOCH + 312.0)


def test_chance_brings_it_forward_and_never_puts_it_off() -> None:
    refreshes = opened()
    refreshes.begin(at(0.0))
    refreshes.end(at(0.0), None, 1.0)
    assert refreshes.next == at(270.0)


def test_during_one_the_next_is_not_known() -> None:
    refreshes = opened()
    refreshes.begin(at(0.0))
    refreshes.end(at(1.0), None, 0.0)
    refreshes.begin(at(2.0))
    assert refreshes.detail.next_refresh is None


def test_what_failed_is_tried_again_before_the_interval_is_over() -> None:
    """And the real cause is told, with how often in a row."""
    refreshes = opened()
    for number in (1, 2):
        refreshes.begin(at(number * 100.0))
        refreshes.end(at(number * 100.0 + 5.0), DOWN, 0.0)
        detail = refreshes.detail
        assert (detail.state, detail.consecutive_failures) == (RefreshState.FAILED, number)
        assert (detail.reason, detail.detail, detail.last_success) == (Reason.CONNECT, "connection refused", None)
        assert refreshes.next == at(number * 100.0 + 35.0)
    refreshes.begin(at(300.0))
    refreshes.end(at(301.0), None, 0.0)
    assert (refreshes.detail.consecutive_failures, refreshes.detail.reason) == (0, None)


def test_a_short_interval_is_not_made_longer_by_failing() -> None:
    refreshes = Refreshes(RefreshRules(interval=5.0))
    refreshes.begin(at(0.0))
    refreshes.end(at(0.0), DOWN, 0.0)
    assert refreshes.next == at(5.0)


def test_asked_by_hand_it_begins_at_once_and_then_not_for_a_while() -> None:
    """W-R3: how long to wait is what it really is."""
    refreshes = opened()
    assert refreshes.ask(at(100.0)).state == "accepted"
    assert refreshes.running
    refreshes.end(at(101.0), None, 0.0)
    asked = refreshes.ask(at(117.5))
    assert (asked.state, asked.at, asked.retry_after) == ("limited", EPOCH + 100.0, 42.5)
    assert refreshes.ask(at(160.0)).state == "accepted"


def test_asked_while_one_is_under_way_it_costs_no_budget() -> None:
    """W-R2: the answer tells when that one began."""
    refreshes = opened()
    refreshes.begin(at(100.0))
    asked = refreshes.ask(at(130.0))
    assert (asked.state, asked.at, asked.retry_after) == ("running", EPOCH + 100.0, None)
    refreshes.end(at(131.0), None, 0.0)
    assert refreshes.ask(at(132.0)).state == "accepted"


def test_a_regular_one_does_not_use_up_what_hands_may_ask() -> None:
    refreshes = opened()
    refreshes.begin(at(0.0))
    refreshes.end(at(1.0), None, 0.0)
    assert refreshes.ask(at(2.0)).state == "accepted"


def test_before_the_start_and_after_the_stop_it_says_so() -> None:
    """W-R4: and it may be started again."""
    refreshes = Refreshes(RULES)
    assert refreshes.ask(at(0.0)).state == "stopped"
    refreshes.open()
    refreshes.begin(at(1.0))
    refreshes.close()
    assert refreshes.ask(at(2.0)).state == "stopped"
    assert (refreshes.detail.state, refreshes.next) == (RefreshState.IDLE, None)
    refreshes.open()
    assert refreshes.ask(at(3.0)).state == "accepted"


def test_a_stop_between_two_keeps_how_the_last_one_ended() -> None:
    refreshes = opened()
    refreshes.begin(at(0.0))
    refreshes.end(at(1.0), None, 0.0)
    refreshes.close()
    assert refreshes.detail.state is RefreshState.SUCCESS


@pytest.mark.parametrize("luck", [0.0, 0.5, 1.0])
def test_pauses_double_up_to_the_longest_and_are_never_shorter_than_the_first(luck: float) -> None:
    pauses = [RULES.delay(failures, luck) for failures in range(1, 2000)]
    assert pauses[0] >= 1.0
    assert pauses[3] == pytest.approx(8.0 * (1 + luck / 4))
    assert max(pauses) == pauses[-1] <= 30.0
    assert pauses == sorted(pauses)


def test_a_picture_of_a_target_holds_nothing_secret() -> None:
    target = Target(
        name="a",
        type="slack",
        format="slack",
        url=Secret("https://user:pw@hooks.example.org:8443/T0/s3cr3t"),
        headers={"Authorization": Secret("Bearer s3cr3t")},
        origin="file",
        source="t.yaml[0]",
    )
    picture = TargetPicture.of(target)
    assert (picture.shown, picture.headers) == ("https://hooks.example.org:8443", ("Authorization",))
    assert "s3cr3t" not in repr(picture)
    assert "pw" not in repr(picture)
