"""Counts under the prefix of a configuration."""

from exporter.collectors.prefixed import Prefixed
from exporter.instruments.meter import Meter


def test_what_was_counted_keeps_its_numbers_under_any_prefix() -> None:
    meter = Meter()
    made = meter.counter("cups_total", "Cups of tea.", ("kettle",))
    made.labels("kitchen").inc(3.0)
    for prefix in ("tea", "coffee"):
        prefixed = Prefixed(prefix, [meter])
        (samples,) = prefixed.samples()
        assert samples.family is prefixed.families[0]
        assert (samples.family.name, samples.rows()) == (f"{prefix}_cups_total", [(("kitchen",), (3.0,))])


def test_a_family_without_a_series_is_declared_and_absent() -> None:
    meter = Meter()
    meter.counter("cups_total", "Cups of tea.", ("kettle",))
    prefixed = Prefixed("tea", [meter])
    assert [family.name for family in prefixed.families] == ["tea_cups_total"]
    assert prefixed.samples() == []
