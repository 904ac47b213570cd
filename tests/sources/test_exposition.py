"""Pages of others: the good ones as the library reads them, the bad ones refused as a whole, the second one quickly."""

from __future__ import annotations

import subprocess
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from math import inf, isnan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.publishing.dialects.page import Page
from exporter.sources.exposition import PageParser
from exporter.sources.lines import PageLimits
from tests.programs import program

PAGES = Path(__file__).parents[1] / "publishing" / "dialects" / "pages"
Read = dict[tuple[str, frozenset[tuple[str, str]]], str]


def read(page: Page) -> Read:
    return {
        (series.name, frozenset(series.labels.items())): repr(float(value))
        for series, value in zip(page.layout.series, page.values, strict=True)
    }


def oracle(text: str, openmetrics: bool = False) -> Read:
    parse = parse_openmetrics if openmetrics else parse_text
    samples = [sample for family in parse(text) for sample in family.samples]
    return {(sample.name, frozenset(sample.labels.items())): repr(float(sample.value)) for sample in samples}


def refused(text: str, openmetrics: bool = False, limits: PageLimits | None = None) -> tuple[Reason, str]:
    with pytest.raises(Failure) as caught:
        PageParser(limits).parse(text, openmetrics)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value.reason, caught.value.detail


# -- what is fine

GOOD = [
    "",
    "\n",
    "a 1\n",
    "a{} 1\n",
    'a{x="1"} 1\n',
    'a{x="1",} 1\n',
    'a { x = "1" , y="2" } 1\n',
    '\ta{x="1"}\t1\t1700000000000 \n',
    "a 1 -5\n",
    "# a comment\n#\n \n\na 1\n",
    "# HELP a Some text.\n# TYPE a gauge\na 1\n",
    "# HELP a\n# TYPE a untyped\na 1\n",
    '# TYPE a histogram\na_bucket{le="1"} 1\na_bucket{le="+Inf"} 2\na_sum 3\na_count 2\n',
    'a{x="\\\\ \\" \\n"} 1\n',
    'a{x="{},="} 1\n',
    'a{x="ü \u2028 \x0b"} 1\n',
    "a NaN\nb +Inf\nc -Inf\nd inf\ne nan\nf Infinity\n",
    "a 1e308\nb -0.0\nc .5\nd 5.\ne 1E-3\nf +4\n",
    "a:b 1\n_c 2\n",
    'b{x="1"} 1\na 1\nb{x="2"} 2\n',
]


@pytest.mark.parametrize("text", GOOD)
def test_a_legal_page_is_read_as_the_library_reads_it(text: str) -> None:
    parser = PageParser()
    assert read(parser.parse(text)) == oracle(text)
    assert read(parser.parse(text)) == oracle(text)


GOOD_OPEN = [
    "# EOF\n",
    "# EOF",
    "# TYPE a counter\n# HELP a Some text.\na_total 1\na_created 5\n# EOF\n",
    '# TYPE a_seconds histogram\n# UNIT a_seconds seconds\na_seconds_bucket{le="1.0"} 1 # {id="x"} 0.5 1.5\n'
    'a_seconds_bucket{le="+Inf"} 1\na_seconds_count 1\na_seconds_sum 0.5\n# EOF\n',
    '# TYPE a summary\na{quantile="0.5"} 1\na_count 1\na_sum 1\n# EOF\n',
    '# TYPE a info\na_info{version="1"} 1\n# EOF\n',
    'a{x="1"} 1 1.5\na{x="2"} 2\nb 3\n# EOF\n',
]


@pytest.mark.parametrize("text", GOOD_OPEN)
def test_a_legal_page_of_openmetrics_is_read_as_the_library_reads_it(text: str) -> None:
    parser = PageParser()
    whole = text if text.endswith("\n") else text + "\n"
    assert read(parser.parse(text, True)) == oracle(whole, True)
    assert read(parser.parse(text, True)) == oracle(whole, True)


@pytest.mark.parametrize("file", sorted(PAGES.glob("*.prom")), ids=lambda file: file.stem)
def test_recorded_pages_are_read_as_the_library_reads_them(file: Path) -> None:
    text = file.read_text()
    assert read(PageParser().parse(text)) == oracle(text)


# -- what is not

BAD = {
    "a": "it is no sample",
    "a 0x10": "it is no sample",
    "a 1_000": "it is no sample",
    "a ١": "it is no sample",
    "a +nan": "it is no sample",
    "a 1 NaN": "it is no sample",
    "a 1 1.5": "it is no sample",
    "a 1 2 3": "it is no sample",
    "a 1\r": "it is no sample",
    "a1 1\x00": "it is no sample",
    "a\x00 1": "it is no sample",
    "my-metric 1": "it is no sample",
    "1a 1": "it is no sample",
    "a 1e999": "the number is too large",
    'a{x="1} 1': "it is no sample",
    'a{x="1"': "it is no sample",
    'a{x="1"}1 2 3': "it is no sample",
    'a{x="\\x"} 1': "it is no sample",
    "a{x='1'} 1": "its labels are not legal",
    "a{x=1} 1": "its labels are not legal",
    'a{x="1" y="2"} 1': "its labels are not legal",
    'a{x="1",,} 1': "its labels are not legal",
    "a{,} 1": "its labels are not legal",
    'a{1x="1"} 1': "its labels are not legal",
    'a{x-y="1"} 1': "its labels are not legal",
    'a{x="1",x="2"} 1': "a label is there twice",
    "a 1\na 1": "the series is there twice",
    'a{x="1",y="2"} 1\na{y="2",x="1"} 1': "the series is there twice",
    'a{x=""} 1\na 1': "the series is there twice",
    "# TYPE a gauge\n# TYPE a gauge": "a family is declared twice",
    "# HELP a A.\n# HELP a B.": "a family is declared twice",
    "# TYPE a gouge": "there is no such type",
    "# TYPE a": "there is no such type",
    "# TYPE 1a gauge": "the declaration is not legal",
    "a 1\n# TYPE a gauge": "the type comes after a sample",
    "# nothing but talk": "the page holds neither a sample nor a declaration",
    "<html><body>Log in</body></html>": "it is no sample",
    '{"status": "ok"}': "it is no sample",
}


@pytest.mark.parametrize("text", BAD)
def test_up12_a_page_with_a_line_that_is_not_legal_is_refused_whole(text: str) -> None:
    reason, detail = refused(f"fine 1\n{text}\n" if not text.startswith("# nothing") else f"{text}\n")
    at = 1 if text.startswith("# nothing") else 2 + text.count("\n")
    assert (reason, detail) == (Reason.PARSE, f"line {at}: {BAD[text]}")


BAD_OPEN = {
    "": "line 1: it is no sample",
    "a 1\n": "line 1: the end of the page is missing",
    "# EOF\na 1\n": "line 2: something follows the end of the page",
    "a 1\n\n# EOF\n": "line 2: it is no sample",
    "a  1\n# EOF\n": "line 1: it is no sample",
    "# a comment\n# EOF\n": "line 1: the declaration is not legal",
    "# TYPE a untyped\n# EOF\n": "line 1: there is no such type",
    "# TYPE a counter\n# TYPE a counter\n# EOF\n": "line 2: a family is declared twice",
    "# TYPE a counter\na 1\n# EOF\n": "line 2: the sample does not have a name of its family's type",
    "# TYPE a gauge\na 1\n# HELP a A.\n# EOF\n": "line 3: a declaration comes after a sample",
    'a{x="1"} 1\nb 1\na{x="2"} 1\n# EOF\n': "line 3: the lines of a family do not stand together",
    "# TYPE a gauge\n# UNIT a seconds\n# EOF\n": "line 2: the name does not end in its unit",
    "a 1 # {} \n# EOF\n": "line 1: it is no sample",
    "# EOF\r\n": "line 1: the declaration is not legal",
}


@pytest.mark.parametrize("text", BAD_OPEN)
def test_up12_a_page_of_openmetrics_that_is_not_legal_is_refused_whole(text: str) -> None:
    expected = "the page ends in the middle of a line" if not text else BAD_OPEN[text]
    assert refused(text, True) == (Reason.PARSE, expected)


def test_up5_a_page_that_was_cut_is_refused() -> None:
    assert refused("a 12\nb 123") == (Reason.PARSE, "the page ends in the middle of a line")
    assert refused("a 12\n", True) == (Reason.PARSE, "line 1: the end of the page is missing")


@pytest.mark.parametrize(
    ("text", "limits", "detail"),
    [
        ("a 1\nb 1\nc 1\n", PageLimits(samples=2), "line 3: there are more than 2 samples"),
        ("a 1\nb 1\nc 1\nd 1\n", PageLimits(samples=2), "the page has more than 2 samples"),
        ("a 1\n#\n#\n#\n#\n#\n", PageLimits(samples=2), "the page has more than 4 comments"),
        (f'a{{x="{"y" * 70_000}"}} 1\n', PageLimits(), "line 1: it is longer than 65536 characters"),
        (f'a{{x="{"y" * 17_000}"}} 1\n', PageLimits(), "line 1: it has too many labels, or one that is too long"),
        (
            "a{" + ",".join(f'l{i}="1"' for i in range(65)) + "} 1\n",
            PageLimits(),
            "line 1: it has too many labels, or one that is too long",
        ),
    ],
)
def test_what_is_over_a_limit_is_refused_whole(text: str, limits: PageLimits, detail: str) -> None:
    assert refused(text, limits=limits) == (Reason.LIMIT, detail)


def test_card1_a_million_series_are_refused_before_they_cost_anything() -> None:
    text = "".join([f'a{{x="{i}"}} 1\n' for i in range(1_000_000)])
    body = text.encode()
    tracemalloc.start()
    try:
        assert refused(text)[0] is Reason.LIMIT
        with pytest.raises(Failure, match="more than 100000 samples"):
            PageParser().bound(body)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    [
        "a{" * 30_000,
        "a" + "{}" * 30_000,
        'a{x="' + '\\"' * 30_000,
        "a{" + 'x="1" ' * 10_000,
        " " * 60_000 + "a",
        "9" * 60_000,
    ],
)
def test_lines_made_to_take_long_do_not(text: str) -> None:
    begin = time.process_time()
    assert refused(text + "\n")[0] in (Reason.PARSE, Reason.LIMIT)
    assert refused(text + " 1\n# EOF\n", True)[0] in (Reason.PARSE, Reason.LIMIT)
    assert time.process_time() - begin < 1.0


# -- both oracles


@pytest.fixture(scope="module")
def promtool() -> Callable[[str], bool]:
    path = program("promtool")

    def takes(text: str) -> bool:
        found = subprocess.run([path, "check", "metrics"], input=text.encode(), capture_output=True, check=False)
        return b"error while linting" not in found.stderr

    return takes


def library_takes(text: str) -> bool:
    try:
        oracle(text)
    except ValueError:
        return False
    return True


def test_where_the_library_and_promtool_agree_so_do_we(promtool: Callable[[str], bool]) -> None:
    """What both refuse we refuse; what both take we take, but for what the format forbids and neither looks for."""
    stricter = {BAD_TEXT for BAD_TEXT in BAD if "twice" in BAD[BAD_TEXT] or "neither" in BAD[BAD_TEXT]}
    for text in [*GOOD, *[f"{bad}\n" for bad in BAD if bad not in stricter]]:
        verdicts = {library_takes(text), promtool(text)}
        if len(verdicts) == 1:
            try:
                PageParser().parse(text)
                ours = True
            except Failure:
                ours = False
            assert verdicts == {ours}, text


# -- from one page to the next


def test_numbers_that_change_are_read_without_looking_at_the_rest() -> None:
    parser = PageParser()
    first = parser.parse('# HELP a A b.\na{x="1"} 1\na{x="2"} 2\n')
    second = parser.parse('# HELP a A b.\na{x="1"} 3\na{x="2"} NaN\n')
    assert second.layout is first.layout
    assert second.values[0] == 3.0
    assert isnan(second.values[1])
    assert parser.parse('# HELP a A b.\na{x="1"} -Inf\na{x="2"} 1\n').values == [-inf, 1.0]


@pytest.mark.parametrize(
    "bad", ["1_0", "0x1", "1e999", "+nan", "١", "9" * 400, "\t1", "1\r", "1\x0b", "infinit", "", "1,", "nan_"]
)
def test_numbers_that_are_none_are_refused_on_the_second_page_as_on_the_first(bad: str) -> None:
    parser = PageParser()
    parser.parse("a 1\nb 2\n")
    if bad == "\t1":
        assert parser.parse(f"a {bad}\nb 2\n").values == [1.0, 2.0]
        return
    with pytest.raises(Failure, match="line 1"):
        parser.parse(f"a {bad}\nb 2\n")


@pytest.mark.parametrize(
    "text",
    [
        "# HELP a B c.\na 1\nb 2\n",
        "# HELP a A d.\na 1\nb 2\n",
        "# HELP a A c.\na 1\nb 2\nc 3\n",
        "# HELP a A c.\nb 1\na 2\n",
        "# HELP a A c.\na 1\n",
        "a 1\n# HELP a A c.\nb 1\n",
        "# HELP a A c.\na 1 5\nb 2\n",
        "# HELP a A c.\na 1 \nb 2\n",
    ],
)
def test_a_page_with_anything_else_changed_is_read_anew(text: str) -> None:
    parser = PageParser()
    first = parser.parse("# HELP a A c.\na 1\nb 2\n")
    page = parser.parse(text)
    assert page.layout is not first.layout
    assert read(page) == oracle(text)
    assert read(parser.parse("# HELP a A c.\na 7\nb 8\n")) == oracle("a 7\nb 8\n")


@pytest.mark.parametrize(
    "text", ["# TYPE a gouge\na 1\n", "# TYPE a gauge1\na 1\n", "# TYPE a gauge\n12\n", "# TYPE a gauge\n# 12\nb\n"]
)
def test_a_line_that_breaks_on_the_second_page_is_noticed(text: str) -> None:
    parser = PageParser()
    parser.parse("# TYPE a gauge\na 1\n")
    with pytest.raises(Failure, match="line"):
        parser.parse(text)


def test_pages_with_timestamps_are_read_as_well_as_others() -> None:
    parser = PageParser()
    for number in range(3):
        assert parser.parse(f'a{{x="1"}} {number} 17000{number}\nb 1\n').values == [float(number), 1.0]


def test_the_two_formats_do_not_disturb_each_other() -> None:
    parser = PageParser()
    for number in range(2):
        assert parser.parse(f"a {number}\n").values == [float(number)]
        assert parser.parse(f"a {number}\n# EOF\n", True).values == [float(number)]
    with pytest.raises(Failure):
        parser.parse("a 1\n", True)


def test_what_is_remembered_is_one_page() -> None:
    parser = PageParser()
    for number in range(100):
        parser.parse(f'a{{x="{number}"}} 1\n')
    assert len(parser._written) == 1


names = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", fullmatch=True)
values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=8)
labels = st.dictionaries(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,4}", fullmatch=True), values, max_size=3)


def line(name: str, given: dict[str, str], number: float) -> str:
    escaped = {label: value.replace("\\", "\\\\").replace('"', '\\"') for label, value in given.items()}
    inside = ",".join(f'{label}="{value}"' for label, value in escaped.items())
    return f"{name}{{{inside}}} {number!r}\n"


@given(st.dictionaries(names, st.tuples(labels, st.floats(), st.floats()), min_size=1, max_size=5))
def test_any_page_is_read_back_as_it_was_written(found: dict[str, tuple[dict[str, str], float, float]]) -> None:
    parser = PageParser()
    for at in (0, 1):
        rows = {name: (labels, (first, second)[at]) for name, (labels, first, second) in found.items()}
        text = "".join(line(name, *row) for name, row in rows.items())
        expected = {(name, frozenset(given.items())): repr(number) for name, (given, number) in rows.items()}
        assert read(parser.parse(text)) == expected


@given(st.text(alphabet='a{}="\\, \t1e.+-#\n\rxN٣', max_size=40))
def test_whatever_comes_is_read_or_refused_and_nothing_else(text: str) -> None:
    for openmetrics in (False, True):
        parser = PageParser()
        with suppress(Failure):
            first = read(parser.parse(text, openmetrics))
            assert read(parser.parse(text, openmetrics)) == first
