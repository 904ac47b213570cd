"""The whole alert, if it is not too long."""

import json

import pytest

from exporter.demo.delivery import Answer, Cause, Invalid
from exporter.demo.publishers.webhook import Webhook
from exporter.demo.traffic import LONG
from tests.demo.build import alert
from tests.demo.publishers.shown import deliver, numbers


def test_an_alert_is_sent_as_it_is_and_counted_by_target() -> None:
    webhook = Webhook()
    request = deliver(webhook, alert(), 503, 200)
    assert request is not None
    assert json.loads(request.body)["severity"] == "critical"
    found = numbers(webhook.meter)
    assert found["webhook_requests_total", "t", "success", "POST"] == 1
    assert found["webhook_request_duration_seconds", "t", "success"] == 1
    assert found["webhook_retries_total", "t", "1"] == 1
    assert found["webhook_payload_size_bytes", "t"] == 1


def test_what_is_too_long_is_counted_and_not_sent() -> None:
    webhook = Webhook()
    with pytest.raises(Invalid):
        webhook.request("t", "http://receiver", alert(details=LONG))
    webhook.limited()
    found = numbers(webhook.meter)
    assert found["webhook_validation_errors_total", "t", "payload_size"] == 1
    assert found["webhook_requests_total", "t", "error", "POST"] == 1
    assert found["webhook_errors_total", "t", "validation"] == 1
    assert ("webhook_request_duration_seconds", "t", "error") not in found


def test_who_is_not_let_in_and_what_takes_too_long_is_counted_call_by_call() -> None:
    webhook = Webhook()
    deliver(webhook, alert(), 401, 408, 403)
    found = numbers(webhook.meter)
    assert found["webhook_auth_failures_total", "t", "bearer"] == 2
    assert found[("webhook_timeout_errors_total", "t")] == 1
    assert found["webhook_errors_total", "t", "auth"] == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(408, 0.1), "timeout"),
        (Answer(0, 3.0, Cause.TIMEOUT), "timeout"),
        (Answer(0, 0.1, Cause.NETWORK), "network"),
        (Answer(413, 0.1), "validation"),
        (Answer(429, 0.1), "rate_limit"),
        (Answer(502, 0.1), "server"),
        (Answer(302, 0.1), "unknown"),
    ],
)
def test_errors_are_named_after_the_answer(answer: Answer, error: str) -> None:
    webhook = Webhook()
    request = webhook.request("t", "http://receiver", alert())
    assert request is not None
    webhook.settled(request, answer, 1.0)
    assert numbers(webhook.meter)["webhook_errors_total", "t", error] == 1
