"""Events by what they do, changes apart."""

import json

import pytest

from exporter.demo.publishers.pagerduty import ROUTING_KEY, PagerDuty
from exporter.demo.traffic import Event
from tests.demo.build import alert
from tests.demo.publishers.shown import deliver, numbers


@pytest.mark.parametrize(
    ("event", "path", "counted"),
    [
        (Event.FIRE, "/v2/events", ("events_triggered_total", ROUTING_KEY, "critical")),
        (Event.CHANGE, "/v2/events", ("events_triggered_total", ROUTING_KEY, "critical")),
        (Event.ACKNOWLEDGE, "/v2/events", ("events_acknowledged_total", ROUTING_KEY)),
        (Event.RESOLVE, "/v2/events", ("events_resolved_total", ROUTING_KEY)),
        (Event.DEPLOY, "/v2/change/enqueue", ("change_events_total", ROUTING_KEY)),
    ],
)
def test_each_event_is_sent_and_counted_as_what_it_is(event: Event, path: str, counted: tuple[str, ...]) -> None:
    pagerduty = PagerDuty()
    request = deliver(pagerduty, alert(event=event), 503, 202)
    assert request is not None
    assert request.url == f"http://receiver{path}"
    assert json.loads(request.body)["dedup_key"] == "a"
    name, *labels = counted
    found = numbers(pagerduty.meter)
    assert found[(f"pagerduty_{name}", *labels)] == 1
    assert found["pagerduty_api_requests_total", path, "503"] == found["pagerduty_api_requests_total", path, "202"] == 1
    assert found["pagerduty_api_duration_seconds", path] == 2
    assert not [key for key in found if key[0] == "pagerduty_api_errors_total"]


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, "bad_request"), (429, "rate_limit"), (500, "server_error"), (0, "network_error"), (418, "unknown")],
)
def test_errors_are_named_after_the_answer(status: int, error: str) -> None:
    pagerduty = PagerDuty()
    deliver(pagerduty, alert(), status)
    pagerduty.limited()
    found = numbers(pagerduty.meter)
    assert found["pagerduty_api_errors_total", error] == 1
    assert found[("pagerduty_rate_limit_hits_total",)] == 1
