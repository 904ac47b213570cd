"""Incidents are opened once, changed, and resolved."""

import pytest

from exporter.demo.publishers.rootly import Rootly
from exporter.demo.traffic import Event
from tests.demo.build import alert
from tests.demo.publishers.shown import deliver, numbers


def test_an_incident_is_created_then_updated_then_resolved() -> None:
    rootly = Rootly()
    calls = [
        deliver(rootly, alert(event=event), status)
        for event, status in ((Event.FIRE, 201), (Event.CHANGE, 200), (Event.RESOLVE, 200))
    ]
    assert [call and (call.method, call.url) for call in calls] == [
        ("POST", "http://receiver"),
        ("PATCH", "http://receiver/a"),
        ("POST", "http://receiver/a/resolve"),
    ]
    found = numbers(rootly.meter)
    assert found["rootly_incidents_created_total", "critical"] == 1
    assert found["rootly_incidents_updated_total", "annotation_change"] == 1
    assert found[("rootly_incidents_resolved_total",)] == 1
    assert found[("rootly_active_incidents_gauge",)] == 0


def test_two_targets_have_incidents_of_their_own() -> None:
    rootly = Rootly()
    deliver(rootly, alert(), 201, target="a")
    deliver(rootly, alert(), 201, target="b")
    assert numbers(rootly.meter)[("rootly_active_incidents_gauge",)] == 2


def test_what_was_never_reported_need_not_be_resolved() -> None:
    rootly = Rootly()
    deliver(rootly, alert(), 500)
    assert deliver(rootly, alert(event=Event.RESOLVE), 200) is None


def test_every_call_counts_as_a_request_and_only_the_last_as_an_error() -> None:
    rootly = Rootly()
    deliver(rootly, alert(), 500, 500, 429)
    found = numbers(rootly.meter)
    assert found["rootly_api_requests_total", "create", "POST", "500"] == 2
    assert found["rootly_api_duration_seconds", "create", "POST"] == 3
    assert [value for key, value in found.items() if key[0] == "rootly_api_errors_total"] == [1]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (422, "validation"),
        (403, "auth"),
        (409, "conflict"),
        (502, "server_error"),
        (418, "client_error"),
        (0, "unknown"),
    ],
)
def test_errors_are_named_after_the_answer(status: int, error: str) -> None:
    rootly = Rootly()
    deliver(rootly, alert(), status)
    rootly.limited()
    found = numbers(rootly.meter)
    assert found["rootly_api_errors_total", "create", error] == 1
    assert found[("rootly_rate_limit_hits_total",)] == 1
