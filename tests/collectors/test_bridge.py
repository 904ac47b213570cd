"""The bridge: the library's own page is the oracle, and hostile collectors do no more harm than their own failure."""

import gc
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
    SummaryMetricFamily,
    UnknownMetricFamily,
)
from prometheus_client.gc_collector import GCCollector
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from exporter.collectors import bridge
from exporter.collectors.bridge import Bridge
from exporter.engine.limits import Accepted, Intake, Limits
from exporter.model.collector import Run
from exporter.model.errors import Partial
from exporter.model.metric import Kind, Result, Samples
from exporter.model.reason import Drop, Reason

RUN = Run(cycle=1, deadline=math.inf, wall=0.0)
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Yields:
    """A collector of prometheus_client that yields what it is given."""

    def __init__(self, *metrics: Any) -> None:
        self.metrics = metrics

    def collect(self) -> Iterable[Any]:
        return iter(self.metrics)


def bridged(foreign: Any, monotonic: Callable[[], float] = time.monotonic) -> Bridge:
    return Bridge("foreign", foreign, monotonic)


def ours(foreign: Any) -> dict[str, Samples]:
    return {samples.family.name: samples for samples in bridged(foreign).collect(RUN).samples}


def accepted(result: Result) -> Accepted:
    return Intake(None, lambda name: True, Limits()).accept(result)


def expand(samples: Iterable[Samples]) -> Series:
    """Our columns as lines of a page."""
    lines: Series = {}

    def line(name: str, labels: dict[str, str], value: float) -> None:
        lines[name, frozenset((key, text) for key, text in labels.items() if text)] = value

    for column in samples:
        family = column.family
        for key, numbers in column.rows():
            labels = dict(zip(family.labels, key, strict=True))
            if family.kind is Kind.HISTOGRAM:
                totals = list(itertools.accumulate(numbers[:-1]))
                for bound, total in zip((*family.bounds, math.inf), totals, strict=True):
                    line(f"{family.name}_bucket", {**labels, "le": str(bound)}, total)
                line(f"{family.name}_sum", labels, numbers[-1])
                line(f"{family.name}_count", labels, totals[-1])
            elif family.kind is Kind.SUMMARY:
                for bound, number in zip(family.bounds, numbers, strict=False):
                    line(family.name, {**labels, "quantile": str(bound)}, number)
                line(f"{family.name}_sum", labels, numbers[-2])
                line(f"{family.name}_count", labels, numbers[-1])
            else:
                line(family.name, labels, numbers[0])
    return lines


def page(foreign: Any) -> Series:
    """The library's own page, read back; without the creation times, which are not bridged."""
    lines: Series = {}
    for metric in text_string_to_metric_families(generate_latest(foreign).decode()):
        for sample in metric.samples:
            if sample.name.endswith("_created"):
                continue
            labels = {
                key: str(float(text)) if key in ("le", "quantile") else text for key, text in sample.labels.items()
            }
            lines[sample.name, frozenset((key, text) for key, text in labels.items() if text)] = sample.value
    return lines


def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    jobs = Counter("jobs", "Jobs done.", ["queue", "state"], registry=registry)
    jobs.labels("mail", "ok").inc(3)
    jobs.labels("mail", 'bad "one"\n').inc()
    Counter("plain_total", "No labels.", registry=registry).inc(2**53)
    Gauge("depth", "How deep.", unit="meters", registry=registry).set(-1.5)
    seconds = Histogram("took_seconds", "How long.", ["step"], buckets=(0.1, 1, 10), registry=registry)
    for value in (0.05, 0.5, 0.5, 99):
        seconds.labels("a").observe(value)
    seconds.labels("b").observe(1)
    Summary("size_bytes", "How big.", ["step"], registry=registry).labels("a").observe(12.5)
    Info("build", "What it is.", registry=registry).info({"version": "1.2", "edition": "free"})
    Enum("phase", "Where it is.", ["unit"], states=["up", "down"], registry=registry).labels("x").state("down")
    Gauge("never_set", "Has labels but no series.", ["a"], registry=registry)
    return registry


def families() -> Yields:
    counter = CounterMetricFamily("c", "c.", labels=["a"], unit="seconds")
    counter.add_metric(["x"], 1, created=5.0)
    gauge = GaugeMetricFamily("g", "g.", labels=["a", "b"])
    gauge.add_metric(["x", ""], math.nan, timestamp=1.0)
    gauge.add_metric(["y", "z"], -math.inf)
    histogram = HistogramMetricFamily("h", "h.", labels=["a"])
    histogram.add_metric(["x"], [("0.5", 1), ("2.0", 4), ("+Inf", 6)], 7.5)
    summary = SummaryMetricFamily("s", "s.", labels=["a"])
    summary.add_metric(["x"], 3, 4.5)
    summary.add_sample("s", {"a": "x", "quantile": "0.5"}, 1.0)
    summary.add_sample("s", {"a": "x", "quantile": "0.9"}, 2.0)
    states = StateSetMetricFamily("st", "st.", value={"on": True, "off": False})
    info = InfoMetricFamily("i", "i.", labels=["a"])
    info.add_metric(["x"], {"version": "1"})
    info.add_metric(["y"], {"edition": "2"})
    unknown = UnknownMetricFamily("u", "u.", value=4)
    return Yields(counter, gauge, histogram, summary, states, info, unknown, GaugeMetricFamily("empty", "None."))


@pytest.mark.parametrize(
    "foreign",
    [registry(), families(), PlatformCollector(registry=None), GCCollector(registry=CollectorRegistry())],
    ids=["instruments", "metric families", "platform", "gc"],
)
def test_values_equal_those_of_the_library_page(foreign: Any) -> None:
    gc.disable()  # the collector of its statistics must see the same ones twice
    try:
        mine, theirs = expand(accepted(bridged(foreign).collect(RUN)).samples), page(foreign)
    finally:
        gc.enable()
    assert {key: repr(value) for key, value in mine.items()} == {key: repr(value) for key, value in theirs.items()}
    assert theirs


def test_the_process_collector_gives_the_series_it_has_on_its_own_page() -> None:
    foreign = ProcessCollector(registry=None)
    assert expand(accepted(bridged(foreign).collect(RUN)).samples).keys() == page(foreign).keys()


def test_nothing_of_a_well_behaved_collector_is_dropped() -> None:
    result = bridged(registry()).collect(RUN)
    assert accepted(result).drops == {}


def test_kinds_names_and_help_are_those_of_the_library_page() -> None:
    got = {name: (column.family.kind, column.family.help) for name, column in ours(registry()).items()}
    assert got["jobs_total"] == (Kind.COUNTER, "Jobs done.")
    assert got["depth_meters"] == (Kind.GAUGE, "How deep.")
    assert got["took_seconds"] == (Kind.HISTOGRAM, "How long.")
    assert got["size_bytes"] == (Kind.SUMMARY, "How big.")
    assert got["build_info"] == (Kind.GAUGE, "What it is.")
    assert got["phase"] == (Kind.GAUGE, "Where it is.")
    assert ours(registry())["depth_meters"].family.unit == "meters"


def test_it_runs_on_a_thread_and_declares_nothing_beforehand() -> None:
    assert bridged(registry()).blocking
    assert bridged(registry()).families is None


def test_a_label_some_samples_lack_is_empty_there() -> None:
    metric = Metric("g", "g.", "gauge")
    metric.add_sample("g", {"a": "1"}, 1.0)
    metric.add_sample("g", {"b": "2"}, 2.0)
    column = ours(Yields(metric))["g"]
    assert (column.family.labels, column.keys) == (("a", "b"), (("1", ""), ("", "2")))


def test_a_metric_that_comes_in_pieces_is_one_family() -> None:
    pieces = [GaugeMetricFamily("g", "g.", labels=["a"]) for _ in range(2)]
    pieces[0].add_metric(["x"], 1.0)
    pieces[1].add_metric(["y"], 2.0)
    assert [column.keys for column in bridged(Yields(*pieces)).collect(RUN).samples] == [(("x",), ("y",))]


def test_the_same_series_twice_is_left_to_the_engine_to_count() -> None:
    metric = GaugeMetricFamily("g", "g.", labels=["a"])
    metric.add_metric(["x"], 1.0)
    metric.add_metric(["x"], 2.0)
    assert accepted(bridged(Yields(metric)).collect(RUN)).drops == {Drop.DUPLICATE: 1}


def test_a_gauge_histogram_becomes_gauges_because_its_buckets_may_fall() -> None:
    metric = GaugeHistogramMetricFamily("q", "q.", buckets=[("1.0", 3), ("+Inf", 5)], gsum_value=-2.0)
    got = ours(Yields(metric))
    assert {name: column.family.kind for name, column in got.items()} == dict.fromkeys(
        ["q_bucket", "q_gcount", "q_gsum"], Kind.GAUGE
    )
    assert got["q_bucket"].rows() == [(("1.0",), (3.0,)), (("+Inf",), (5.0,))]
    assert got["q_gsum"].values == (-2.0,)


def test_a_counter_without_its_suffix_gets_one() -> None:
    metric = Metric("old", "Old style.", "counter")
    metric.add_sample("old", {}, 3)
    assert ours(Yields(metric))["old_total"].values == (3.0,)


def test_a_sample_with_a_name_of_its_own_is_of_unknown_type() -> None:
    metric = Metric("g", "g.", "gauge")
    metric.add_sample("something_else", {}, 3)
    metric.add_sample("g_more", {}, 4)
    got = ours(Yields(metric))
    assert {name: column.family.kind for name, column in got.items()} == {
        "something_else": Kind.UNKNOWN,
        "g_more": Kind.UNKNOWN,
    }


def test_names_outside_the_classic_alphabet_are_escaped_as_on_the_library_page() -> None:
    metric = Metric("http.requests", "Dots.", "gauge")
    metric.add_sample("http.requests", {"net.peer": "x"}, 1)
    assert ours(Yields(metric))["http_requests"].family.labels == ("net_peer",)


def test_a_histogram_with_other_bounds_than_the_first_is_dropped_and_counted() -> None:
    metric = HistogramMetricFamily("h", "h.", labels=["a"])
    metric.add_metric(["first"], [("1.0", 1), ("+Inf", 2)], 3.0)
    metric.add_metric(["other"], [("5.0", 1), ("+Inf", 2)], 3.0)
    metric.add_metric(["more"], [("1.0", 1), ("5.0", 1), ("+Inf", 2)], 3.0)
    left = accepted(bridged(Yields(metric)).collect(RUN))
    assert [column.keys for column in left.samples] == [(("first",),)]
    assert left.drops == {Drop.VALUE: 2}


def test_a_broken_first_histogram_does_not_spoil_the_whole_ones_after_it() -> None:
    metric = HistogramMetricFamily("h", "h.", labels=["a"])
    metric.add_sample("h_bucket", {"a": "no end", "le": "1.0"}, 1)
    metric.add_sample("h_bucket", {"a": "no bound", "le": "soon"}, 1)
    metric.add_sample("h_bucket", {"a": "no bound", "le": "+Inf"}, 1)
    metric.add_sample("h_bucket", {"a": "not a bound", "le": "nan"}, 1)
    metric.add_metric(["whole"], [("1.0", 1), ("+Inf", 2)], 3.0)
    left = accepted(bridged(Yields(metric)).collect(RUN))
    assert [column.keys for column in left.samples] == [(("whole",),)]
    assert left.drops == {Drop.VALUE: 3}


def test_a_histogram_without_the_last_bucket_takes_its_count_instead() -> None:
    metric = HistogramMetricFamily("h", "h.")
    metric.add_sample("h_bucket", {"le": "1.0"}, 1)
    metric.add_sample("h_count", {}, 4)
    metric.add_sample("h_sum", {}, 9)
    assert ours(Yields(metric))["h"].values == (1.0, 3.0, 9.0)


def test_a_histogram_that_never_is_whole_makes_the_run_partial() -> None:
    metric = HistogramMetricFamily("h", "h.")
    metric.add_sample("h_bucket", {"le": "1.0"}, 1)
    with pytest.raises(Partial) as raised:
        bridged(Yields(metric)).collect(RUN)
    assert (raised.value.result.samples, raised.value.reason) == ((), Reason.PARTIAL)


def test_a_summary_with_other_quantiles_than_the_first_is_dropped_and_counted() -> None:
    metric = SummaryMetricFamily("s", "s.", labels=["a"])
    metric.add_metric(["first"], 1, 2.0)
    metric.add_metric(["other"], 1, 2.0)
    metric.add_sample("s", {"a": "other", "quantile": "0.5"}, 1.0)
    left = accepted(bridged(Yields(metric)).collect(RUN))
    assert [column.keys for column in left.samples] == [(("first",),)]
    assert left.drops == {Drop.VALUE: 1}


def test_labels_may_differ_from_run_to_run() -> None:
    foreign = Yields()
    collector = bridged(foreign)
    intake = Intake(None, lambda name: True, Limits())
    for labels in (["a"], ["a", "b"], []):
        metric = GaugeMetricFamily("g", "g.", labels=labels)
        metric.add_metric(labels, 1.0)
        foreign.metrics = (metric,)
        left = intake.accept(collector.collect(RUN))
        assert [(column.family.labels, column.keys) for column in left.samples] == [(tuple(labels), (tuple(labels),))]
        assert left.drops == {}


def test_one_name_with_two_types_is_dropped_and_counted() -> None:
    stray = Metric("x", "x.", "unknown")
    stray.add_sample("g", {}, 2)
    left = accepted(bridged(Yields(GaugeMetricFamily("g", "g.", value=1), stray)).collect(RUN))
    assert [(column.family.kind, column.values) for column in left.samples] == [(Kind.GAUGE, (1.0,))]
    assert left.drops == {Drop.FAMILY: 1}


class Hostile:
    """Raises whatever is done with it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no")

    def __float__(self) -> float:
        raise RuntimeError("no")


class HostileText(str):
    """Text that cannot be compared."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = str.__hash__


def test_one_bad_sample_costs_only_itself() -> None:
    metric = Metric("g", "g.", "gauge")
    for number, value in enumerate([1, 2.5, True, Decimal("0.5"), "3", None, 10**400, Hostile(), b"1"]):
        metric.add_sample("g", {"n": str(number)}, value)  # type: ignore[arg-type]
    left = accepted(bridged(Yields(metric)).collect(RUN))
    assert left.samples[0].values == (1.0, 2.5, 1.0, 0.5)
    assert left.drops == {Drop.VALUE: 5}


def test_bad_labels_cost_only_their_sample() -> None:
    metric = Metric("g", "g.", "gauge")
    for value in ["fine", 7, b"bytes", None, [], Hostile(), "\ud800", HostileText("text")]:
        metric.add_sample("g", {"a": value}, 1)  # type: ignore[dict-item]
    for labels in [None, 5, {5: "x"}, Hostile()]:
        metric.add_sample("g", labels, 1)  # type: ignore[arg-type]
    left = accepted(bridged(Yields(metric)).collect(RUN))
    assert left.samples[0].keys == (("fine",), ("7",), ("bytes",), ("text",))
    assert left.drops == {Drop.LABEL: 4, Drop.VALUE: 4}


def test_what_is_no_metric_is_skipped_and_said() -> None:
    good = GaugeMetricFamily("g", "g.", value=1)
    with_junk = Metric("j", "j.", "gauge")
    with_junk.samples = [5, ("j", {}), None, ("j", {}, 2.0)]  # type: ignore[list-item]
    with pytest.raises(Partial) as raised:
        bridged(Yields(None, 5, "text", Hostile(), object(), with_junk, good)).collect(RUN)
    assert expand(raised.value.result.samples) == {("j", frozenset()): 2.0, ("g", frozenset()): 1.0}
    assert (raised.value.reason, raised.value.detail) == (Reason.PARTIAL, "8 times it yielded what is no metric")


def test_help_that_cannot_stand_on_a_page_is_made_fit() -> None:
    metrics = [
        GaugeMetricFamily(name, help, value=1) for name, help in [("a", "\ud800"), ("b", " "), ("c", "x" * 10**6)]
    ]
    got = {name: column.family.help for name, column in ours(Yields(*metrics)).items()}
    assert got == {"a": "?", "b": "b", "c": "x" * bridge.HELP_CAP}


def test_an_exception_of_the_collector_reaches_the_engine() -> None:
    def raises() -> Iterator[Metric]:
        yield GaugeMetricFamily("g", "g.", value=1)
        raise ZeroDivisionError

    class Raises:
        def collect(self) -> Iterator[Metric]:
            return raises()

    with pytest.raises(ZeroDivisionError):
        bridged(Raises()).collect(RUN)


class Endless:
    """Goes on until it is closed."""

    def __init__(self, metric: Callable[[int], Any]) -> None:
        self.metric = metric
        self.closed = False

    def collect(self) -> Iterator[Any]:
        try:
            for number in itertools.count():
                yield self.metric(number)
        finally:
            self.closed = True


@pytest.mark.parametrize(
    "metric",
    [
        lambda number: GaugeMetricFamily("g", "g.", value=number),
        lambda number: GaugeMetricFamily("empty", "e."),
        lambda number: None,
    ],
    ids=["metrics", "metrics without samples", "junk"],
)
def test_an_endless_collector_is_stopped_at_the_cap(
    metric: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge, "SAMPLE_CAP", 1_000)
    endless = Endless(metric)
    with pytest.raises(Partial) as raised:
        bridged(endless).collect(RUN)
    assert (raised.value.reason, raised.value.detail) == (Reason.LIMIT, "stopped after 1000 samples")
    assert endless.closed


def test_endless_samples_of_one_metric_are_stopped_at_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "SAMPLE_CAP", 1_000)
    metric = GaugeMetricFamily("g", "g.")
    metric.samples = (("g", {"n": str(n)}, 1.0) for n in itertools.count())  # type: ignore[assignment]
    with pytest.raises(Partial) as raised:
        bridged(Yields(metric)).collect(RUN)
    assert len(raised.value.result.samples[0].keys) == 999  # the metric itself counts too


def test_an_endless_collector_is_stopped_at_its_deadline() -> None:
    moments = itertools.count()
    endless = Endless(lambda number: GaugeMetricFamily("g", "g.", value=number))
    with pytest.raises(Partial) as raised:
        bridged(endless, monotonic=lambda: next(moments)).collect(Run(1, deadline=3.0, wall=0.0))
    assert raised.value.reason is Reason.TIMEOUT
    assert endless.closed


def test_families_without_end_are_stopped_at_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "FAMILY_CAP", 10)
    with pytest.raises(Partial) as raised:
        bridged(Endless(lambda number: GaugeMetricFamily(f"g{number}", "g.", value=1))).collect(RUN)
    assert (raised.value.reason, len(raised.value.result.samples)) == (Reason.LIMIT, 10)


def test_a_new_label_name_in_every_sample_does_not_widen_the_rows_without_end() -> None:
    metric = Metric("g", "g.", "gauge")
    for number in range(10_000):
        metric.add_sample("g", {f"label{number}": "x"}, 1)
    column = ours(Yields(metric))["g"]
    assert len(column.family.labels) == bridge.LABEL_CAP
    assert accepted(Result((column,))).drops == {Drop.VALUE: 10_000 - bridge.LABEL_CAP}


def test_a_new_label_name_in_every_histogram_does_not_widen_the_rows_without_end() -> None:
    metric = HistogramMetricFamily("h", "h.")
    for number in range(1_000):
        metric.add_sample("h_bucket", {f"label{number}": "x", "le": "+Inf"}, 1)
        metric.add_sample("h_sum", {f"label{number}": "x"}, 1)
    assert len(ours(Yields(metric))["h"].family.labels) == bridge.LABEL_CAP


_junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
_names = st.sampled_from(["m", "m_total", "m_bucket", "m_sum", "m_count", "m_info", "m_created", "m_gsum", "x", ""])
_labels = st.dictionaries(st.sampled_from(["a", "b", "le", "quantile", "m"]), _junk | st.text(max_size=3), max_size=3)
_samples = st.lists(st.tuples(_names, _labels | _junk, _junk | st.floats()) | _junk, max_size=6)


@given(st.lists(st.tuples(st.sampled_from([*bridge._KINDS, "unknown", "gaugehistogram"]), _samples), max_size=4))
def test_no_junk_ever_fails_the_whole_collector(metrics: list[tuple[str, Any]]) -> None:
    yielded = []
    for kind, samples in metrics:
        metric = Metric("m", "m.", kind)
        metric.samples = samples
        yielded.append(metric)
    try:
        result = bridged(Yields(*yielded)).collect(RUN)
    except Partial as partial:
        result = partial.result
    accepted(result)
