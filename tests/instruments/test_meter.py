"""Counters, gauges and histograms of our own."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.instruments.meter import Meter
from exporter.model.metric import Kind


@pytest.fixture
def meter() -> Meter:
    return Meter("ours_")


def test_a_counter_starts_at_0_and_goes_up(meter: Meter) -> None:
    cell = meter.counter("jobs_total", "Jobs.", ("name",)).labels("a")
    assert cell.value == 0.0
    cell.inc()
    cell.inc(2.5)
    assert cell.value == 3.5
    assert meter.capture()[0].rows() == [(("a",), (3.5,))]


def test_a_gauge_goes_where_it_is_set(meter: Meter) -> None:
    cell = meter.gauge("size", "Size.").labels()
    cell.set(5.0)
    cell.inc(2.0)
    cell.dec()
    assert cell.value == 6.0


@pytest.mark.parametrize(
    ("value", "bucket"),
    [(-1.0, 0), (0.0, 0), (0.1, 0), (0.100001, 1), (1.0, 1), (1.5, 2), (5.0, 2), (5.1, 3), (float("inf"), 3)],
    ids=str,
)
def test_a_value_on_a_bound_belongs_to_the_bucket_below_it(meter: Meter, value: float, bucket: int) -> None:
    instrument = meter.histogram("wait_seconds", "Wait.", (0.1, 1.0, 5.0))
    instrument.labels().observe(value)
    counts = [1.0 if at == bucket else 0.0 for at in range(4)]
    assert instrument.capture().values == (*counts, value)
    assert instrument.labels().count == 1.0


@given(st.lists(st.floats(-10.0, 10.0)))
def test_a_histogram_loses_nothing(values: list[float]) -> None:
    bounds = (-1.0, 0.5, 5.0)
    cell = Meter().histogram("wait_seconds", "Wait.", bounds).labels()
    for value in values:
        cell.observe(value)
    assert cell.count == len(values)
    captured = Meter().histogram("other_seconds", "Other.", bounds)
    for value in values:
        captured.labels().observe(value)
    if values:
        expected = [0.0] * 4
        for value in values:
            expected[bisect_left(bounds, value)] += 1.0
        assert list(captured.capture().values[:-1]) == expected


def test_the_same_labels_are_the_same_cell_and_the_wrong_number_of_them_is_an_error(meter: Meter) -> None:
    instrument = meter.counter("jobs_total", "Jobs.", ("name",))
    assert instrument.labels("a") is instrument.labels("a")
    with pytest.raises(ValueError, match="takes the labels"):
        instrument.labels("a", "b")


def test_cells_survive_the_removal_of_others_and_keep_counting(meter: Meter) -> None:
    instrument = meter.histogram("wait_seconds", "Wait.", (1.0,), ("name", "kind"))
    cells = {name: instrument.labels(name, "x") for name in ("a", "b", "c", "d")}
    for number, cell in enumerate(cells.values()):
        cell.observe(float(number))
    instrument.remove("a", "c")
    for cell in cells.values():
        cell.observe(10.0)
    assert instrument.capture().rows() == [
        (("b", "x"), (1.0, 1.0, 11.0)),
        (("d", "x"), (0.0, 2.0, 13.0)),
    ]
    assert instrument.labels("a", "x").count == 0.0, "who comes back starts at 0"


def test_removing_what_is_not_there_changes_nothing(meter: Meter) -> None:
    instrument = meter.counter("jobs_total", "Jobs.", ("name",))
    instrument.labels("x").inc()
    keys = instrument.capture().keys
    instrument.remove("y")
    instrument.remove()
    assert instrument.capture().keys is keys
    assert instrument.capture().values == (1.0,)


def test_an_instrument_that_is_cleared_has_no_series(meter: Meter) -> None:
    instrument = meter.counter("jobs_total", "Jobs.", ("name",))
    instrument.labels("a").inc()
    instrument.clear()
    assert meter.capture() == ()
    assert instrument.labels("a").value == 0.0


def test_while_no_label_set_comes_or_goes_the_keys_are_the_same_object(meter: Meter) -> None:
    instrument = meter.counter("jobs_total", "Jobs.", ("name",))
    instrument.labels("a")
    first = instrument.capture()
    instrument.labels("a").inc()
    second = instrument.capture()
    assert second.keys is first.keys
    assert (first.values, second.values) == ((0.0,), (1.0,)), "a capture does not change"
    instrument.labels("b")
    assert instrument.capture().keys == (("a",), ("b",))


def test_an_instrument_without_series_is_absent(meter: Meter) -> None:
    size = meter.gauge("size", "Size.")
    assert size.capture()[1:] == ((), ())
    meter.counter("jobs_total", "Jobs.").labels()
    assert [column.family.name for column in meter.capture()] == ["ours_jobs_total"]


def test_families_are_declared_in_order_with_prefix_and_unit(meter: Meter) -> None:
    meter.counter("jobs_total", "Jobs.")
    meter.gauge("seen_timestamp_seconds", "Seen.", ("name",), "seconds")
    meter.histogram("wait_seconds", "Wait.", [0.1, 1.0])
    meter.histogram("answer_bytes", "Size.", [0.1, 1.0])
    assert [(family.name, family.kind, family.unit) for family in meter.families] == [
        ("ours_jobs_total", Kind.COUNTER, ""),
        ("ours_seen_timestamp_seconds", Kind.GAUGE, "seconds"),
        ("ours_wait_seconds", Kind.HISTOGRAM, "seconds"),
        ("ours_answer_bytes", Kind.HISTOGRAM, ""),
    ]
    assert [family.complaints() for family in meter.families] == [[]] * 4
