"""What the engine counts about itself."""

from __future__ import annotations

import pytest

from exporter.engine.metrics import EngineMetrics
from exporter.instruments.meter import Meter
from exporter.model.reason import Drop, Outcome, Reason


@pytest.fixture
def meter() -> Meter:
    return Meter("platform_exporter_")


def shown(meter: Meter) -> dict[str, int]:
    return {column.family.name.removeprefix("platform_exporter_"): len(column.keys) for column in meter.capture()}


def test_closed_counters_start_at_0_and_all_else_is_absent_until_there_is_a_value(meter: Meter) -> None:
    EngineMetrics(meter).collector("a")
    assert shown(meter) == {
        "collector_outcomes_total": len(Outcome),
        "collector_errors_total": len(Reason),
        "samples_dropped_total": len(Drop),
        "abandoned_calls": 1,
    }


def test_a_failure_does_not_make_up_a_success(meter: Meter) -> None:
    EngineMetrics(meter).collector("a").ended(Outcome.ERROR, Reason.DNS, False, 0.1, 1.0)
    assert "collector_last_success_timestamp_seconds" not in shown(meter)
    assert shown(meter)["collector_up"] == shown(meter)["collector_duration_seconds"] == 1


def test_a_thousand_collectors_are_forgotten_at_once(meter: Meter) -> None:
    metrics = EngineMetrics(meter)
    names = [str(number) for number in range(1000)]
    for name in names:
        metrics.collector(name).ended(Outcome.OK, None, True, 0.1, 1.0)
    metrics.forget(names[1:])
    assert shown(meter)["collector_up"] == 1
    assert shown(meter)["collector_errors_total"] == len(Reason)


def test_every_family_is_fit_for_a_page(meter: Meter) -> None:
    EngineMetrics(meter)
    assert [complaint for family in meter.families for complaint in family.complaints()] == []
