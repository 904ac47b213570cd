"""What prometheus_client knows about this process and its interpreter, as samples of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import Metric

from exporter.model.metric import Family, Kind, Samples


class ProcessMetrics:
    """`process_*` and `python_info`."""

    def __init__(self) -> None:
        # Not the library's global registry: whatever else is registered there does not belong on our page.
        registry = CollectorRegistry()
        self._collectors = (ProcessCollector(registry=registry), PlatformCollector(registry=registry))

    def collect(self) -> tuple[Samples, ...]:
        """The numbers of this moment. They are an extra: what cannot be read is left out and costs nothing else."""
        found: list[Samples] = []
        for collector in self._collectors:
            with suppress(Exception):
                found += _converted(collector.collect())
        return tuple(found)


def _converted(metrics: object) -> Iterator[Samples]:
    for metric in metrics:  # type: ignore[attr-defined]
        yield _samples(metric)


def _samples(metric: Metric) -> Samples:
    kind = Kind(metric.type)
    name = metric.name + "_total" * (kind is Kind.COUNTER)
    labels = tuple(metric.samples[0].labels)
    keys = tuple(tuple(sample.labels[label] for label in labels) for sample in metric.samples)
    return Samples(
        Family(name, metric.documentation, kind, labels), keys, tuple(float(sample.value) for sample in metric.samples)
    )
