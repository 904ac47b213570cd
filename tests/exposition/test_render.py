"""Samples in, lines out: read back by the parsers of prometheus_client, to the bit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.exposition.format import Format
from exporter.exposition.lint import lint
from exporter.exposition.render import Renderer, place
from exporter.model.metric import Distribution, Family, Key, Kind, Quantiles, Samples, Value
from tests.exposition.build import Series, bits, parsed, render

FORMATS = pytest.mark.parametrize("format", list(Format))

ODD_NUMBERS = (-0.0, 0.0, 5e-324, -5e-324, 1e308, 1.7976931348623157e308, 1e22, 1e16, 0.1, 123456789012345680.0)
HOSTILE = (
    'quote " end',
    "back\\slash\\",
    "\\n is not a newline",
    "line\nbreak",
    "carriage\rreturn",
    "nul\x00byte",
    "\U0001f6a8 emoji",
    "‮ right to left ש",
    "",
    " blanks ",
    '}, {a="b"} 1\n# EOF\n',
    "\x85\u2028\u2029",
)


def test_one_line_per_series() -> None:
    family = Family("a_bytes", "A.", labels=("x", "y"))
    page = render([Samples.of(family, {("1", "2"): 3.0, ("4", "5"): 6.5})], Format.TEXT)
    assert page == b'# HELP a_bytes A.\n# TYPE a_bytes gauge\na_bytes{x="1",y="2"} 3.0\na_bytes{x="4",y="5"} 6.5\n'


@FORMATS
@pytest.mark.parametrize("number", [*ODD_NUMBERS, math.nan, math.inf, -math.inf])
def test_a_number_comes_back_to_the_bit(format: Format, number: float) -> None:
    page = render([Samples.of(Family("a", "A."), number)], format)
    assert parsed(page, format) == {("a", frozenset()): bits(number)}
    line = next(line for line in page.splitlines() if line.startswith(b"a "))
    assert bits(float(line[2:])) == bits(number)


def test_numbers_json_has_no_words_for_keep_their_place() -> None:
    family = Family("a", "A.", labels=("x",))
    rows: dict[Key, Value] = {("1",): math.nan, ("2",): 1.0, ("3",): math.inf, ("4",): -math.inf, ("null",): 2.0}
    lines = render([Samples.of(family, rows)], Format.TEXT).splitlines()[2:]
    assert lines == [b'a{x="1"} NaN', b'a{x="2"} 1.0', b'a{x="3"} +Inf', b'a{x="4"} -Inf', b'a{x="null"} 2.0']


@FORMATS
def test_hostile_label_values_come_back(format: Format) -> None:
    family = Family("a", "A.", labels=("x",))
    page = render([Samples.of(family, {(value,): float(i) for i, value in enumerate(HOSTILE)})], format)
    expected = {("a", frozenset({("x", value)})): bits(float(i)) for i, value in enumerate(HOSTILE)}
    assert parsed(page, format) == expected


def test_promtool_takes_hostile_label_values(complaints: Callable[[bytes], str]) -> None:
    family = Family("a", 'A "\\\n\r.', labels=("x",))
    page = render([Samples.of(family, {(value,): float(i) for i, value in enumerate(HOSTILE)})], Format.TEXT)
    assert complaints(page) == ""


def test_a_percent_sign_is_a_character_like_any_other() -> None:
    page = render([Samples.of(Family("a", "%s", labels=("x",)), {("100%s %",): 1.0})], Format.TEXT)
    assert b'a{x="100%s %"} 1.0\n' in page


@FORMATS
def test_buckets_add_up_and_the_histogram_gets_its_count(format: Format) -> None:
    family = Family("a_seconds", "A.", Kind.HISTOGRAM, ("x",), "seconds", (0.5, 1.0, 1e6))
    rows: dict[Key, Value] = {("1",): Distribution((1.0, 0.0, 4.0, 2.0), 9.5)}
    lines = render([Samples.of(family, rows)], format).decode().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        'a_seconds_bucket{x="1",le="0.5"} 1.0',
        'a_seconds_bucket{x="1",le="1.0"} 1.0',
        'a_seconds_bucket{x="1",le="1e+06"} 5.0',
        'a_seconds_bucket{x="1",le="+Inf"} 7.0',
        'a_seconds_sum{x="1"} 9.5',
        'a_seconds_count{x="1"} 7.0',
    ]


@FORMATS
def test_a_histogram_of_negative_numbers_has_no_sum_and_no_count(format: Format) -> None:
    family = Family("a", "A.", Kind.HISTOGRAM, (), "", (-1.0, 1.0))
    samples = Samples.of(family, {(): Distribution((1.0, 2.0, 3.0), -9.0)})
    assert {name for name, _ in parsed(render([samples, samples_after()], format), format)} == {"a_bucket", "z"}


def samples_after() -> Samples:
    return Samples.of(Family("z", "Z."), 1.0)


@FORMATS
def test_a_summary_has_quantiles_sum_and_count(format: Format) -> None:
    family = Family("a", "A.", Kind.SUMMARY, (), "", (0.5, 0.99))
    lines = render([Samples.of(family, {(): Quantiles((0.25, math.nan), 7.0, 3.0)})], format).decode().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        'a{quantile="0.5"} 0.25',
        'a{quantile="0.99"} NaN',
        "a_sum 7.0",
        "a_count 3.0",
    ]


def test_a_family_of_two_collectors_is_one_block_where_it_first_appears() -> None:
    family, other = Family("a", "A.", labels=("x",)), Family("b", "B.")
    parts = [Samples.of(family, {("1",): 1.0}), Samples.of(other, 2.0), Samples.of(family, {("2",): 3.0})]
    lines = render(parts, Format.TEXT).splitlines()
    assert [line for line in lines if not line.startswith(b"# HELP")] == [
        b"# TYPE a gauge",
        b'a{x="1"} 1.0',
        b'a{x="2"} 3.0',
        b"# TYPE b gauge",
        b"b 2.0",
    ]


@FORMATS
def test_a_family_without_series_is_not_on_the_page(format: Format) -> None:
    assert render([Samples.of(Family("a", "A.", labels=("x",)), {})], format) == format.end
    assert render([], format) == format.end


def body(renderer: Renderer, samples: Samples) -> bytes:
    return renderer.render([samples], Format.TEXT)[1]


def test_what_says_the_same_is_the_same_object() -> None:
    family, renderer = Family("a", "A.", labels=("x",)), Renderer()
    first = body(renderer, Samples.of(family, {("1",): math.nan, ("2",): 0.0}))
    assert body(renderer, Samples.of(family, {("1",): math.nan, ("2",): 0.0})) is first
    text, openmetrics = (renderer.render([Samples.of(family, {("1",): 1.0})], format) for format in Format)
    assert text[1] is openmetrics[1]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ({("1",): -0.0, ("2",): 1.0}, b'a{x="1"} -0.0\n'),
        ({("1",): math.nan, ("2",): 1.0}, b'a{x="1"} NaN\n'),
        ({("1",): 0.0, ("3",): 1.0}, b'a{x="3"} 1.0\n'),
        ({("2",): 0.0, ("1",): 1.0}, b'a{x="1"} 1.0\n'),
        ({("1",): 0.0}, b'a{x="1"} 0.0\n'),
    ],
)
def test_what_says_something_else_is_rendered_again(rows: dict[Key, Value], line: bytes) -> None:
    family, renderer = Family("a", "A.", labels=("x",)), Renderer()
    body(renderer, Samples.of(family, {("1",): 0.0, ("2",): 1.0}))
    again = body(renderer, Samples.of(family, rows))
    assert line in again
    assert again == body(Renderer(), Samples.of(family, rows))


def test_a_changed_declaration_is_rendered_again() -> None:
    renderer = Renderer()
    renderer.render([Samples.of(Family("a", "Old."), 1.0)], Format.TEXT)
    assert b"".join(renderer.render([Samples.of(Family("a", "New."), 1.0)], Format.TEXT)).startswith(b"# HELP a New.")


def test_samples_that_cannot_be_rendered_leave_nothing_behind() -> None:
    family, renderer = Family("a", "A.", labels=("x",)), Renderer()
    good = Samples.of(family, {("1",): 1.0})
    first = body(renderer, good)
    for bad in (Samples(family, (("2",),), (1.0, 2.0)), Samples(family, (("\ud800",),), (1.0,))):
        with pytest.raises(ValueError):
            renderer.render([bad], Format.TEXT)
    assert body(renderer, good) == first
    assert body(renderer, Samples.of(family, {("1",): 2.0})) == b'a{x="1"} 2.0\n'


def test_families_that_are_gone_are_forgotten() -> None:
    renderer = Renderer()
    renderer.render([Samples.of(Family(f"a{i}", "A."), 1.0) for i in range(10)], Format.TEXT)
    renderer.retain({("a3", ())})
    assert set(renderer._blocks) == {("a3", ())}


class Case(NamedTuple):
    samples: list[Samples]
    series: dict[Series, bytes]


FINITE = st.floats(min_value=0.0, allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 2**40).map(float)
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(HOSTILE)
HELP = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
BOUNDS = st.lists(st.floats(0.001, 1e9), max_size=4, unique=True).map(lambda some: tuple(sorted(some)))
QUANTILES = st.lists(st.floats(0.0, 1.0).map(abs), max_size=3, unique=True).map(lambda some: tuple(sorted(some)))
BOUNDED = {Kind.HISTOGRAM: BOUNDS, Kind.SUMMARY: QUANTILES}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Families of every type, and the series a reader must find."""
    case = Case([], {})
    for number, kind in enumerate(draw(st.lists(st.sampled_from(Kind), max_size=4))):
        name = f"family_{number}" + "_total" * (kind is Kind.COUNTER)
        bounds = draw(BOUNDED.get(kind, st.just(())))
        labels = tuple(f"label_{i}" for i in range(draw(st.integers(0, 2))))
        family = Family(name, draw(HELP), kind, labels, "", bounds)
        keys = draw(st.lists(st.tuples(*[VALUES for _ in labels]), unique=True, max_size=3))
        rows: dict[Key, Value] = {key: draw(_value(family)) for key in keys}
        case.samples.append(Samples.of(family, rows))
        for key, value in rows.items():
            case.series.update(_series(family, frozenset(zip(labels, key, strict=True)), value))
    return case


def _value(family: Family) -> st.SearchStrategy[Value]:
    if family.kind is Kind.COUNTER:
        return FINITE
    if family.kind is Kind.HISTOGRAM:
        counts = st.tuples(*[COUNTS for _ in range(len(family.bounds) + 1)])
        return st.builds(Distribution, counts, FINITE)
    if family.kind is Kind.SUMMARY:
        return st.builds(Quantiles, st.tuples(*[FINITE for _ in family.bounds]), FINITE, COUNTS)
    return st.floats()


def _series(family: Family, labels: frozenset[tuple[str, str]], value: Value) -> dict[Series, bytes]:
    name = family.name
    if isinstance(value, Distribution):
        sums = list(accumulate(value.counts))
        bounds = [float(bound) for bound in (*family.bounds, math.inf)]
        found = {(f"{name}_bucket", labels | {("le", bound)}): sum for bound, sum in zip(bounds, sums, strict=True)}
        return {
            **{(key, frozenset(map(_by_number, pairs))): bits(sum) for (key, pairs), sum in found.items()},
            (f"{name}_sum", labels): bits(value.sum),
            (f"{name}_count", labels): bits(sums[-1]),
        }
    if isinstance(value, Quantiles):
        pairs = zip(family.bounds, value.values, strict=True)
        return {
            **{(name, labels | {_by_number(("quantile", bound))}): bits(number) for bound, number in pairs},
            (f"{name}_sum", labels): bits(value.sum),
            (f"{name}_count", labels): bits(value.number),
        }
    return {(name, labels): bits(value)}


def _by_number(pair: tuple[str, str | float]) -> tuple[str, str]:
    """Bounds are compared as numbers: how they are written is pinned elsewhere."""
    name, value = pair
    return (name, repr(float(value))) if name in ("le", "quantile") else (name, str(value))


@FORMATS
@settings(deadline=None)
@given(case=cases())
def test_every_page_is_read_back_as_it_was_meant(format: Format, case: Case) -> None:
    read = parsed(render(case.samples, format), format)
    assert {(name, frozenset(map(_by_number, labels))): value for (name, labels), value in read.items()} == case.series


@pytest.mark.parametrize("format", Format)
def test_histograms_of_one_family_keep_the_bounds_each_of_them_has(format: Format) -> None:
    family = Family("a_seconds", "A.", Kind.HISTOGRAM, ("x",), "seconds", open_bounds=True)
    wide, narrow = replace(family, bounds=(1.0, 5.0)), replace(family, bounds=(2.0,))
    columns = [
        Samples.of(wide, {("1",): Distribution((1.0, 1.0, 1.0), 9.0)}),
        Samples.of(Family("other", "B."), 1.0),
        Samples.of(narrow, {("2",): Distribution((1.0, 0.0), 1.0)}),
        Samples.of(wide, {("3",): Distribution((0.0, 0.0, 0.0), 0.0)}),
    ]
    page = b"".join(Renderer().render(columns, format))
    assert page.count(b"# TYPE a_seconds histogram") == 1
    assert [line for line in page.decode().splitlines() if 'x="2"' in line] == [
        'a_seconds_bucket{x="2",le="2.0"} 1.0',
        'a_seconds_bucket{x="2",le="+Inf"} 1.0',
        'a_seconds_sum{x="2"} 1.0',
        'a_seconds_count{x="2"} 1.0',
    ]
    assert len(parsed(page, format)) == 5 + 4 + 5 + 1
    assert lint(columns) == []


def test_bounds_that_are_gone_are_forgotten() -> None:
    family = Family("a_seconds", "A.", Kind.HISTOGRAM, (), "seconds", open_bounds=True)
    renderer = Renderer()
    for end in (1.0, 2.0):
        column = Samples.of(replace(family, bounds=(end,)), {(): Distribution((1.0, 1.0), 1.0)})
        renderer.render([column], Format.TEXT)
        renderer.retain({place(column.family)})
    assert set(renderer._blocks) == {("a_seconds", (2.0,))}
