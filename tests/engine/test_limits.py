"""Whatever comes in: what goes out is fit for a page, within the budget, and accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import inf, isfinite, isnan, nan
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.engine.limits import NOTHING, Accepted, Intake, Limits, Merge, series_of, series_per_metric
from exporter.model.errors import Failure
from exporter.model.metric import Distribution, Family, Key, Kind, Quantiles, Result, Samples, Value
from exporter.model.reason import Drop

GAUGE = Family("publishing_gauge", "A gauge.", Kind.GAUGE, ("name",))
COUNTER = Family("publishing_jobs_total", "A counter.", Kind.COUNTER, ("name",))
HISTOGRAM = Family("publishing_wait_seconds", "A histogram.", Kind.HISTOGRAM, ("name",), bounds=(0.1, 1.0))
SUMMARY = Family("publishing_size_bytes", "A summary.", Kind.SUMMARY, ("name",), bounds=(0.5, 0.9))
SINKING = Family("publishing_drift_celsius", "May fall.", Kind.HISTOGRAM, ("name",), bounds=(-1.0, 1.0))
FAMILIES = (GAUGE, COUNTER, HISTOGRAM, SUMMARY, SINKING)


def intake(*families: Family, wanted: Sequence[str] = (), limits: Limits | None = None) -> Intake:
    return Intake(families or FAMILIES, lambda name: not wanted or name in wanted, limits or Limits())


def accepted(taker: Intake, *columns: Any) -> Accepted:
    return taker.accept(Result(columns))


def numbers(found: Accepted) -> list[tuple[float, ...]]:
    return [column.values for column in found.samples]


class Numpyish:
    def __repr__(self) -> str:
        return "2.5"

    def __float__(self) -> float:
        return 2.5


class Exploding:
    def __repr__(self) -> str:
        return "exploding"

    def __float__(self) -> float:
        raise RuntimeError("no")


class SubFloat(float):
    pass


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (1.5, 1.5),
        (nan, nan),
        (inf, inf),
        (-inf, -inf),
        (1e308, 1e308),
        (-0.0, -0.0),
        (7, 7.0),
        (True, 1.0),
        (Decimal("0.25"), 0.25),
        (Fraction(1, 4), 0.25),
        (Numpyish(), 2.5),
        (SubFloat(3.5), 3.5),
        (10**400, None),
        ("abc", None),
        ("1.5", None),
        (b"1", None),
        (None, None),
        (1j, None),
        (Exploding(), None),
    ],
    ids=lambda value: f"{type(value).__name__} {value}"[:24] if not isinstance(value, int) else str(value % 1000),
)
def test_col7_numbers_of_every_kind_become_floats_and_what_is_none_is_dropped(value: Any, kept: float | None) -> None:
    found = accepted(intake(), Samples(GAUGE, (("bad",), ("good",)), (value, 1.0)))
    assert found.drops == ({} if kept is not None else {Drop.VALUE: 1})
    values = found.samples[0].values
    assert values[-1] == 1.0
    assert {type(number) for number in values} == {float}
    if kept is not None:
        assert repr(values[0]) == repr(kept)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("plain", "plain"),
        (7, "7"),
        (0.5, "0.5"),
        (True, "True"),
        (b"bytes", "bytes"),
        ("nul\0", "nul\0"),
        ("cr\r\nlf", "cr\r\nlf"),
        ('quote" back\\', 'quote" back\\'),
        ("\u202eoverride", "\u202eoverride"),
        ("ü" * 512, "ü" * 512),
        ("", ""),
        (None, None),
        (b"\xff", None),
        ("\ud800", None),
        (10**5000, None),
        (["list"], None),
        ("x" * 1025, None),
        ("ü" * 513, None),
        pytest.param("x" * 5_000_000, None, id="5 MB"),
    ],
    ids=lambda value: ascii(value)[:20] if not isinstance(value, int) else str(value % 1000),
)
def test_col8_label_values_are_text_that_can_be_encoded_and_has_an_end(value: Any, kept: str | None) -> None:
    found = accepted(intake(), Samples(GAUGE, ((value,), ("other",)), (1.0, 2.0)))
    expected = (("other",),) if kept is None else ((kept,), ("other",))
    assert found.samples[0].keys == expected
    assert found.drops == ({Drop.LABEL: 1} if kept is None else {})


def test_text_of_a_foreign_type_becomes_plain_text() -> None:
    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            raise RuntimeError("no")

    key = accepted(intake(), Samples(GAUGE, ((Text("x"),),), (1.0,))).samples[0].keys[0]
    assert key == ("x",)
    assert type(key[0]) is str


@pytest.mark.parametrize("key", [(), ("a", "b"), "a", None, ["a"], ("a",) * 500], ids=lambda key: repr(key)[:15])
def test_card3_a_key_of_another_length_or_shape_is_dropped(key: Any) -> None:
    found = accepted(intake(), Samples(GAUGE, (key, ("good",)), (1.0, 2.0)))
    assert found.samples[0].keys == (("good",),)
    assert found.drops == {Drop.LABEL: 1}


@pytest.mark.parametrize(
    ("family", "values", "fine"),
    [
        (COUNTER, (0.0,), True),
        (COUNTER, (1e308,), True),
        (COUNTER, (-1.0,), False),
        (COUNTER, (nan,), False),
        (COUNTER, (inf,), False),
        (HISTOGRAM, (1.0, 2.0, 0.0, 5.0), True),
        (HISTOGRAM, (1.0, 2.0, 0.0, inf), True),
        (HISTOGRAM, (1.0, -2.0, 0.0, 5.0), False),
        (HISTOGRAM, (1.0, inf, 0.0, 5.0), False),
        (HISTOGRAM, (1.0, 2.0, 0.0, -5.0), False),
        (HISTOGRAM, (1.0, 2.0, 0.0, nan), False),
        (SINKING, (1.0, 2.0, 0.0, -5.0), True),
        (SINKING, (1.0, 2.0, 0.0, nan), True),
        (SINKING, (1.0, nan, 0.0, 1.0), False),
        (SUMMARY, (nan, 2.0, 3.0, 4.0), True),
        (SUMMARY, (1.0, 2.0, 3.0, 4.0), True),
        (SUMMARY, (-1.0, 2.0, 3.0, 4.0), False),
        (SUMMARY, (1.0, 2.0, nan, 4.0), False),
        (SUMMARY, (1.0, 2.0, 3.0, inf), False),
        (SUMMARY, (1.0, 2.0, 3.0, -4.0), False),
        (SUMMARY, (1.0, 2.0, -3.0, 4.0), False),
    ],
    ids=str,
)
def test_counts_are_never_negative_nan_or_endless(family: Family, values: tuple[float, ...], fine: bool) -> None:
    taker = intake()
    good = (1.0,) * family.width
    for _ in range(2):  # one by one the first time, as a column the second
        accepted(taker, Samples(family, (("x",), ("y",)), good * 2))
        found = accepted(taker, Samples(family, (("x",), ("y",)), (*values, *good)))
        assert numbers(found) == [(*values, *good) if fine else good] or any(map(isnan, values))
        assert found.drops == ({} if fine else {Drop.VALUE: 1})


def test_counts_whose_total_is_endless_are_fine_one_by_one() -> None:
    found = accepted(intake(), Samples(COUNTER, (("x",), ("y",)), (1e308, 1e308)))
    again = accepted(taker := intake(), Samples(COUNTER, (("x",), ("y",)), (1.0, 1.0)))
    assert numbers(accepted(taker, Samples(COUNTER, (("x",), ("y",)), (1e308, 1e308)))) == numbers(found)
    assert (found.series, again.series) == (2, 2)


def test_undeclared_and_differing_families_are_dropped() -> None:
    other = Family("publishing_other", "Not declared.")
    differs = Family(GAUGE.name, "Other help.", Kind.GAUGE, ("name",))
    found = accepted(
        intake(), Samples.of(other, 1.0), Samples.of(differs, {("a",): 1.0, ("b",): 1.0}), "junk", Samples.of(GAUGE, {})
    )
    assert found.samples == ()
    assert found.drops == {Drop.FAMILY: 4}


def test_an_equal_declaration_is_as_good_as_the_same() -> None:
    equal = Family(GAUGE.name, GAUGE.help, GAUGE.kind, GAUGE.labels)
    assert accepted(intake(), Samples.of(equal, {("a",): 1.0})).samples[0].family is GAUGE


@pytest.mark.parametrize(
    "unsound",
    [Family("no name", "Illegal."), Family("publishing_x", cast("str", None)), Family("publishing_x", "")],
    ids=str,
)
def test_a_declaration_that_is_not_fit_for_a_page_counts_as_none(unsound: Family) -> None:
    for families in ((unsound,), None):
        taker = Intake(families, lambda name: True, Limits())
        assert accepted(taker, Samples.of(unsound, 1.0)).drops == {Drop.FAMILY: 1}


def test_columns_of_the_wrong_length_or_type_are_dropped() -> None:
    columns = [
        Samples(GAUGE, (("a",), ("b",)), (1.0,)),
        Samples(GAUGE, [("a",)], (1.0,)),  # type: ignore[arg-type]
        Samples(GAUGE, (("a",),), [1.0]),  # type: ignore[arg-type]
    ]
    found = accepted(intake(), *columns)
    assert found.samples == ()
    assert found.drops == {Drop.VALUE: 2, Drop.FAMILY: 2}


def test_what_fell_into_a_bucket_is_a_whole_number() -> None:
    halves: dict[Key, Value] = {
        ("half",): Distribution((0.5, 0.5, 0.0), 1.0),
        ("good",): Distribution((2, 1, 2.0**60), 1),
    }
    found = accepted(intake(), Samples.of(HISTOGRAM, halves))
    assert [key for key, _ in found.samples[0].rows()] == [("good",)]
    half: dict[Key, Value] = {("half",): Quantiles((0.1, 0.2), 1.0, 1.5), ("good",): Quantiles((0.1, 0.2), 1.5, 1.0)}
    found = accepted(intake(), Samples.of(SUMMARY, half))
    assert [key for key, _ in found.samples[0].rows()] == [("good",)]
    assert found.drops == {Drop.VALUE: 1}


def test_a_histogram_with_the_wrong_number_of_buckets_does_not_shift_the_others() -> None:
    column = Samples.of(
        HISTOGRAM,
        {
            ("short",): Distribution((1.0,), 1.0),
            ("good",): Distribution((1.0, 2.0, 3.0), 9.0),
            ("kind",): Quantiles((1.0,), 1.0, 1.0),
            ("number",): 1.0,
        },
    )
    found = accepted(intake(), column)
    assert found.samples[0].rows() == [(("good",), (1.0, 2.0, 3.0, 9.0))]
    assert found.drops == {Drop.VALUE: 3}


def test_families_that_are_not_wanted_are_left_out_without_being_counted() -> None:
    both = (Samples.of(GAUGE, {("a",): 1.0}), Samples.of(COUNTER, {("a",): 1.0}))
    for families in (FAMILIES, None):
        taker = Intake(families, lambda name: name == GAUGE.name, Limits())
        found = accepted(taker, *both)
        assert [column.family for column in found.samples] == [GAUGE]
        assert found.drops == {}


def test_card2_an_open_intake_forgets_names_that_do_not_come_again() -> None:
    taker = Intake(None, lambda name: name.endswith("1"), Limits())
    for number in range(1000):
        accepted(taker, Samples.of(Family(f"publishing_random_{number}", "New."), 1.0))
    kept = [held for name in ("_families", "_hidden", "_columns", "_raw") for held in getattr(taker, name)]
    assert len(kept) <= 4


def test_card2_labels_that_are_new_in_every_cycle_do_not_pile_up() -> None:
    taker = intake()
    for number in range(1000):
        found = accepted(taker, Samples.of(GAUGE, {(f"random-{number}",): 1.0}))
        assert found.series == 1
    assert len(getattr(taker, "_columns")[GAUGE.name, ()].keys) == 1  # noqa: B009


def test_one_family_in_many_pieces_is_one_column_without_doubles() -> None:
    pieces = [Samples.of(GAUGE, {(str(number % 4),): float(number)}) for number in range(6)]
    found = accepted(intake(), *pieces)
    assert found.samples == (Samples(GAUGE, (("0",), ("1",), ("2",), ("3",)), (0.0, 1.0, 2.0, 3.0)),)
    assert found.drops == {Drop.DUPLICATE: 2}


def test_card1_the_budget_counts_whole_metrics() -> None:
    rows: dict[Key, Value] = {(str(number),): Distribution((1.0, 1.0, 1.0), 1.0) for number in range(5)}
    columns = (Samples.of(GAUGE, {("a",): 1.0}), Samples.of(HISTOGRAM, rows))
    found = accepted(intake(limits=Limits(series_per_collector=12)), *columns)
    assert series_per_metric(HISTOGRAM) == 5
    assert [len(column.keys) for column in found.samples] == [1, 2]
    assert (found.series, found.drops) == (11, {Drop.BUDGET: 3})


def test_what_is_no_result_is_refused() -> None:
    with pytest.raises(Failure, match="NoneType instead of a Result"):
        intake().accept(None)
    with pytest.raises(Failure, match="no sequence"):
        intake().accept(Result(samples=iter(())))  # type: ignore[arg-type]


# -- what is the same as last time


def test_the_same_result_gives_the_same_answer_and_the_same_counts() -> None:
    taker = intake()
    found = Result((Samples(GAUGE, (("a",), None), (1.0, 2.0)),))  # type: ignore[arg-type]
    assert taker.accept(found) is taker.accept(found)
    assert taker.accept(found).drops == {Drop.LABEL: 1}


def test_a_list_that_changed_is_looked_at_again() -> None:
    taker, columns = intake(), [Samples.of(GAUGE, {("a",): 1.0})]
    found = Result(columns)
    taker.accept(found)
    columns.append(Samples.of(COUNTER, {("a",): 1.0}))
    assert len(taker.accept(found).samples) == 2


def test_the_same_column_is_the_same_object_and_equal_keys_stay_the_same_object() -> None:
    taker = intake()
    column = Samples.of(GAUGE, {("a",): 1.0, ("b",): 2.0})
    first = accepted(taker, column).samples[0]
    assert accepted(taker, column).samples[0] is first
    second = accepted(taker, Samples.of(GAUGE, {("a",): 3.0, ("b",): 4.0})).samples[0]
    assert second.keys is first.keys
    assert second.values == (3.0, 4.0)


def test_a_column_that_no_longer_fits_the_budget_is_cut_even_if_it_is_the_same() -> None:
    taker = intake(limits=Limits(series_per_collector=2))
    column = Samples.of(GAUGE, {("a",): 1.0, ("b",): 2.0})
    accepted(taker, column)
    found = accepted(taker, Samples.of(COUNTER, {("c",): 1.0}), column)
    assert [column.keys for column in found.samples] == [(("c",),), (("a",),)]


# -- properties

anything = st.one_of(
    st.floats(), st.integers(), st.none(), st.text(max_size=3), st.booleans(), st.just(10**400), st.decimals()
)
labels = st.one_of(st.sampled_from(["a", "b", "c"]), st.none(), st.integers(0, 3), st.binary(max_size=2), st.text())
keys = st.one_of(st.tuples(labels), st.tuples(), st.tuples(labels, labels), st.none())


@st.composite
def columns(draw: st.DrawFn) -> Samples:
    family = draw(st.sampled_from((*FAMILIES, Family("publishing_stranger", "Not declared.", labels=("name",)))))
    found = draw(st.lists(keys, max_size=6))
    values = draw(st.lists(anything, min_size=len(found) * family.width, max_size=len(found) * family.width))
    if draw(st.booleans()):
        values = [1.0] * len(values)
    return Samples(family, tuple(found), tuple(values))  # type: ignore[arg-type]


def legal(column: Samples, limits: Limits) -> None:
    family = column.family
    assert len(column.values) == len(column.keys) * family.width
    assert len(set(column.keys)) == len(column.keys)
    for key in column.keys:
        assert len(key) == len(family.labels)
        assert all(type(text) is str and len(text.encode()) <= limits.label_value_bytes for text in key)
    assert all(type(number) is float for number in column.values)
    if family.kind is Kind.COUNTER:
        assert all(number >= 0.0 and isfinite(number) for number in column.values)
    if family.kind is Kind.HISTOGRAM:
        assert all(number >= 0.0 and isfinite(number) for _, row in column.rows() for number in row[:-1])


@given(st.lists(st.lists(columns(), max_size=5), min_size=1, max_size=4), st.integers(0, 12))
def test_whatever_comes_in_what_goes_out_is_legal_within_the_budget_and_accounted_for(
    results: list[list[Samples]], budget: int
) -> None:
    limits = Limits(series_per_collector=budget, label_value_bytes=8)
    taker = intake(limits=limits)
    for result in results:
        found = taker.accept(Result(tuple(result)))
        kept = sum(len(column.keys) for column in found.samples)
        assert sum(len(column.keys) for column in result) == kept + sum(found.drops.values())
        assert found.series == series_of(found.samples) <= budget
        assert len({column.family.name for column in found.samples}) == len(found.samples)
        for column in found.samples:
            assert column.family in FAMILIES
            legal(column, limits)


# -- bringing the collectors together


def part(*columns: Samples) -> Accepted:
    return Accepted(columns, series_of(columns), {})


def gauge(name: str, *keys: str, help: str = "Help.") -> Samples:
    return Samples.of(Family(name, help, Kind.GAUGE, ("name",)), {(key,): 1.0 for key in keys})


def test_parts_that_do_not_clash_pass_as_they_are() -> None:
    one, two = part(gauge("publishing_a", "x")), part(gauge("publishing_b", "x"))
    merged = Merge(Limits())({"one": one, "two": two, "none": NOTHING})
    assert merged.samples == {"one": one.samples, "two": two.samples, "none": ()}
    assert merged.samples["one"] is one.samples
    assert (merged.series, list(merged.drops)) == (2, [])


def test_the_answer_is_the_same_object_while_every_part_is() -> None:
    merge = Merge(Limits())
    parts = {"one": part(gauge("publishing_a", "x"))}
    first = merge(parts)
    assert merge(dict(parts)) is first
    assert merge({"one": part(gauge("publishing_a", "x"))}) is not first
    assert merge({}) is not first


def test_names_that_would_meet_on_the_page_clash() -> None:
    merged = Merge(Limits())(
        {
            "one": part(Samples.of(Family("publishing_a", "H.", Kind.HISTOGRAM), {(): Distribution((1.0,), 1.0)})),
            "two": part(gauge("publishing_a_sum", "x"), gauge("publishing_b", "x")),
            "three": part(gauge("publishing_c", "x"), gauge("publishing_c", "y", help="Other.")),
        }
    )
    shown = {name: [column.family.name for column in columns] for name, columns in merged.samples.items()}
    assert shown == {"one": ["publishing_a"], "two": ["publishing_b"], "three": ["publishing_c"]}
    assert list(merged.drops) == [("two", Drop.FAMILY, 1), ("three", Drop.FAMILY, 1)]


def test_a_family_that_was_dropped_keeps_its_names_from_nobody() -> None:
    histogram = Family("publishing_a", "H.", Kind.HISTOGRAM, ("name",))
    merged = Merge(Limits())(
        {
            "one": part(gauge("publishing_a_sum", "x")),
            "two": part(Samples.of(histogram, {("x",): Distribution((1.0,), 1.0)})),
            "three": part(gauge("publishing_a", "x")),
        }
    )
    assert merged.samples["three"] != ()


def test_reserved_names_belong_to_nobody_else() -> None:
    mine = gauge("platform_exporter_up", "x")
    merged = Merge(Limits(), [Family("platform_exporter_up", "Ours.")])({"one": part(mine)})
    assert list(merged.drops) == [("one", Drop.FAMILY, 1)]


def test_card4_the_total_is_bounded_and_the_first_have_it() -> None:
    merge = Merge(Limits(series_total=3))
    merged = merge({"one": part(gauge("publishing_a", "x", "y")), "two": part(gauge("publishing_b", "x", "y"))})
    assert [series_of(columns) for columns in merged.samples.values()] == [2, 1]
    assert list(merged.drops) == [("two", Drop.BUDGET, 1)]
    merged = Merge(Limits(series_total=0))({"one": part(gauge("publishing_a", "x"))})
    assert (merged.samples, merged.series) == ({"one": ()}, 0)


@st.composite
def parts(draw: st.DrawFn) -> Accepted:
    found = []
    for name in draw(st.lists(st.sampled_from(["a", "a_sum", "a_count", "b"]), unique=True, max_size=3)):
        names = draw(st.lists(st.sampled_from("xyz"), unique=True, min_size=1))
        if name == "a" and draw(st.booleans()):
            family = Family(name, "H.", Kind.HISTOGRAM, ("name",))
            found.append(Samples.of(family, {(key,): Distribution((1.0,), 1.0) for key in names}))
        else:
            found.append(gauge(name, *names, help=draw(st.sampled_from(["One.", "Two."]))))
    return part(*found)


@given(st.lists(parts(), max_size=5), st.integers(0, 12))
def test_on_the_whole_page_no_name_means_two_things_no_series_is_twice_and_nothing_is_lost_uncounted(
    found: list[Accepted], total: int
) -> None:
    merged = Merge(Limits(series_total=total))({str(number): item for number, item in enumerate(found)})
    shown = [column for columns in merged.samples.values() for column in columns]
    assert merged.series == series_of(shown) <= total
    owners: dict[str, Family] = {}
    for column in shown:
        for claim in column.family.claims:
            assert owners.setdefault(claim, column.family) == column.family
    series = [(column.family.name, key) for column in shown for key in column.keys]
    assert len(set(series)) == len(series)
    came = sum(len(column.keys) for item in found for column in item.samples)
    assert came == len(series) + sum(count for _, _, count in merged.drops)


OPEN = Family("publishing_took_seconds", "A histogram of others.", Kind.HISTOGRAM, ("name",), open_bounds=True)


def measured(name: str, *bounds: float) -> Samples:
    family = replace(OPEN, bounds=bounds)
    return Samples.of(family, {(name,): Distribution((1.0,) * (len(bounds) + 1), 2.0)})


def test_a_family_with_open_bounds_has_a_column_for_each_set_of_bounds() -> None:
    taker = intake(OPEN, GAUGE)
    columns = (measured("a", 1.0), Samples.of(GAUGE, {("a",): 1.0}), measured("b", 1.0, 5.0), measured("c", 1.0))
    found = accepted(taker, *columns)
    assert found.drops == {}
    assert [(column.family.bounds, column.keys) for column in found.samples] == [
        ((1.0,), (("a",), ("c",))),
        ((), (("a",),)),
        ((1.0, 5.0), (("b",),)),
    ]
    assert found.series == 2 * 4 + 1 + 5
    merged = Merge(Limits())({"one": found})
    assert merged.samples == {"one": found.samples}
    assert merged.series == found.series


def test_bounds_that_cannot_be_or_were_not_left_open_are_no_such_family() -> None:
    fixed = replace(HISTOGRAM, bounds=(7.0,))
    columns = (measured("a", 5.0, 1.0), Samples.of(fixed, {("a",): Distribution((1.0, 1.0), 1.0)}))
    assert accepted(intake(OPEN, HISTOGRAM), *columns).drops == {Drop.FAMILY: 2}


def test_a_metric_is_not_there_twice_with_different_bounds() -> None:
    found = accepted(intake(OPEN), measured("a", 1.0), measured("a", 5.0), measured("b", 5.0))
    assert found.drops == {Drop.DUPLICATE: 1}
    assert [column.keys for column in found.samples] == [(("a",),), (("b",),)]


def test_two_collectors_may_share_a_family_with_open_bounds() -> None:
    one = accepted(intake(OPEN), measured("a", 1.0))
    two = accepted(intake(OPEN), measured("a", 5.0), measured("b", 5.0))
    other = accepted(intake(replace(OPEN, help="Another.")), Samples.of(replace(OPEN, help="Another."), {}))
    merged = Merge(Limits())({"one": one, "two": two, "other": other})
    assert merged.drops == [("two", Drop.DUPLICATE, 1)]
    assert [column.keys for column in merged.samples["two"]] == [(("b",),)]
    stranger = replace(OPEN, bounds=(2.0,), help="Another.")
    foreign = accepted(
        intake(replace(OPEN, help="Another.")), Samples.of(stranger, {("z",): Distribution((1.0, 1.0), 1.0)})
    )
    assert Merge(Limits())({"one": one, "other": foreign}).drops == [("other", Drop.FAMILY, 1)]
