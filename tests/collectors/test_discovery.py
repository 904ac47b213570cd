"""What the page tells of the targets there are."""

from __future__ import annotations

import pytest

from exporter.collectors.discovery import Discovery, Options, build
from exporter.collectors.parts import Parts
from exporter.model.collector import Run
from exporter.model.errors import Failure, Partial
from exporter.model.metric import Result
from exporter.model.reason import Flaw, Reason
from exporter.model.secret import Secret
from exporter.model.target import Target
from exporter.publishing.health import Moment
from exporter.publishing.listing import Invalid, Listing
from exporter.publishing.refresh import DiscoveryDetail
from tests.collectors.memory import parts, rows

RUN = Run(1, 10.0, 1e9)


def target(name: str, kind: str = "slack", enabled: bool = True) -> Target:
    return Target(name=name, type=kind, format=kind, url=Secret("https://h/s3cr3t"), enabled=enabled, origin="file")


def world(*targets: Target, **more: object) -> tuple[Parts, Discovery]:
    """One origin that was listed once."""
    made = parts()
    made.findings.follow([("file", "file")])
    listing = Listing(origin="file", targets=targets, **more)  # type: ignore[arg-type]
    made.findings.took("file", listing, Moment(1.0, 1e9), 0.5)
    return made, build(Options(), made)


def test_before_anything_is_known_there_are_counters_only() -> None:
    found = rows(build(Options(), parts()).collect(RUN))
    assert set(found) == {
        "publishing_discovery_errors_total",
        "publishing_secrets_total",
        "publishing_target_lookups_total",
    }
    assert set(found["publishing_discovery_errors_total"]) >= {(flaw,) for flaw in Flaw}


def test_targets_are_counted_by_type_whatever_the_type() -> None:
    """Those of the documents are there with 0 too: an alert on no targets needs a number."""
    _, collector = world(target("a"), target("b", enabled=False), target("c", "opsgenie"))
    found = rows(collector.collect(RUN))["publishing_targets"]
    assert {key: number for key, number in found.items() if number} == {
        ("slack", "true"): 1.0,
        ("slack", "false"): 1.0,
        ("opsgenie", "true"): 1.0,
    }
    assert found[("webhook", "true")] == 0.0
    assert "publishing_targets" in rows(world()[1].collect(RUN)), "none found is known"


def test_a_type_that_is_gone_takes_its_series_along() -> None:
    made, collector = world(target("c", "opsgenie"))
    collector.collect(RUN)
    made.findings.took("file", Listing(origin="file"), Moment(2.0, 1e9), 0.1)
    assert ("opsgenie", "true") not in rows(collector.collect(RUN))["publishing_targets"]


def test_documents_are_counted_now_and_since_the_start() -> None:
    invalid = Invalid("file", "t.yaml[1]", Flaw.FIELD)
    made, collector = world(target("a"), invalid=(invalid,), skipped=3)
    made.findings.took("file", Listing(origin="file", targets=(target("a"),)), Moment(2.0, 1e9), 0.1)
    found = rows(collector.collect(RUN))
    assert found["publishing_discovered_secrets"] == {("valid",): 1.0, ("invalid",): 0.0, ("skipped",): 0.0}
    assert found["publishing_secrets_total"] == {("valid",): 2.0, ("invalid",): 1.0, ("skipped",): 3.0}
    assert found["publishing_discovery_errors_total"][("field",)] == 1.0
    assert found["publishing_discovery_duration_seconds"] == {("list",): 0.6}
    assert found["publishing_discovery_last_success_timestamp_seconds"] == {(): 1e9}


def test_a_receiver_comes_and_goes_with_its_series() -> None:
    made, collector = world(integrations={"team": 2, "void": 0})
    found = rows(collector.collect(RUN))
    assert found["publishing_receiver_integrations"] == {("team",): 2.0, ("void",): 0.0}
    made.findings.took("file", Listing(origin="file"), Moment(2.0, 1e9), 0.1)
    assert "publishing_receiver_integrations" not in rows(collector.collect(RUN))


def test_the_detail_holds_pictures_and_nothing_secret() -> None:
    _, collector = world(target("a"))
    detail = collector.collect(RUN).detail
    assert isinstance(detail, DiscoveryDetail)
    assert [picture.name for picture in detail.targets] == ["a"]
    assert "s3cr3t" not in repr(detail)


def test_an_origin_that_fails_makes_the_result_partial_while_something_is_known() -> None:
    made, collector = world(target("a"))
    made.findings.failed("file", Failure(Reason.CONNECT, "connection refused"))
    with pytest.raises(Partial) as caught:
        collector.collect(RUN)
    assert (caught.value.reason, caught.value.detail) == (Reason.CONNECT, "connection refused")
    assert isinstance(caught.value.result, Result)
    assert rows(caught.value.result)["publishing_discovery_errors_total"][("connect",)] == 1.0


def test_it_fails_while_nothing_is_known() -> None:
    made = parts()
    made.findings.follow([("kubernetes", "kubernetes")])
    made.findings.failed("kubernetes", Failure(Reason.CONNECT, "connection refused"))
    with pytest.raises(Failure) as caught:
        build(Options(), made).collect(RUN)
    assert caught.value.reason is Reason.CONNECT


def test_look_ups_are_counted() -> None:
    made, collector = world(target("a"))
    made.targets.get("a")
    assert rows(collector.collect(RUN))["publishing_target_lookups_total"][("get", "hit")] == 1.0
