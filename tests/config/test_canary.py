"""What a canary may be configured with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporter.collectors.registry import builtin
from exporter.config.loader import ConfigError, load, parse, schema
from exporter.config.schema import Canary

OPTIONS = {name: module.Options for name, module in builtin().items()}
TOKEN = "c4n4ry-c4n4ry-c4n4ry"


def parsed(canary: str, folder: Path = Path()) -> Canary | None:
    text = (
        f"publishing_services:\n  - {{name: am, url: 'http://am/metrics', dialect: alertmanager, canary: {canary}}}\n"
    )
    (service,) = parse(text, "c", folder, OPTIONS, {}).config.publishing_services
    return service.canary


def given(canary: str) -> Canary:
    found = parsed(canary)
    assert found is not None
    return found


def test_there_is_none_unless_it_is_asked_for() -> None:
    assert parsed("null") is None
    assert load(None, OPTIONS, {}).config.publishing_services == ()


def test_a_token_is_all_it_needs() -> None:
    canary = given(f"{{token: {TOKEN}}}")
    assert (canary.interval, canary.lost_after, canary.labels, canary.url) == (300.0, 60.0, {}, None)
    assert TOKEN not in repr(canary) + canary.model_dump_json()


def test_its_token_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert parsed("{token_file: token}", tmp_path) == given(f"{{token: {TOKEN}}}")


@pytest.mark.parametrize(
    ("times", "lost_after"),
    [
        ("interval: 30s", 30.0),
        ("interval: 10m", 60.0),
        ("interval: 10m, timeout: 5m", 300.0),
        ("interval: 1s, timeout: 1s", 1.0),
        ("timeout: null", 60.0),
    ],
)
def test_what_is_lost_is_known_before_the_next_one_leaves(times: str, lost_after: float) -> None:
    assert given(f"{{token: {TOKEN}, {times}}}").lost_after == lost_after


@pytest.mark.parametrize(
    ("canary", "complaint"),
    [
        ("{}", "canary"),
        ("{token: c4n4ry}", "16 to 1024 characters"),
        ("{token: 'c4n4ry c4n4ry c4n4ry'}", "16 to 1024 characters"),
        ("{token: c4n4ryc4n4ryc4n4ryü}", "16 to 1024 characters"),
        (f"{{token: {'c4n4ry' * 200}}}", "16 to 1024 characters"),
        ("{token: 12345678901234567890}", "expected text"),
        (f"{{token: {TOKEN}, interval: 500ms}}", "at least 1s"),
        (f"{{token: {TOKEN}, interval: 30s, timeout: 31s}}", "must not exceed the interval"),
        (f"{{token: {TOKEN}, labels: {{a-b: c}}}}", "a name that is not legal"),
        (f"{{token: {TOKEN}, labels: {{__a: c}}}}", "a name that is not legal"),
        (f"{{token: {TOKEN}, labels: {{a: ''}}}}", "has no value"),
        (f"{{token: {TOKEN}, labels: {{canary_id: a}}}}", "by itself"),
        (f"{{token: {TOKEN}, url: 'ftp://x'}}", "must begin with http"),
        (f"{{token: {TOKEN}, intervall: 1m}}", "interval"),
    ],
)
def test_a_mistake_is_told_at_its_place_and_nothing_of_the_token(canary: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(canary)
    (problem,) = caught.value.problems
    assert problem.line == 2
    assert problem.path.startswith("publishing_services[0].canary")
    assert complaint in str(problem)
    assert "c4n4ry" not in str(problem)


def test_editors_are_offered_the_file_of_the_token() -> None:
    described: Any = schema(OPTIONS)["$defs"]["Canary"]
    assert "token_file" in described["properties"]
    assert "token" not in described.get("required", [])
