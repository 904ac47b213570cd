from __future__ import annotations

import logging

import pytest

from exporter.web import complaints
from exporter.web.complaints import EVERY, Complaints


def test_trouble_of_one_kind_is_told_once_a_minute_with_how_often_there_was_some(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    monkeypatch.setattr(complaints, "monotonic", lambda: now)
    complain = Complaints()
    for _ in range(1000):
        complain("noise")
    complain("other", limit=3)
    now += EVERY
    complain("noise")
    told = [(record.getMessage(), record.fields) for record in caplog.records]  # type: ignore[attr-defined]
    assert told == [("noise", {"times": 1}), ("other", {"times": 1, "limit": 3}), ("noise", {"times": 1000})]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
