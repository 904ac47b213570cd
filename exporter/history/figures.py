"""What the history counts about itself."""

from __future__ import annotations

from exporter.instruments.meter import Meter
from exporter.model.reason import Storage

BOUNDS = (1e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Figures:
    """The families, declared once. Gauges have no series before there is something to say."""

    def __init__(self, meter: Meter) -> None:
        self._up = meter.gauge("history_up", "Whether the last snapshot could be stored.")
        self._rows = meter.gauge("history_rows", "Rows of all tiers: snapshots, hours of minutes, days of hours.")
        self._bytes = meter.gauge("history_bytes", "Size of the history on disk.", unit="bytes")
        self._stored = meter.gauge(
            "history_last_stored_timestamp_seconds",
            "When the newest snapshot that is safely on disk was made.",
            (),
            "seconds",
        )
        self._writes = meter.histogram(
            "history_write_duration_seconds", "How long it took to store a snapshot.", BOUNDS
        )
        self._errors = meter.counter("history_errors_total", "Failures of the history, by reason.", ("reason",))
        self._dropped = meter.counter("history_dropped_snapshots_total", "Snapshots that were not stored.")

    def begin(self) -> None:
        """The counters start at 0."""
        self._writes.labels()
        self._dropped.labels()
        for reason in Storage:
            self._errors.labels(reason)

    def up(self, is_up: bool) -> None:
        self._up.labels().set(float(is_up))

    def stored(self, wall: float, seconds: float, rows: int, size: int) -> None:
        """A snapshot is on disk."""
        self._stored.labels().set(wall)
        self._writes.labels().observe(seconds)
        self._rows.labels().set(float(rows))
        self._bytes.labels().set(float(size))

    def failed(self, reason: Storage) -> None:
        self._errors.labels(reason).inc()

    def dropped(self, snapshots: int = 1) -> None:
        self._dropped.labels().inc(snapshots)
