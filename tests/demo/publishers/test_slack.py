"""Messages first, then threads."""

import pytest

from exporter.demo.publishers.slack import Slack
from exporter.demo.traffic import Event
from tests.demo.build import alert
from tests.demo.publishers.shown import deliver, numbers

SLACK = "alert_history_publishing_slack_"


def test_the_first_word_is_a_message_and_later_ones_are_replies_until_it_is_over() -> None:
    slack = Slack()
    for event in (Event.FIRE, Event.CHANGE, Event.RESOLVE, Event.FIRE):
        deliver(slack, alert(event=event), 200)
    found = numbers(slack.meter)
    assert found[f"{SLACK}messages_posted_total", "success"] == 2
    assert found[(f"{SLACK}thread_replies_total",)] == found[(f"{SLACK}cache_hits_total",)] == 2
    assert found[(f"{SLACK}cache_misses_total",)] == 2
    assert found[(f"{SLACK}cache_size",)] == 1


def test_two_channels_have_threads_of_their_own() -> None:
    slack = Slack()
    for target in ("a", "b"):
        deliver(slack, alert(), 200, target=target)
    assert numbers(slack.meter)[f"{SLACK}messages_posted_total", "success"] == 2


def test_a_duration_is_noted_once_per_message_with_how_it_ended() -> None:
    slack = Slack()
    deliver(slack, alert(), 503, 200)
    deliver(slack, alert("b"), 503, 404)
    found = numbers(slack.meter)
    assert found[f"{SLACK}api_request_duration_seconds", "post_message", "success"] == 1
    assert found[f"{SLACK}api_request_duration_seconds", "post_message", "error"] == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, "rate_limit"), (503, "server_error"), (404, "auth_error"), (400, "bad_request"), (500, "network_error")],
)
def test_errors_are_named_after_the_answer(status: int, error: str) -> None:
    slack = Slack()
    deliver(slack, alert(), status)
    slack.limited()
    found = numbers(slack.meter)
    assert found[f"{SLACK}message_errors_total", error] == 1
    assert found[(f"{SLACK}rate_limit_hits_total",)] == 1
