"""The state machine of one target."""

from __future__ import annotations

import pytest

from exporter.model.reason import Reason
from exporter.model.secret import Secret
from exporter.model.target import Target
from exporter.publishing.health import HealthRules, Moment, Observation, TargetState, Window
from exporter.publishing.verdict import Finding, HealthState, Verdict

RULES = HealthRules(interval=60.0, unhealthy_after=3, window=3600.0)
TARGET = Target(name="ops", type="slack", format="slack", url=Secret("https://h:8443/c4n4ry?c4n4ry"))
WALL = 1_700_000_000.0

GOOD = Verdict(Finding.HEALTHY)
SLOW = Verdict(Finding.DEGRADED)
REVOKED = Verdict(Finding.DEGRADED, Reason.HTTP_STATUS)
LIMITED = Verdict(Finding.DEGRADED, Reason.RATE_LIMITED)
DOWN = Verdict(Finding.FAILURE, Reason.CONNECT)


def seen(at: float, verdict: Verdict, retry_after: float | None = None) -> Observation:
    return Observation(Moment(at, WALL + at), 0.2, verdict, 200, retry_after=retry_after)


def state_after(*verdicts: Verdict) -> TargetState:
    """A target after these probes, one per interval from 0 on."""
    state = TargetState(TARGET, RULES)
    for number, verdict in enumerate(verdicts):
        state.observe(seen(60.0 * number, verdict))
    return state


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], HealthState.UNKNOWN),
        ([GOOD], HealthState.HEALTHY),
        ([SLOW], HealthState.DEGRADED),
        ([REVOKED] * 9, HealthState.DEGRADED),
        ([DOWN], HealthState.DEGRADED),
        ([GOOD, DOWN], HealthState.DEGRADED),
        ([GOOD, DOWN, DOWN], HealthState.DEGRADED),
        ([GOOD, DOWN, DOWN, DOWN], HealthState.UNHEALTHY),
        ([DOWN, DOWN, GOOD, DOWN], HealthState.DEGRADED),
        ([DOWN] * 9 + [GOOD], HealthState.HEALTHY),
        ([DOWN] * 9 + [SLOW], HealthState.DEGRADED),
        ([DOWN, DOWN, REVOKED, DOWN], HealthState.DEGRADED),
    ],
)
def test_the_state_follows_from_the_streak_and_the_last_probe(verdicts: list[Verdict], expected: HealthState) -> None:
    assert state_after(*verdicts).state(60.0 * len(verdicts)) is expected


def test_w_h3_type_and_enabled_come_from_the_target_at_every_moment() -> None:
    for state in (state_after(), state_after(GOOD)):
        health = state.health(0.0)
        assert (health.name, health.type, health.enabled, health.origin) == ("ops", "slack", True, "static")


def test_w_h6_a_long_good_past_does_not_hide_an_outage() -> None:
    state = TargetState(TARGET, RULES)
    for number in range(10_000):
        state.observe(seen(60.0 * number, GOOD))
    end = 60.0 * 10_000
    assert state.success_rate(end) == 100.0
    for number in range(30):
        state.observe(seen(end + 60.0 * number, DOWN))
    assert state.success_rate(end + 60 * 29) == pytest.approx(50.0, abs=1)
    assert len(state._window._slots) <= Window.SLOTS


def test_a_success_rate_is_absent_until_there_is_a_probe_in_the_window() -> None:
    assert state_after().success_rate(0.0) is None
    state = state_after(GOOD, DOWN, DOWN, GOOD)
    assert state.success_rate(200.0) == 50.0
    assert state.success_rate(200.0 + 3600.0) is None


def test_many_probes_in_one_slot_of_the_window_all_count() -> None:
    window = Window(60.0)
    for number in range(10):
        window.add(number / 10, number >= 9)
    assert window.percent(1.0) == 10.0


def test_w_h7_what_was_known_too_long_ago_is_unknown_whatever_the_interval() -> None:
    for interval in (15.0, 60.0, 3600.0):
        state = TargetState(TARGET, HealthRules(interval, 3, 3600.0))
        state.observe(seen(0.0, GOOD))
        assert state.state(3 * interval) is HealthState.HEALTHY
        assert state.state(3 * interval + 1) is HealthState.UNKNOWN


def test_a_target_that_asked_for_a_pause_is_left_alone_and_not_forgotten() -> None:
    state = TargetState(TARGET, RULES)
    state.observe(seen(0.0, LIMITED, retry_after=600.0))
    assert state.held_off(599.0)
    assert not state.held_off(600.0)
    assert state.state(600.0 + 180.0) is HealthState.DEGRADED
    assert state.state(600.0 + 181.0) is HealthState.UNKNOWN
    assert state.health(1.0).retry_at == WALL + 600.0
    state.observe(seen(700.0, GOOD))
    assert not state.held_off(700.0)
    assert state.health(700.0).retry_at is None


def test_a_pause_is_honoured_only_from_a_target_that_limits_its_rate() -> None:
    state = TargetState(TARGET, RULES)
    state.observe(seen(0.0, DOWN, retry_after=600.0))
    assert not state.held_off(1.0)


def test_the_picture_of_a_target_tells_all_that_is_known() -> None:
    health = state_after(GOOD, DOWN, REVOKED, DOWN).health(200.0)
    assert (health.shown, health.last_reason, health.last_status) == ("https://h:8443", Reason.CONNECT, 200)
    assert (health.checks, health.successes, health.failures, health.consecutive_failures) == (4, 2, 2, 1)
    assert (health.last_success, health.last_failure, health.last_probe) == (WALL + 120, WALL + 180, WALL + 180)
    assert (health.state, health.success_rate, health.latency) == (HealthState.DEGRADED, 50.0, 0.2)
    assert "c4n4ry" not in repr(health)


def test_w_h9_a_picture_does_not_change_with_its_target() -> None:
    state = state_after(GOOD)
    before = state.health(0.0)
    copy = repr(before)
    state.observe(seen(60.0, DOWN))
    assert repr(before) == copy
    with pytest.raises(AttributeError):
        before.checks = 7  # type: ignore[misc]


def test_w_m12_what_never_happened_has_no_time() -> None:
    health = state_after().health(0.0)
    assert health.last_probe is health.last_success is health.last_failure is health.retry_at is None
    assert health.latency is health.tls_expiry is health.success_rate is None
    assert state_after(GOOD).health(0.0).last_failure is None
