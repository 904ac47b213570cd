"""Pages in every dialect, as they come out in our words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from exporter.config.dialects import builtin, known
from exporter.model.metric import Key
from exporter.publishing.dialects.catalogue import FAMILIES, QUEUE
from exporter.publishing.dialects.labels import Labelling
from exporter.publishing.dialects.mapping import Dialect
from exporter.publishing.dialects.page import Layout, Page, Series
from exporter.publishing.dialects.translate import Translation, Translator
from exporter.sources.exposition import PageParser

PAGES = Path(__file__).parent / "pages"
CANARY = "c4n4ry"


def recorded(name: str) -> Page:
    return PageParser().parse((PAGES / f"{name}.prom").read_text())


def translated(dialect: str, page: str, labelling: Labelling | None = None) -> Translation:
    return Translator(known(dialect), labelling or Labelling())(recorded(page))


def rows(found: Translation, family: str) -> dict[Key, Any]:
    """The numbers of a family, by label values; of several bounds all together."""
    result: dict[Key, Any] = {}
    for part in found.rows:
        if part.family == family:
            width = len(part.values) // len(part.keys)
            for at, key in enumerate(part.keys):
                numbers = part.values[at * width : (at + 1) * width]
                result[key] = numbers[0] if width == 1 else (part.bounds, numbers)
    return result


def rule(**given: Any) -> Dialect:
    return Dialect.model_validate_json(json.dumps({"rules": [given]}))


def page(rows: Mapping[Any, float]) -> Page:
    layout = Layout(tuple([Series(name, dict(labels)) for name, labels in rows]))
    return Page(layout, tuple(rows.values()))


# -- alert-history


def test_alert_history_says_what_its_queue_holds() -> None:
    found = translated("alert-history", "alert-history")
    assert rows(found, "queue_size") == {("high",): 3.0, ("low",): 0.0, ("medium",): 12.0}
    assert rows(found, "queue_submissions_total") == {("high", "success"): 40.0, ("high", "rejected"): 2.0}
    assert rows(found, "jobs_processed_total")[("slack-main", "failed")] == 5.0
    assert rows(found, "workers_active") == {(): 4.0}
    assert rows(found, "job_duration_seconds") == {
        ("slack-main", "high"): ((0.001, 0.002), (1.0, 3.0, 2.0, 1.25)),
    }
    assert rows(found, "dlq_replays_total") == {("slack-main", "success"): 1.0, ("slack-main", "failure"): 2.0}


def test_its_breaker_is_numbered_as_ours_and_an_unknown_state_is_left_out() -> None:
    found = translated("alert-history", "alert-history")
    assert rows(found, "circuit_breaker_state") == {("closed",): 0.0, ("opened",): 2.0, ("halfway",): 1.0}


def test_what_it_does_not_export_is_absent_and_listed() -> None:
    found = translated("alert-history", "alert-history")
    for family in ("dlq_size", "job_wait_time_seconds", "retry_success_rate", "slack_cache_size"):
        assert rows(found, family) == {}
        assert family in found.absent
    assert not {part.family for part in found.rows} & set(found.absent)


def test_its_publishers_are_counted_by_final_outcome() -> None:
    found = translated("alert-history", "alert-history")
    assert rows(found, "publisher_requests_total") == {
        ("rootly", "", "success"): 4.0,
        ("rootly", "", "error"): 3.0,
        ("pagerduty", "", "success"): 12.0,
        ("pagerduty", "", "error"): 3.0,
        ("slack", "", "success"): 9.0,
        ("slack", "", "error"): 2.0,
        ("webhook", "audit", "success"): 11.0,
        ("webhook", "audit", "error"): 1.0,
    }
    assert rows(found, "publisher_errors_total") == {
        ("rootly", "", "auth"): 3.0,
        ("pagerduty", "", "rate_limit"): 3.0,
    }
    assert rows(found, "publisher_attempts_total") == {
        (
            "pagerduty",
            "",
        ): 12.0
    }
    assert rows(found, "publisher_duration_seconds") == {("slack", ""): ((0.1,), (8.0, 3.0, 5.0))}
    assert rows(found, "rootly_api_errors_total") == {("create", "auth"): 1.0, ("update", "auth"): 2.0}
    assert rows(found, "rootly_active_incidents") == {(): 2.0}


def test_a_routing_key_is_shown_as_a_hash_that_needs_the_key_to_be_made() -> None:
    shown = [
        [
            key[0]
            for key in rows(translated("alert-history", "alert-history", labelling), "pagerduty_events_triggered_total")
        ]
        for labelling in (Labelling(hash_key=b"one"), Labelling(hash_key=b"one"), Labelling(hash_key=b"two"))
    ]
    assert shown[0] == shown[1]
    assert not set(shown[0]) & set(shown[2])
    assert len(set(shown[0])) == 2
    assert all(len(text) == 12 for text in shown[0])
    assert CANARY not in repr(translated("alert-history", "alert-history"))


def test_targets_are_called_as_they_are_here() -> None:
    found = translated("alert-history", "alert-history", Labelling({"slack-main": "ops-slack"}))
    assert set(rows(found, "jobs_processed_total")) == {("ops-slack", "succeeded"), ("ops-slack", "failed")}
    assert set(rows(found, "circuit_breaker_state")) == {("closed",), ("opened",), ("halfway",)}


# -- Alertmanager


def test_a_recorded_alertmanager_of_debian_says_what_was_delivered() -> None:
    found = translated("alertmanager", "alertmanager-0.25")
    requests = rows(found, "publisher_requests_total")
    assert {key: number for key, number in requests.items() if number} == {
        ("slack", "", "success"): 1.0,
        ("webhook", "", "success"): 1.0,
        ("webhook", "", "error"): 1.0,
        ("pagerduty", "", "error"): 1.0,
    }
    assert len(requests) == 20
    errors = rows(found, "publisher_errors_total")
    assert {key: number for key, number in errors.items() if number} == {
        ("webhook", "", "unknown"): 1.0,
        ("pagerduty", "", "unknown"): 1.0,
    }
    assert rows(found, "publisher_attempts_total")[("webhook", "")] == 2.0
    bounds, numbers = rows(found, "publisher_duration_seconds")[("slack", "")]
    assert bounds == (1.0, 5.0, 10.0, 15.0, 20.0)
    assert numbers == (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.002671987)
    assert rows(found, "alertmanager_alerts") == {("active",): 3.0, ("suppressed",): 0.0, ("unprocessed",): 0.0}
    assert rows(found, "alertmanager_cluster_members") == {(): 1.0}
    assert "alertmanager_notifications_suppressed_total" in found.absent
    assert set(QUEUE) <= set(found.absent)


def test_a_newer_alertmanager_says_receiver_and_reason() -> None:
    found = translated("alertmanager", "alertmanager-receivers")
    assert rows(found, "publisher_requests_total") == {("slack", "ops", "success"): 6.0, ("slack", "ops", "error"): 3.0}
    assert rows(found, "publisher_errors_total") == {
        ("slack", "ops", "clientError"): 2.0,
        ("slack", "ops", "serverError"): 1.0,
        ("slack", "ops", "other"): 0.0,
    }
    assert rows(found, "alertmanager_notifications_suppressed_total") == {("silence",): 6.0}


def test_a_difference_does_not_fall_while_what_it_is_made_of_does_not() -> None:
    translator = Translator(known("alertmanager"), Labelling())

    def delivered(whole: float, failed: float, more: str = "") -> float:
        found = translator(
            page(
                {
                    ("alertmanager_notification_requests_total", (("integration", "slack"),)): whole,
                    ("alertmanager_notification_requests_failed_total", (("integration", "slack"),)): failed,
                    ("other" + more, ()): 1.0,
                }
            )
        )
        number: float = rows(found, "publisher_requests_total")[("slack", "", "success")]
        return number

    assert delivered(5, 1) == 4.0
    assert delivered(6, 1) == 5.0  # a failed request, of which only one counter knows yet
    assert delivered(6, 2, more="_series") == 5.0
    assert delivered(7, 2) == 5.0
    assert delivered(9, 3) == 6.0
    assert delivered(2, 0) == 2.0  # a restart
    assert delivered(2, 3) == 2.0


def test_a_difference_cannot_be_told_without_what_is_taken_off() -> None:
    found = Translator(known("alertmanager"), Labelling())(
        page({("alertmanager_notification_requests_total", (("integration", "slack"),)): 5.0})
    )
    assert rows(found, "publisher_requests_total") == {}
    assert rows(found, "publisher_attempts_total") == {("slack", ""): 5.0}


# -- the first hop


def test_a_recorded_prometheus_says_how_the_first_hop_is_doing() -> None:
    found = translated("prometheus", "prometheus-2.42")
    receivers = ("http://127.0.0.1:19093", "http://127.0.0.1:19094")
    assert rows(found, "queue_size") == {("",): 0.0}
    assert rows(found, "queue_capacity_utilization") == {("",): 0.0}
    attempts = rows(found, "publisher_attempts_total")
    assert set(attempts) == {("alertmanager", receiver) for receiver in receivers}
    assert all(attempts.values())
    assert set(rows(found, "publisher_errors_total")) == {("alertmanager", one, "unknown") for one in receivers}
    assert rows(found, "publisher_requests_total") == {("alertmanager", "", "error"): 1.0}
    latency = rows(found, "prometheus_notifications_latency_seconds")
    assert {key[0] for key in latency} == set(receivers)
    assert {bounds for bounds, _ in latency.values()} == {(0.5, 0.9, 0.99)}
    assert rows(found, "prometheus_notifications_alertmanagers_discovered") == {(): 2.0}
    assert "publisher_duration_seconds" in found.absent


def test_vmalert_has_its_ranges_made_into_buckets_and_its_credentials_left_out() -> None:
    found = translated("vmalert", "vmalert")
    receiver = "http://am:9093"
    assert rows(found, "publisher_attempts_total") == {("alertmanager", receiver): 20.0}
    assert rows(found, "publisher_requests_total") == {("alertmanager", receiver, "error"): 3.0}
    assert rows(found, "publisher_duration_seconds") == {
        ("alertmanager", receiver): ((0.001, 0.01, 0.1, 1.0, 10.0), (1.0, 5.0, 0.0, 0.0, 2.0, 1.0, 19.5))
    }


# -- rules


def test_bounds_that_not_all_have_are_left_out_when_histograms_are_added_up() -> None:
    def histogram(method: str, *bounds: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {
            ("x_bucket", (("m", method), ("le", bound))): float(at) for at, bound in enumerate(bounds, 1)
        }
        return {**found, ("x_sum", (("m", method),)): 10.0, ("x_count", (("m", method),)): 5.0}

    found = Translator(rule(family="job_duration_seconds", series="x", factor=0.001), Labelling())(
        page({**histogram("a", "100", "500", "+Inf"), **histogram("b", "500", "900")})
    )
    # What lies beyond the last bound is told by the overflow bucket where there is one, else by the count.
    assert rows(found, "job_duration_seconds") == {("", ""): ((0.5,), (3.0, 5.0, 0.02))}


@pytest.mark.parametrize(
    "missing", ["x_sum", "x_count"], ids=["without its sum", "without its count and overflow bucket"]
)
def test_half_a_histogram_is_none(missing: str) -> None:
    whole = {("x_bucket", (("le", "1"),)): 1.0, ("x_sum", ()): 1.0, ("x_count", ()): 2.0}
    translator = Translator(rule(family="job_duration_seconds", series="x"), Labelling())
    assert len(rows(translator(page(whole)), "job_duration_seconds")) == 1
    assert translator(page({key: number for key, number in whole.items() if key[0] != missing})).rows == ()


@pytest.mark.parametrize("bound", ["nan", "x", "-Inf", ""])
def test_a_bucket_without_a_bound_is_passed_over(bound: str) -> None:
    whole = {("x_bucket", (("le", bound),)): 1.0, ("x_sum", ()): 1.0, ("x_count", ()): 2.0}
    translator = Translator(rule(family="job_duration_seconds", series="x"), Labelling())
    assert rows(translator(page(whole)), "job_duration_seconds") == {("", ""): ((), (2.0, 1.0))}


def test_quantiles_are_not_added_up() -> None:
    given = {
        (f"x{end}", (("alertmanager", f"http://am/{path}"), *([("quantile", "0.5")] if not end else []))): 1.0
        for path in ("one", "two")
        for end in ("", "_sum", "_count")
    }
    dialect = rule(family="prometheus_notifications_latency_seconds", series="x", address=["alertmanager"])
    assert Translator(dialect, Labelling())(page(given)).rows == ()


def test_series_can_be_picked_translated_and_given_labels() -> None:
    dialect = rule(
        family="jobs_processed_total",
        series="x",
        labels={"state": "outcome"},
        values={"state": {"ok": "succeeded"}},
        default={"target": "nowhere"},
        where={"kind": ["alert"]},
        factor=2,
    )
    given = {
        ("x", (("outcome", "ok"), ("kind", "alert"))): 1.0,
        ("x", (("outcome", "ok"), ("kind", "other"))): 10.0,
        ("x", (("outcome", "bad"), ("kind", "alert"), ("target", "t"))): 3.0,
    }
    assert rows(Translator(dialect, Labelling())(page(given)), "jobs_processed_total") == {
        ("nowhere", "succeeded"): 2.0,
        ("t", "bad"): 6.0,
    }


def test_nothing_is_divided_by_nothing() -> None:
    dialect = rule(family="queue_capacity_utilization", series="x", over="y")
    for whole, expected in ((4.0, {("",): 0.5}), (0.0, {})):
        given = {("x", ()): 2.0, ("y", ()): whole}
        assert rows(Translator(dialect, Labelling())(page(given)), "queue_capacity_utilization") == expected


def test_the_largest_is_taken_where_a_sum_makes_no_sense() -> None:
    dialect = rule(family="circuit_breaker_state", series="x", combine="max", numbers={"5": 2, "6": 1})
    given = {("x", (("a", str(at)),)): number for at, number in enumerate((5.0, 6.0, 9.0))}
    assert rows(Translator(dialect, Labelling())(page(given)), "circuit_breaker_state") == {("",): 2.0}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:c4n4ry@am.example.org/c4n4ry?token=c4n4ry#c4n4ry", "https://am.example.org"),
        ("http://[::1]:9093/x", "http://[::1]:9093"),
        ("c4n4ry", "unknown"),
        ("http://[c4n4ry", "unknown"),
        ("http://x:c4n4ry/", "unknown"),
        ("", ""),
    ],
)
def test_of_a_url_only_its_origin_is_shown(url: str, shown: str) -> None:
    dialect = rule(family="jobs_processed_total", series="x", address=["target"])
    found = Translator(dialect, Labelling())(page({("x", (("target", url),)): 1.0}))
    assert set(rows(found, "jobs_processed_total")) == {(shown, "")}


def test_an_empty_secret_stays_empty() -> None:
    dialect = rule(family="jobs_processed_total", series="x", hashed=["target"])
    found = Translator(dialect, Labelling())(page({("x", ()): 1.0}))
    assert set(rows(found, "jobs_processed_total")) == {("", "")}


# -- from one page to the next


def test_label_values_are_the_same_object_while_the_series_are_the_same() -> None:
    parser, translator = PageParser(), Translator(known("alert-history"), Labelling(), ("up", "one:1"))
    text = (PAGES / "alert-history.prom").read_text()
    first, second = (translator(parser.parse(text)) for _ in range(2))
    assert [part.keys[0][-2:] for part in first.rows] == [("up", "one:1")] * len(first.rows)
    kept = [one.keys is other.keys for one, other in zip(first.rows, second.rows, strict=True)]
    assert kept.count(False) == 1  # the breakers, of which one has no state


def test_what_is_remembered_does_not_grow_with_the_series_that_were() -> None:
    translator = Translator(known("alertmanager"), Labelling())
    for number in range(50):
        labels = (("integration", f"random-{number}"),)
        translator(
            page(
                {
                    ("alertmanager_notification_requests_total", labels): 1.0,
                    ("alertmanager_notification_requests_failed_total", labels): 0.0,
                }
            )
        )
    assert len(translator._remainders) == 1


@pytest.mark.parametrize("name", builtin())
def test_every_rule_that_comes_with_the_daemon_makes_a_row_of_what_it_asks_for(name: str) -> None:
    for one in known(name).rules:
        family = FAMILIES[one.family]
        given: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {(one.series, ()): 1.0}
        for other in (one.minus, one.over):
            if other:
                given[other, ()] = 1.0
        for end in ("_sum", "_count", "_bucket"):
            given[one.series + end, (("le", "+Inf"),) if end == "_bucket" else ()] = 1.0
        found = Translator(Dialect(rules=(one,)), Labelling())(page(given))
        assert [part.family for part in found.rows] == [family.name]
