"""What the origins told, and what comes of it."""

from __future__ import annotations

import pytest

from exporter.model.errors import Failure
from exporter.model.metric import Samples
from exporter.model.reason import Flaw, Reason
from exporter.model.secret import Secret
from exporter.model.target import Target
from exporter.publishing.findings import Findings
from exporter.publishing.health import Moment
from exporter.publishing.listing import Invalid, Listing

BAD = Invalid("file", "t.yaml[3]", Flaw.FIELD, "name: expected text")


def target(name: str, origin: str = "file", url: str = "https://h/x") -> Target:
    return Target(name=name, type="webhook", format="webhook", url=Secret(url), origin=origin, source=f"{name}.yaml[0]")


def listing(*names: str, origin: str = "file", invalid: tuple[Invalid, ...] = (), skipped: int = 0) -> Listing:
    targets = tuple(target(name, origin) for name in names)
    return Listing(origin=origin, targets=targets, invalid=invalid, skipped=skipped)


def at(seconds: float) -> Moment:
    return Moment(seconds, 1e9 + seconds)


@pytest.fixture
def findings() -> Findings:
    made = Findings()
    made.follow([("file", "file"), ("kubernetes", "kubernetes")])
    return made


def names(findings: Findings) -> list[str]:
    return list(findings.directory.current())


def counted(samples: tuple[Samples, ...], name: str) -> dict[str, float]:
    """What was counted in one family, without what stands at 0."""
    (found,) = [one for one in samples if one.family.name == name]
    return {key[0]: numbers[0] for key, numbers in found.rows() if numbers[0]}


def test_each_listing_counts_at_once(findings: Findings) -> None:
    assert findings.took("file", listing("a"), at(1), 0.1)
    assert names(findings) == ["a"]
    assert findings.took("kubernetes", listing("b", origin="kubernetes"), at(2), 0.1)
    assert names(findings) == ["a", "b"]


def test_the_same_listing_again_changes_nothing(findings: Findings) -> None:
    findings.took("file", listing("a", invalid=(BAD,)), at(1), 0.1)
    before = findings.directory.current()
    assert not findings.took("file", listing("a", invalid=(BAD,)), at(2), 0.1)
    assert findings.directory.current() is before


def test_what_only_pages_show_is_a_change_too(findings: Findings) -> None:
    findings.took("file", listing("a"), at(1), 0.1)
    assert findings.took("file", listing("a", invalid=(BAD,)), at(2), 0.1)
    integrations = Listing(origin="file", targets=listing("a").targets, invalid=(BAD,), integrations={"void": 0})
    assert findings.took("file", integrations, at(2), 0.1)


def test_a_failure_keeps_what_was_known_and_says_why(findings: Findings) -> None:
    findings.took("file", listing("a"), at(1), 0.1)
    findings.failed("file", Failure(Reason.TIMEOUT, "late"))
    assert names(findings) == ["a"]
    state = findings.refresh_detail().sources[0]
    assert (state.targets, state.last_success, state.reason, state.detail) == (1, 1e9 + 1, Reason.TIMEOUT, "late")
    assert [failure.reason for failure in findings.failures] == [Reason.TIMEOUT]
    findings.took("file", listing("a"), at(3), 0.1)
    assert findings.failures == ()


def test_part_of_a_listing_counts_without_being_a_success(findings: Findings) -> None:
    findings.took("file", listing("a"), at(1), 0.1)
    assert findings.incomplete("file", listing("a", "b"))
    assert names(findings) == ["a", "b"]
    assert findings.sources[0].last_success == 1e9 + 1


def test_nothing_found_and_nothing_known_are_not_the_same(findings: Findings) -> None:
    assert not Findings().known
    findings.took("file", listing(), at(1), 0.1)
    known = findings.known
    assert not known, "the cluster has not been listed"
    assert findings.last_success is None
    findings.took("kubernetes", listing(origin="kubernetes"), at(5), 0.1)
    known = findings.known
    assert known
    assert findings.last_success == 1e9 + 1, "the oldest counts"


def test_whoever_is_told_of_a_target_knows_something(findings: Findings) -> None:
    findings.took("file", listing("a"), at(1), 0.1)
    assert findings.known


def test_an_origin_that_is_gone_takes_its_targets_along(findings: Findings) -> None:
    findings.took("file", listing("a"), at(1), 0.1)
    findings.took("kubernetes", listing("b", origin="kubernetes"), at(2), 0.1)
    assert findings.follow([("kubernetes", "kubernetes")])
    assert names(findings) == ["b"]
    assert not findings.took("file", listing("late"), at(3), 0.1)
    findings.failed("file", Failure(Reason.TIMEOUT))
    assert names(findings) == ["b"]


def test_an_origin_that_is_read_elsewhere_keeps_its_targets_until_it_was_read() -> None:
    findings = Findings()
    findings.follow([("alertmanager a.yml", "alertmanager"), ("alertmanager b.yml", "alertmanager")])
    findings.took("alertmanager a.yml", listing("a", origin="alertmanager"), at(1), 0.1)
    findings.took("alertmanager b.yml", listing("b", origin="alertmanager"), at(1), 0.1)
    assert findings.follow([("alertmanager c.yml", "alertmanager")]), "there is one less"
    assert names(findings) == ["a"]
    findings.took("alertmanager c.yml", listing("c", origin="alertmanager"), at(2), 0.1)
    assert names(findings) == ["c"]


def test_the_order_of_places_is_that_of_the_configuration() -> None:
    findings = Findings()
    findings.follow([("alertmanager a", "alertmanager"), ("alertmanager b", "alertmanager")])
    findings.took("alertmanager b", listing("b", origin="alertmanager"), at(1), 0.1)
    findings.follow([("alertmanager b", "alertmanager"), ("alertmanager a", "alertmanager")])
    assert [source.name for source in findings.sources] == ["alertmanager b", "alertmanager a"]
    assert names(findings) == ["b"]


def test_the_numbers_are_those_of_all_origins(findings: Findings) -> None:
    findings.took("file", listing("a", "b", invalid=(BAD,)), at(1), 0.1)
    findings.took("kubernetes", listing("a", "c", origin="kubernetes", skipped=4), at(1), 0.1)
    detail = findings.refresh_detail()
    assert (detail.targets_discovered, detail.targets_valid, detail.targets_invalid) == (5, 3, 2)
    assert [invalid.flaw for invalid in detail.invalid] == [Flaw.FIELD, Flaw.DUPLICATE]
    assert [state.skipped for state in detail.sources] == [0, 4]


def test_the_pictures_are_made_once(findings: Findings) -> None:
    findings.took("file", listing("a"), at(1), 0.1)
    first = findings.discovery_detail()
    assert [picture.name for picture in first.targets] == ["a"]
    assert findings.discovery_detail() is first
    findings.took("file", listing("b"), at(2), 0.1)
    assert [picture.name for picture in findings.discovery_detail().targets] == ["b"]


def test_every_whole_listing_is_counted_and_of_a_watch_only_what_is_new(findings: Findings) -> None:
    kept = target("a", "kubernetes")
    first = Listing(origin="kubernetes", targets=(kept,), invalid=(BAD,), skipped=2)
    for _ in range(2):
        findings.took("kubernetes", first, at(1), 0.1)
    documents = counted(findings.tally.discovery.capture(), "secrets_total")
    assert documents == {"valid": 2.0, "invalid": 2.0, "skipped": 4.0}
    more = Listing(origin="kubernetes", targets=(kept, target("b", "kubernetes")), invalid=(BAD,), skipped=1)
    assert findings.watched("kubernetes", more, at(2))
    documents = counted(findings.tally.discovery.capture(), "secrets_total")
    assert documents == {"valid": 3.0, "invalid": 2.0, "skipped": 4.0}


def test_a_duplicate_is_counted_when_it_comes_and_not_at_every_look(findings: Findings) -> None:
    findings.took("file", listing("a"), at(1), 0.1)
    findings.took("kubernetes", listing("a", origin="kubernetes"), at(1), 0.1)
    findings.took("file", listing("a", "b"), at(2), 0.1)
    assert counted(findings.tally.discovery.capture(), "discovery_errors_total") == {"duplicate": 1.0}


def test_attempts_and_refreshes_are_counted_by_reason(findings: Findings) -> None:
    findings.failed("file", Failure(Reason.CONNECT))
    findings.failed("file", Failure(Reason.CONNECT))
    findings.tally.refreshed(2.0, [Failure(Reason.CONNECT)])
    findings.tally.refreshed(0.2, [])
    assert counted(findings.tally.discovery.capture(), "discovery_errors_total") == {"connect": 2.0}
    assert counted(findings.tally.refresh.capture(), "refresh_total") == {"failed": 1.0, "success": 1.0}
    assert counted(findings.tally.refresh.capture(), "refresh_errors_total") == {"connect": 1.0}


def test_the_steps_of_a_listing_are_timed_as_far_as_it_tells(findings: Findings) -> None:
    findings.took("file", Listing(origin="file", seconds={"parse": 0.2, "validate": 0.3}), at(1), 1.0)
    (found,) = [one for one in findings.tally.discovery.capture() if "duration" in one.family.name]
    assert {key: numbers[-1] for key, numbers in found.rows()} == {("list",): 1.0, ("parse",): 0.2, ("validate",): 0.3}
