"""What the engine counts about itself and about each collector."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from exporter.instruments.meter import CounterCell, GaugeCell, HistogramCell, Meter
from exporter.model.reason import Drop, Outcome, Reason

# From a plain collector that reads memory up to the longest sensible timeout.
DURATION_BOUNDS = (1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
LAG_BOUNDS = (1e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class CollectorCells:
    """The series of one collector, looked up once. Counters start at 0 with it, all else with its first run."""

    __slots__ = ("_metrics", "_name", "_was_up", "drops", "duration", "errors", "last_success", "outcomes", "samples")

    def __init__(self, metrics: EngineMetrics, name: str) -> None:
        self._metrics = metrics
        self._name = name
        self.outcomes: dict[Outcome, CounterCell] = {o: metrics.outcomes.labels(name, o) for o in Outcome}
        self.errors: dict[Reason, CounterCell] = {r: metrics.errors.labels(name, r) for r in Reason}
        self.drops: dict[Drop, CounterCell] = {d: metrics.drops.labels(name, d) for d in Drop}
        self.duration: HistogramCell | None = None
        self._was_up: bool | None = None
        self.samples: GaugeCell | None = None
        self.last_success: GaugeCell | None = None

    def ended(self, outcome: Outcome, reason: Reason | None, up: bool, seconds: float | None, wall: float) -> None:
        """Notes how a run ended, how long it took if it has ended at all, and what time it is."""
        self.outcomes[outcome].inc()
        if reason is not None:
            self.errors[reason].inc()
        if up is not self._was_up:
            self._was_up = up
            self._metrics.up.labels(self._name).set(1.0 if up else 0.0)
        if up:
            if self.last_success is None:
                self.last_success = self._metrics.last_success.labels(self._name)
            self.last_success.set(wall)
        if seconds is not None:
            if self.duration is None:
                self.duration = self._metrics.duration.labels(self._name)
            self.duration.observe(seconds)

    def counted(self, series: int) -> None:
        """Notes how many series there are now."""
        if self.samples is None:
            self.samples = self._metrics.samples.labels(self._name)
        self.samples.set(float(series))

    def dropped(self, drops: Mapping[Drop, int]) -> None:
        """Notes what was kept off the page."""
        for reason, count in drops.items():
            self.drops[reason].inc(count)


class EngineMetrics:
    """The families, declared once; one object per engine."""

    def __init__(self, meter: Meter) -> None:
        by = ("collector",)
        self.cycle = meter.histogram(
            "collection_duration_seconds", "How long a whole collection cycle took.", DURATION_BOUNDS
        )
        self.last = meter.gauge(
            "collection_last_timestamp_seconds", "When the last collection cycle ended.", unit="seconds"
        )
        self.duration = meter.histogram(
            "collector_duration_seconds", "How long a run of a collector took.", DURATION_BOUNDS, by
        )
        self.up = meter.gauge("collector_up", "Whether the last run of a collector did its job.", by)
        self.outcomes = meter.counter(
            "collector_outcomes_total", "How the runs of a collector ended.", ("collector", "outcome")
        )
        self.errors = meter.counter(
            "collector_errors_total", "Runs of a collector that did not end well, by reason.", ("collector", "reason")
        )
        self.last_success = meter.gauge(
            "collector_last_success_timestamp_seconds", "When a run of a collector last did its job.", by, "seconds"
        )
        self.samples = meter.gauge("collector_samples", "Series a collector has in the current snapshot.", by)
        self.drops = meter.counter(
            "samples_dropped_total",
            "Metrics kept off the page because they were not fit for it.",
            ("collector", "reason"),
        )
        self.series = meter.gauge("snapshot_series", "Series of all collectors in the current snapshot.")
        self.lag = meter.histogram(
            "event_loop_lag_seconds", "How much later than asked for the event loop woke up.", LAG_BOUNDS
        )
        self.abandoned = meter.gauge("abandoned_calls", "Calls still running although nobody waits for them any more.")
        self.abandoned.labels()
        self._cells: tuple[HistogramCell, GaugeCell, GaugeCell, GaugeCell] | None = None

    def collector(self, name: str) -> CollectorCells:
        return CollectorCells(self, name)

    def cycled(self, seconds: float, wall: float, series: int, abandoned: int) -> None:
        """Notes the end of a cycle."""
        if self._cells is None:
            self._cells = (self.cycle.labels(), self.last.labels(), self.series.labels(), self.abandoned.labels())
        cycle, last, all_series, all_abandoned = self._cells
        cycle.observe(seconds)
        last.set(wall)
        all_series.set(float(series))
        all_abandoned.set(float(abandoned))

    def forget(self, names: Collection[str]) -> None:
        """Removes every series of collectors that are gone."""
        for instrument in (
            self.duration,
            self.up,
            self.outcomes,
            self.errors,
            self.last_success,
            self.samples,
            self.drops,
        ):
            instrument.remove(*names)
