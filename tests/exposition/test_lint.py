"""Complaints about families: ours, and those of promtool beside them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exporter.exposition import lint as module
from exporter.exposition.format import Format
from exporter.exposition.lint import lint
from exporter.model.metric import Distribution, Family, Key, Kind, Samples, Value
from tests.exposition.build import render


def samples(*families: Family) -> list[Samples]:
    return [Samples.of(family, {tuple("x" for _ in family.labels): _value(family)}) for family in families]


def _value(family: Family) -> Value:
    return Distribution((1.0,), 1.0) if family.kind is Kind.HISTOGRAM else 1.0


FINE = [
    Family("publishing_health_checks_total", "Checks.", Kind.COUNTER, ("target", "outcome")),
    Family("publishing_job_duration_seconds", "Duration.", Kind.HISTOGRAM, ("target",), "seconds"),
    Family("publishing_success_rate", "Percent.", labels=("target",)),
    Family("publishing_health_status", "Status.", labels=("target", "type")),
    Family("platform_exporter_history_bytes", "Size.", unit="bytes"),
    Family("service_usage_users_24h", "Users.", labels=("service_namespace", "service_name")),
    Family("a_plugin", "Its labels are its own.", labels=("service",)),
]


def test_nothing_to_say_about_good_families(complaints: Callable[[bytes], str]) -> None:
    assert lint(samples(*FINE)) == []
    assert complaints(render(samples(*FINE), Format.TEXT)) == ""


@pytest.mark.parametrize(
    ("family", "complaint"),
    [
        (Family("a", ""), "a: help text is missing"),
        (Family("a_total", "A."), "a_total: names of counters, and only theirs, end in _total"),
        (Family("a", "A.", Kind.COUNTER), "a: names of counters, and only theirs, end in _total"),
        (Family("a:b", "A."), "a:b: colons are for recording rules"),
        (Family("aB", "A."), "aB: names are written in snake_case"),
        (Family("a", "A.", labels=("xY",)), "a: names are written in snake_case"),
        (Family("a_count", "A."), "a_count: a gauge must not end in _count"),
        (Family("a_sum", "A."), "a_sum: a gauge must not end in _sum"),
        (Family("a_bucket", "A."), "a_bucket: a gauge must not end in _bucket"),
        (Family("a_milliseconds", "A."), "a_milliseconds: the base unit is seconds, not milliseconds"),
        (Family("a_hours", "A."), "a_hours: the base unit is seconds, not hours"),
        (Family("a_gauge", "A."), "a_gauge: the type is no part of the name"),
        (Family("a_counter_total", "A.", Kind.COUNTER), "a_counter_total: the type is no part of the name"),
    ],
)
def test_what_promtool_complains_about_so_do_we(
    family: Family, complaint: str, complaints: Callable[[bytes], str]
) -> None:
    assert lint(samples(family)) == [complaint]
    assert complaints(render(samples(family), Format.TEXT)) != ""


def test_every_unit_we_complain_about_is_one_promtool_does_not_like(complaints: Callable[[bytes], str]) -> None:
    words = [word for others in module._BASE_UNITS.values() for word in sorted(others)] + sorted(module._ABBREVIATED)
    families = [Family(f"reading_{word}", "A.") for word in words]
    said = complaints(render(samples(*families), Format.TEXT))
    ours = lint(samples(*families))
    assert [complaint.split(":")[0] for complaint in ours] == [family.name for family in families]
    assert {line.split()[0] for line in said.splitlines()} == {family.name for family in families}


@pytest.mark.parametrize(
    ("families", "complaint"),
    [
        ([Family("a_bytes", "A.", unit="seconds")], "a_bytes: the name does not end in its unit seconds"),
        ([Family("seconds", "A.", unit="seconds")], "seconds: the name does not end in its unit seconds"),
        (
            [Family("publishing_a", "A.", labels=("service", "x"))],
            "publishing_a: the label service belongs to service discovery",
        ),
        (
            [Family("a_total", "A.", Kind.COUNTER), Family("a", "A.")],
            "a: clashes with the names of a_total",
        ),
        (
            [Family("a_count", "A.", Kind.UNKNOWN), Family("a", "A.", Kind.HISTOGRAM)],
            "a: clashes with the names of a_count",
        ),
        ([Family("a", "A."), Family("a", "B.")], "a: clashes with the names of a"),
    ],
)
def test_what_only_we_know(families: list[Family], complaint: str) -> None:
    assert complaint in lint(samples(*families))


def test_a_family_in_two_columns_is_complained_about_once() -> None:
    twice = [Samples.of(Family("a", "", labels=("x",)), {(value,): 1.0}) for value in "xy"]
    assert lint(twice) == ["a: help text is missing"]


def test_an_illegal_declaration_is_reported_not_raised() -> None:
    rows: dict[Key, Value] = {("1",): 1.0}
    assert "metric name '1 a' is not legal" in lint([Samples.of(Family("1 a", "A.", labels=("le",)), rows)])
