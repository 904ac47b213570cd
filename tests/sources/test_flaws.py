"""What the log says of documents that give no target."""

from __future__ import annotations

import logging

import pytest

from exporter.model.reason import Flaw
from exporter.publishing.listing import Invalid
from exporter.sources.flaws import NAMED, FlawLog


def flawed(number: int, flaw: Flaw = Flaw.FIELD) -> Invalid:
    return Invalid("kubernetes", f"alerts/{number}", flaw, "url: required")


def told(caplog: pytest.LogCaptureFixture) -> list[object]:
    fields = [record.fields for record in caplog.records]  # type: ignore[attr-defined]
    caplog.clear()
    return [each.get("document", each.get("number")) for each in fields]


def test_each_document_is_told_once_and_again_when_it_is_wrong_in_another_way(caplog: pytest.LogCaptureFixture) -> None:
    log = FlawLog()
    log.note([flawed(1), flawed(2)])
    assert caplog.records[0].fields == {  # type: ignore[attr-defined]
        "origin": "kubernetes",
        "document": "alerts/1",
        "reason": "field",
        "detail": "url: required",
    }
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert told(caplog) == ["alerts/1", "alerts/2"]
    log.note([flawed(1), flawed(2), flawed(3)])
    assert told(caplog) == ["alerts/3"]
    log.note([flawed(1, Flaw.SYNTAX), flawed(3)])
    assert told(caplog) == ["alerts/1"]
    log.note([])
    log.note([flawed(3)])
    assert told(caplog) == ["alerts/3"]


def test_of_very_many_at_once_the_rest_is_a_number(caplog: pytest.LogCaptureFixture) -> None:
    FlawLog().note([flawed(number) for number in range(NAMED + 7)])
    assert told(caplog) == [*(f"alerts/{number}" for number in range(NAMED)), 7]
