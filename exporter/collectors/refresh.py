"""Tells when the origins of targets were listed, when they will be, and how that goes."""

from __future__ import annotations

from exporter.collectors.parts import Parts
from exporter.collectors.prefixed import Prefixed
from exporter.config.schema import CollectorOptions
from exporter.model.collector import Run
from exporter.model.metric import Family, Result, Samples
from exporter.publishing.refresh import RefreshDetail


class Options(CollectorOptions):
    """What may be set under `collectors.refresh`; when there is a refresh stands under `targets.refresh`."""


class Refresh:
    """Reads what is in memory: refreshes are made elsewhere."""

    name = "refresh"

    def __init__(self, parts: Parts) -> None:
        prefix = f"{parts.prefix}_refresh"
        self._findings = parts.findings
        self._counted = Prefixed(parts.prefix, [parts.findings.tally.refresh])
        self._last = Family(
            f"{prefix}_last_success_timestamp_seconds",
            "When a refresh last ended with all origins of targets listed.",
            unit="seconds",
        )
        self._next = Family(
            f"{prefix}_next_timestamp_seconds", "When the next refresh is due; absent during one.", unit="seconds"
        )
        self._running = Family(f"{prefix}_in_progress", "Whether a refresh is under way.")
        self._interval = Family(
            f"{prefix}_interval_seconds", "Time between two refreshes, as configured.", unit="seconds"
        )
        self.families = (self._last, self._next, self._running, self._interval, *self._counted.families)

    def collect(self, run: Run) -> Result:
        """One look."""
        detail = self._findings.refresh_detail()
        return Result([*self._gauges(detail), *self._counted.samples()], detail)

    def _gauges(self, detail: RefreshDetail) -> list[Samples]:
        refreshes = self._findings.refreshes
        known = {
            self._last: detail.last_success,
            self._next: detail.next_refresh,
            self._running: float(refreshes.running),
            self._interval: refreshes.rules.interval,
        }
        return [Samples.of(family, value) for family, value in known.items() if value is not None]


def build(options: Options, parts: Parts) -> Refresh:
    """The collector; there is always something to refresh, if only what the configuration says."""
    return Refresh(parts)
