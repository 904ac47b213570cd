"""Declarations and columns."""

from __future__ import annotations

from math import inf, nan

import pytest

from exporter.model.metric import Distribution, Family, Kind, Quantiles, Samples


@pytest.mark.parametrize(
    ("family", "complaint"),
    [
        (Family("publishing_queue_size", "Fine."), None),
        (Family("publishing_jobs_total", "Fine.", Kind.COUNTER, ("target",)), None),
        (Family("job:rate", "Fine.", Kind.UNKNOWN), None),
        (Family("a_seconds", "Fine.", Kind.HISTOGRAM, bounds=(0.1, 1.0)), None),
        (Family("a_seconds", "Fine.", Kind.SUMMARY, bounds=(0.5,)), None),
        (Family("1a", "H."), "metric name"),
        (Family("a b", "H."), "metric name"),
        (Family("a\n", "H."), "metric name"),
        (Family("ä", "H."), "metric name"),
        (Family("a", "  "), "help text"),
        (Family("a", "H.", Kind.COUNTER), "_total"),
        (Family("a_total", "H."), "_total"),
        (Family("a", "H.", labels=("x", "x")), "named twice"),
        (Family("a", "H.", labels=("x-y",)), "not legal"),
        (Family("a", "H.", labels=("x\n",)), "not legal"),
        (Family("a", "H.", labels=("__x",)), "reserved"),
        (Family("a", "H.", Kind.HISTOGRAM, ("le",)), "reserved"),
        (Family("a", "H.", Kind.SUMMARY, ("quantile",)), "reserved"),
        (Family("a", "H.", labels=("le",)), None),
        (Family("a", "H.", bounds=(1.0,)), "no bounds"),
        (Family("a", "H.", Kind.HISTOGRAM, bounds=(2.0, 1.0)), "must rise"),
        (Family("a", "H.", Kind.HISTOGRAM, bounds=(1.0, 1.0)), "must rise"),
        (Family("a", "H.", Kind.HISTOGRAM, bounds=(1.0, inf)), "finite"),
        (Family("a", "H.", Kind.HISTOGRAM, bounds=(nan,)), "finite"),
    ],
    ids=[str(number) for number in range(24)],
)
def test_what_makes_a_declaration_unfit_for_a_page_is_said(family: Family, complaint: str | None) -> None:
    if complaint is None:
        assert family.complaints() == []
    else:
        (found,) = family.complaints()
        assert complaint in found


def test_every_name_a_family_can_have_on_the_page_is_claimed() -> None:
    assert Family("a", "H.").claims == {"a"}
    assert Family("a_total", "H.", Kind.COUNTER).claims == {"a", "a_total"}
    assert Family("a", "H.", Kind.HISTOGRAM).claims == {"a", "a_bucket", "a_sum", "a_count"}
    assert Family("a", "H.", Kind.SUMMARY).claims == {"a", "a_sum", "a_count"}


def test_equal_declarations_are_equal_and_can_be_keys() -> None:
    assert {Family("a", "H."), Family("a", "H.")} == {Family("a", "H.")}
    assert Family("a", "H.") != Family("a", "Other.")


def test_width_is_how_many_numbers_a_metric_takes() -> None:
    assert Family("a", "H.").width == 1
    assert Family("a", "H.", Kind.HISTOGRAM, bounds=(1.0, 2.0)).width == 4
    assert Family("a", "H.", Kind.SUMMARY, bounds=(0.5,)).width == 3


def test_samples_from_a_mapping_and_from_a_lone_number() -> None:
    labelled = Samples.of(Family("a", "H.", labels=("x",)), {("1",): 1.0, ("2",): 2.0})
    assert labelled.keys == (("1",), ("2",))
    assert labelled.rows() == [(("1",), (1.0,)), (("2",), (2.0,))]
    assert Samples.of(Family("a", "H."), 5.0).rows() == [((), (5.0,))]
    assert Samples.of(Family("a", "H."), {}).rows() == []


def test_histograms_and_summaries_are_laid_flat() -> None:
    histogram = Family("a", "H.", Kind.HISTOGRAM, ("x",), bounds=(1.0,))
    found = Samples.of(histogram, {("1",): Distribution((1.0, 2.0), 9.0), ("2",): Distribution((3.0, 4.0), 8.0)})
    assert found.values == (1.0, 2.0, 9.0, 3.0, 4.0, 8.0)
    assert found.rows()[1] == (("2",), (3.0, 4.0, 8.0))
    summary = Family("a", "H.", Kind.SUMMARY, bounds=(0.5,))
    assert Samples.of(summary, {(): Quantiles((0.1,), 9.0, 2.0)}).values == (0.1, 9.0, 2.0)


def test_a_metric_of_the_wrong_width_does_not_shift_those_that_follow() -> None:
    histogram = Family("a", "H.", Kind.HISTOGRAM, ("x",), bounds=(1.0,))
    found = Samples.of(
        histogram, {("1",): Distribution((1.0,), 9.0), ("2",): 1.0, ("3",): Distribution((3.0, 4.0), 8.0)}
    )
    assert list(found.values) == [*[None] * 6, 3.0, 4.0, 8.0]
