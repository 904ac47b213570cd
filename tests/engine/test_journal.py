"""The log of collectors that fail and recover."""

from __future__ import annotations

import logging

import pytest

from exporter.engine.journal import Journal
from exporter.model.reason import Outcome, Reason
from exporter.model.snapshot import Record
from tests.fakes.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def journal(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> Journal:
    caplog.set_level(logging.INFO, "exporter")
    return Journal(clock)


def failed(reason: Reason | None = Reason.DNS, name: str = "a") -> Record:
    return Record(name, Outcome.ERROR, reason, "no such name", 0.0, 1.25)


FINE = Record("a", Outcome.OK)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


def test_one_line_when_it_fails_and_one_when_it_recovers(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    for record in (FINE, failed(), failed(), FINE, FINE):
        journal.note(record)
    assert said(caplog) == ["WARNING collector failed", "INFO collector recovered"]
    assert vars(caplog.records[0])["fields"] == {
        "collector": "a",
        "reason": "dns",
        "duration": "1.250s",
        "detail": "no such name",
    }


def test_a_lasting_failure_is_repeated_once_a_minute_for_each_reason(
    journal: Journal, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(13):
        journal.note(failed())
        journal.note(failed(Reason.TLS))
        clock.advance(15.0)
    reasons = [vars(record)["fields"]["reason"] for record in caplog.records]
    assert reasons.count("dns") == reasons.count("tls") == 4


def test_a_failure_without_reason_or_duration_is_told_as_well(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    journal.note(Record("a", Outcome.ERROR))
    assert vars(caplog.records[0])["fields"] == {"collector": "a"}


def test_what_is_gone_neither_recovers_nor_counts_as_said(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    journal.note(failed())
    journal.note(failed(name="b"))
    journal.forget(["a"])
    journal.note(FINE)
    journal.note(failed())
    journal.note(failed(name="b"))
    assert said(caplog) == ["WARNING collector failed"] * 3
