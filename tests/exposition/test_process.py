"""Metrics of the process itself."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable

import pytest
from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from exporter.exposition.format import Format
from exporter.exposition.lint import lint
from exporter.exposition.process import ProcessMetrics
from tests.exposition.build import render


def test_they_are_those_every_client_library_has(complaints: Callable[[bytes], str]) -> None:
    found = {samples.family.name: samples for samples in ProcessMetrics().collect()}
    assert set(found) == {
        "process_virtual_memory_bytes",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_max_fds",
        "python_info",
    }
    assert found["process_max_fds"].values == (float(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),)
    assert found["python_info"].values == (1.0,)
    assert lint(found.values()) == []
    assert complaints(render(found.values(), Format.TEXT)) == ""


def test_one_that_cannot_be_read_costs_only_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    process = ProcessMetrics()

    def torn(self: ProcessCollector) -> Iterable[Metric]:
        yield GaugeMetricFamily("process_open_fds", "Open files.", 3)
        raise OSError("gone")

    monkeypatch.setattr(ProcessCollector, "collect", torn)
    assert [samples.family.name for samples in process.collect()] == ["process_open_fds", "python_info"]
