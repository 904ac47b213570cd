"""What became of messages, and to which of our targets they went."""

from __future__ import annotations

from math import inf, nan

import pytest

from exporter.model.reason import Reason
from exporter.publishing.deliveries import Names, Published, Tally, by_target, counts, total
from tests.publishing.services import jobs, replica, rows, service

REQUESTS = "publisher_requests_total"
NAMES = Names()


def test_jobs_of_all_replicas_are_added_up_by_target() -> None:
    upstream = service(
        replica(jobs("a:1", ops=(5, 1), audit=(2, 0)), name="a:1"), replica(jobs("b:1", ops=(7, 2)), name="b:1")
    )
    found = counts([upstream], NAMES)
    assert by_target(found) == {"ops": Tally(12, 3), "audit": Tally(2, 0)}
    assert total(found) == Tally(14, 3)


def test_a_job_that_became_a_dead_letter_has_not_succeeded() -> None:
    found = rows("jobs_processed_total", {("ops", "succeeded"): 1.0, ("ops", "failed"): 1.0, ("ops", "dlq"): 2.0})
    assert total(counts([service(replica(found))], NAMES)) == Tally(1, 3)


def test_what_publishers_say_does_not_count_twice_where_there_are_jobs() -> None:
    requests = rows(REQUESTS, {("slack", "", "success"): 40.0})
    assert total(counts([service(replica(jobs(ops=(5, 1)), requests))], NAMES)) == Tally(5, 1)


def test_requests_stand_in_for_a_service_without_jobs() -> None:
    requests = rows(REQUESTS, {("slack", "team", "success"): 9.0, ("slack", "team", "error"): 1.0})
    found = counts([service(replica(requests), dialect="alertmanager")], NAMES)
    assert by_target(found) == {"team/slack": Tally(9, 1)}


def test_a_service_that_counts_failures_alone_says_nothing_of_success() -> None:
    requests = rows(REQUESTS, {("alertmanager", "", "error"): 3.0})
    assert counts([service(replica(requests), dialect="prometheus")], NAMES) == {}


def test_without_deliveries_there_is_no_share_of_success() -> None:
    assert (Tally().percent, Tally(0, 2).percent, Tally(3, 1).percent) == (None, 0.0, 75.0)


@pytest.mark.parametrize("number", [nan, inf, -inf])
def test_a_number_that_is_none_is_left_out(number: float) -> None:
    assert total(counts([service(replica(jobs(ops=(number, 2), audit=(1, 0))))], NAMES)) == Tally(1, 2)


def test_the_hop_before_counts_only_where_there_is_nothing_else() -> None:
    hop = service(
        replica(rows(REQUESTS, {("alertmanager", "", "success"): 900.0}, replica="prometheus/p:1"), name="p:1"),
        name="prometheus",
    )
    assert total(counts([hop], NAMES)) == Tally(900, 0)
    assert total(counts([hop, service(replica(jobs(ops=(1, 1))))], NAMES)) == Tally(1, 1)


# -- names


@pytest.mark.parametrize(
    ("target_map", "publisher", "receiver", "name"),
    [
        ({"team": "ops"}, "slack", "team", "ops"),
        ({"team/slack": "ops", "team": "other"}, "slack", "team", "ops"),
        ({"slack": "ops"}, "slack", "", "ops"),
        ({"slack": "ops"}, "slack", "team", "team/slack"),
        ({}, "slack", "", None),
        ({}, "slack", "direct", "direct"),
        ({}, "webhook", "imported", "imported/webhook/0"),
        ({}, "slack", "twice", None),
        ({}, "alertmanager", "http://am:9093", ""),
        ({"http://am:9093": "first-hop"}, "alertmanager", "http://am:9093", "first-hop"),
    ],
)
def test_a_receiver_is_joined_with_its_target(
    target_map: dict[str, str], publisher: str, receiver: str, name: str | None
) -> None:
    configured = {"direct", "imported/webhook/0", "twice/slack/0", "twice/slack/1"}
    assert Names({"am": target_map}, configured).receiver("am", publisher, receiver) == name


def test_what_a_service_says_without_a_name_hides_what_is_not_used() -> None:
    named, nameless = jobs(ops=(1, 0)), rows(REQUESTS, {("slack", "", "success"): 1.0}, replica="am/m:1")
    both = [service(replica(named)), service(replica(nameless, name="m:1"), name="am")]
    assert Published.of(both[:1], counts(both[:1], NAMES)) == Published(frozenset({"ops"}), True)
    assert Published.of(both, counts(both, NAMES)) == Published(frozenset({"ops"}), False)
    idle = [both[0], service(replica(rows(REQUESTS, {("slack", "", "success"): 0.0}), name="m:1"), name="am")]
    assert Published.of(idle, counts(idle, NAMES)).whole


def test_a_service_that_did_not_answer_may_publish_anywhere() -> None:
    upstream = service(replica(jobs(ops=(1, 0))), replica(name="b:1", reason=Reason.CONNECT))
    assert Published.of([upstream], counts([upstream], NAMES)) == Published(frozenset({"ops"}), False)
    assert Published.of([], {}) == Published()


def test_a_target_with_a_breaker_and_no_job_yet_is_known() -> None:
    upstream = service(replica(rows("circuit_breaker_state", {("fresh",): 0.0})))
    assert Published.of([upstream], {}).targets == {"fresh"}
