"""P7: what it costs to read and translate the page of a watched service, beside the library's parser."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.config.dialects import known
from exporter.publishing.dialects.labels import Labelling
from exporter.publishing.dialects.translate import Translator
from exporter.sources.exposition import PageParser
from tests.benchmarks.harness import Goal, Row, Table, in_turn

SIZES = (1_000, 10_000, 100_000)
POINT = 10_000
_PREFIX = "alert_history_publishing_"
_BOUNDS = [f"{0.001 * 2**at:g}" for at in range(10)]
_LEAST = 0.2  # seconds of a sample


def page(series: int, openmetrics: bool, seed: int) -> str:
    """A page of alert-history: half of it histograms per target and priority, the rest counters per target."""
    chance = random.Random(seed)
    lines = [f"# HELP {_PREFIX}job_duration_seconds How long.", f"# TYPE {_PREFIX}job_duration_seconds histogram"]
    for target in range(series // 26):
        labels = f'target="target-{target}",priority="high"'
        for at, bound in enumerate([*_BOUNDS, "+Inf"]):
            lines.append(f'{_PREFIX}job_duration_seconds_bucket{{{labels},le="{bound}"}} {10 * at}')
        lines.append(f"{_PREFIX}job_duration_seconds_sum{{{labels}}} {chance.random() * 1000!r}")
        lines.append(f"{_PREFIX}job_duration_seconds_count{{{labels}}} 100")
    name = f"{_PREFIX}jobs_processed"
    lines += [
        f"# HELP {name}{'' if openmetrics else '_total'} How many.",
        f"# TYPE {name}{'' if openmetrics else '_total'} counter",
    ]
    for number in range(series - series // 26 * 13):
        lines.append(f'{name}_total{{target="target-{number}",state="succeeded"}} {chance.randrange(1_000_000)}')
    return "\n".join([*lines, *(["# EOF"] if openmetrics else []), ""])


def tables() -> Iterator[Table]:
    """One table for each format."""
    for openmetrics in (False, True):
        title = f"P7 a page of {'OpenMetrics' if openmetrics else 'text'}: CPU milliseconds to read it"
        table = Table(title, "series")
        for size in SIZES:
            _compare(size, openmetrics, table)
        yield table


def _compare(size: int, openmetrics: bool, table: Table) -> None:
    pages = [page(size, openmetrics, seed) for seed in (1, 2)]
    parse = parse_openmetrics if openmetrics else parse_text
    parser, translator = PageParser(), Translator(known("alert-history"), Labelling())
    assert len(parser.parse(pages[0], openmetrics)) == size == sum(len(one.samples) for one in parse(pages[0]))
    assert parser.parse(pages[1], openmetrics).layout is parser.parse(pages[0], openmetrics).layout

    def again(text: str) -> object:
        return parser.parse(text, openmetrics)

    found = in_turn(
        {
            "the same series again": _timed(pages, again),
            "the same, translated": _timed(pages, lambda text: translator(parser.parse(text, openmetrics))),
            "for the first time": _timed(pages, lambda text: PageParser().parse(text, openmetrics)),
            "prometheus_client": _timed(pages, lambda text: list(parse(text))),
        },
        table,
    )
    theirs = found.pop("prometheus_client")
    for case, ours in found.items():
        goal = Goal(20, "ratio") if size == POINT and case == "the same series again" else None
        table.rows.append(Row(f"{size:,}", case, ours, "prometheus_client", theirs, goal=goal))


def _timed(pages: list[str], work: Callable[[str], object]) -> Callable[[], float]:
    def measure() -> float:
        begin, number = time.process_time(), 0
        while time.process_time() - begin < _LEAST:
            work(pages[number % 2])
            number += 1
        return (time.process_time() - begin) / number * 1000

    return measure
