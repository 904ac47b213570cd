"""Objects in, pages out: byte by byte. UPDATE_GOLDEN=1 writes the pages anew, for a person to look at."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.exposition.format import Format
from exporter.exposition.lint import lint
from exporter.model.metric import Distribution, Family, Kind, Quantiles, Samples
from tests.exposition.build import parsed, render

GOLDEN = Path(__file__).parent.parent / "golden"
SUFFIX = {Format.TEXT: ".prom", Format.OPENMETRICS: ".om"}

PAGES: dict[str, list[Samples]] = {
    "empty": [],
    "kinds": [
        Samples.of(Family("publishing_workers_active", "Workers busy now."), 3.0),
        Samples.of(
            Family("publishing_health_checks_total", "Health checks.", Kind.COUNTER, ("target", "outcome")),
            {("pager", "success"): 41.0, ("pager", "failure"): 0.0, ("chat", "success"): 7.0},
        ),
        Samples.of(
            Family("service_usage_cpu_seconds_total", "CPU time.", Kind.COUNTER, ("service_name",), "seconds"),
            {("resize",): 12.75},
        ),
        Samples.of(
            Family(
                "publishing_job_duration_seconds",
                "Duration.",
                Kind.HISTOGRAM,
                ("target",),
                "seconds",
                (0.005, 1.0, 10.0),
            ),
            {("pager",): Distribution((2.0, 0.0, 1.0, 4.0), 61.5), ("chat",): Distribution((0.0, 0.0, 0.0, 0.0), 0.0)},
        ),
        Samples.of(
            Family("publishing_job_size_bytes", "Size.", Kind.SUMMARY, ("target",), "bytes", (0.5, 0.99)),
            {("pager",): Quantiles((512.0, 4096.0), 9000.0, 11.0)},
        ),
        Samples.of(
            Family("platform_exporter_wait_seconds", "No quantiles.", Kind.SUMMARY), {(): Quantiles((), 2.5, 5.0)}
        ),
        Samples.of(Family("plugin_reading", "Nobody said what this is.", Kind.UNKNOWN), 1.0),
    ],
    "escaping": [
        Samples.of(
            Family("publishing_targets", 'A "quoted" help\nwith \\n and a \\.', labels=("target",)),
            {
                ('say "hi"',): 1.0,
                ("C:\\temp\\",): 2.0,
                ("two\nlines",): 3.0,
                ("\\n",): 4.0,
                ("ünïcode \U0001f6a8 שלום",): 5.0,
                ("",): 6.0,
                ('} 1\nforged{x="y"} 2',): 7.0,
            },
        ),
    ],
    "numbers": [
        Samples.of(
            Family("publishing_reading", "Numbers that are easily lost.", labels=("which",)),
            {
                ("zero",): 0.0,
                ("negative zero",): -0.0,
                ("smallest",): 5e-324,
                ("largest",): 1.7976931348623157e308,
                ("power",): 1e22,
                ("time",): 1700000000.123,
                ("nan",): math.nan,
                ("infinite",): math.inf,
                ("negative infinite",): -math.inf,
            },
        ),
    ],
}

EVERY = pytest.mark.parametrize("name", list(PAGES))


@EVERY
@pytest.mark.parametrize("format", list(Format))
def test_the_page_is_the_one_that_was_agreed_on(name: str, format: Format) -> None:
    page = render(PAGES[name], format)
    path = GOLDEN / (name + SUFFIX[format])
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_bytes(page)
    assert page == path.read_bytes()


@EVERY
def test_both_formats_say_the_same(name: str) -> None:
    text, openmetrics = (parsed((GOLDEN / (name + SUFFIX[format])).read_bytes(), format) for format in Format)
    assert text == openmetrics


@EVERY
def test_nobody_complains_about_the_page(name: str, complaints: Callable[[bytes], str]) -> None:
    assert lint(PAGES[name]) == []
    assert complaints((GOLDEN / (name + ".prom")).read_bytes()) == ""


def test_no_page_lies_about_that_nobody_expects() -> None:
    expected = {name + suffix for name in PAGES for suffix in SUFFIX.values()}
    assert {path.name for path in GOLDEN.iterdir()} == expected
