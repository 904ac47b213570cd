"""Rules are checked where they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.dialects import builtin, known, read
from exporter.config.problems import ConfigError
from exporter.model.metric import Kind
from exporter.publishing.dialects.catalogue import FAMILIES, PUBLISHERS, QUEUE, declared
from exporter.publishing.dialects.mapping import Rule


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("{family: queue_sise, series: x}", "rules[0].family: there is no such family; did you mean 'queue_size'?"),
        ("{family: zzz, series: x}", "rules[0].family: there is no such family"),
        ("{family: queue_size, series: x-y}", "rules[0].series: expected the name of a series"),
        ("{family: queue_size}", "rules[0].series: required key is missing"),
        ("{family: queue_size, series: x, hased: []}", "rules[0].hased: unknown key; did you mean 'hashed'?"),
        (
            "{family: queue_size, series: x, labels: {target: t}}",
            "rules[0].labels: the family does not have such a label; it has priority",
        ),
        (
            "{family: workers_idle, series: x, constant: {target: t}}",
            "rules[0].constant: the family does not have such a label; it has none",
        ),
        ("{family: queue_size, series: x, bounds: [1.0]}", "rules[0].bounds: a gauge does not take this"),
        ("{family: job_duration_seconds, series: x, minus: y}", "rules[0].minus: a histogram does not take this"),
        ("{family: queue_size, series: x, factor: 0.0}", "rules[0].factor: must be greater than 0.0"),
        (
            '{family: queue_size, series: x, numbers: {"a": 1.0}}',
            "rules[0].numbers: expected numbers in quotes as keys",
        ),
        ("{family: queue_size, series: x, combine: min}", "rules[0].combine: expected sum or max"),
    ],
)
def test_a_mistake_in_a_rule_is_told_with_its_place(tmp_path: Path, rule: str, complaint: str) -> None:
    file = tmp_path / "mapping.yaml"
    file.write_text(f"rules:\n  - {rule}\n")
    with pytest.raises(ConfigError) as caught:
        read(file, {})
    (problem,) = caught.value.problems
    assert f"{problem.path}: {problem.message}" == complaint
    assert (problem.file, problem.line) == (str(file), 2)


def test_a_mapping_without_rules_is_none(tmp_path: Path) -> None:
    file = tmp_path / "mapping.yaml"
    file.write_text("rules: []\n")
    with pytest.raises(ConfigError, match="needs at least one rule"):
        read(file, {})


def test_numbers_are_compared_as_numbers() -> None:
    assert Rule(family="circuit_breaker_state", series="x", numbers={"1": 2.0, "2.0": 1.0}).states == {
        1.0: 2.0,
        2.0: 1.0,
    }


def test_there_are_four_dialects() -> None:
    assert builtin() == ("alert-history", "alertmanager", "prometheus", "vmalert")
    assert known("vmalert") is known("vmalert")


def test_alert_history_fills_all_of_the_queue_and_every_publisher_family_of_its_own() -> None:
    filled = {rule.family for rule in known("alert-history").rules}
    own = {name for name in PUBLISHERS if name.startswith(("rootly_", "pagerduty_", "slack_", "webhook_"))}
    assert len(QUEUE) == 17
    assert len(own) == 32
    assert set(QUEUE) | own <= filled


def test_the_catalogue_is_legal_and_says_where_each_series_is_from() -> None:
    for family in FAMILIES.values():
        ours = declared(family, "publishing")
        assert ours.complaints() == []
        assert ours.labels[-2:] == ("upstream", "replica")
        assert ours.open_bounds == (family.kind in (Kind.HISTOGRAM, Kind.SUMMARY))
