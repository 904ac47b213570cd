"""What the page tells of refreshes."""

from __future__ import annotations

from dataclasses import replace

from exporter.collectors.parts import Parts
from exporter.collectors.refresh import Options, Refresh, build
from exporter.model.collector import Run
from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.publishing.findings import Findings
from exporter.publishing.health import Moment
from exporter.publishing.refresh import RefreshDetail, RefreshRules, RefreshState
from tests.collectors.memory import parts, rows

RUN = Run(1, 10.0, 1e9)


def collect(collector: Refresh) -> tuple[dict[str, dict[tuple[str, ...], float]], RefreshDetail]:
    result = collector.collect(RUN)
    assert isinstance(result.detail, RefreshDetail)
    return rows(result), result.detail


def refreshed(findings: Findings, failure: Failure | None = None) -> None:
    findings.refreshes.begin(Moment(0.0, 1e9))
    seconds = findings.refreshes.end(Moment(2.0, 1e9 + 2.0), failure, 0.0)
    findings.tally.refreshed(seconds, [failure] if failure else [])


def test_before_the_first_only_what_is_known_is_there() -> None:
    """W-M12: an alert on the age of a timestamp would fire at every start."""
    found, detail = collect(build(Options(), parts()))
    assert found["publishing_refresh_in_progress"] == {(): 0.0}
    assert found["publishing_refresh_interval_seconds"] == {(): 300.0}
    assert found["publishing_refresh_total"] == {("success",): 0.0, ("failed",): 0.0}
    assert set(found["publishing_refresh_errors_total"].values()) == {0.0}
    assert not [name for name in found if "timestamp" in name or "duration" in name]
    assert detail.state is RefreshState.IDLE


def test_after_one_it_is_told_when_and_how_long() -> None:
    made = parts()
    refreshed(made.findings)
    found, detail = collect(build(Options(), made))
    assert found["publishing_refresh_last_success_timestamp_seconds"] == {(): 1e9 + 2.0}
    assert found["publishing_refresh_next_timestamp_seconds"] == {(): 1e9 + 302.0}
    assert found["publishing_refresh_total"][("success",)] == 1.0
    assert list(found["publishing_refresh_duration_seconds"]) == [("success",)]
    assert detail.state is RefreshState.SUCCESS


def test_a_failure_is_counted_with_its_reason_and_is_no_failure_of_the_collector() -> None:
    made = parts()
    refreshed(made.findings, Failure(Reason.CONNECT, "connection refused"))
    found, detail = collect(build(Options(), made))
    assert found["publishing_refresh_total"][("failed",)] == 1.0
    assert found["publishing_refresh_errors_total"][("connect",)] == 1.0
    assert "publishing_refresh_last_success_timestamp_seconds" not in found
    assert (detail.reason, detail.consecutive_failures) == (Reason.CONNECT, 1)


def test_one_under_way_is_shown() -> None:
    made = parts()
    made.findings.refreshes.begin(Moment(0.0, 1e9))
    found, _ = collect(build(Options(), made))
    assert found["publishing_refresh_in_progress"] == {(): 1.0}
    assert "publishing_refresh_next_timestamp_seconds" not in found


def test_the_interval_is_that_of_the_configuration() -> None:
    made = parts()
    made.findings.refreshes.rules = RefreshRules(interval=7.0)
    assert collect(build(Options(), made))[0]["publishing_refresh_interval_seconds"] == {(): 7.0}


def test_a_reload_that_builds_it_anew_loses_no_count() -> None:
    made: Parts = parts()
    refreshed(made.findings)
    found, _ = collect(build(Options(), replace(made, prefix="alerts")))
    assert found["alerts_refresh_total"][("success",)] == 1.0
