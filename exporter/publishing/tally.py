"""What is counted about finding targets; the collectors show it under their prefix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from exporter.instruments.meter import Meter
from exporter.model.errors import Failure
from exporter.model.reason import Flaw, Reason
from exporter.publishing.listing import Listing

_REFRESH_BOUNDS = (0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
_STEP_BOUNDS = (0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# What asking an origin can end with; each starts at 0 so that the first of its kind is an increase.
_REASONS = (
    Reason.TIMEOUT,
    Reason.CONNECT,
    Reason.DNS,
    Reason.TLS,
    Reason.AUTH,
    Reason.HTTP_STATUS,
    Reason.RATE_LIMITED,
    Reason.REDIRECT,
    Reason.TOO_LARGE,
    Reason.DECODE,
    Reason.PARSE,
    Reason.LIMIT,
    Reason.EXEC,
    Reason.CONFIG,
    Reason.INTERNAL,
)


class Tally:
    """Refreshes, attempts and documents, counted since the start."""

    def __init__(self) -> None:
        self.refresh = Meter()
        self._refreshes = self.refresh.counter(
            "refresh_total", "Refreshes that ended: all origins of targets were asked once.", ("status",)
        )
        self._refresh_errors = self.refresh.counter(
            "refresh_errors_total",
            "Origins that could not be listed in a refresh, after all attempts.",
            ("error_type",),
        )
        self._refresh_duration = self.refresh.histogram(
            "refresh_duration_seconds", "Time of a refresh, all attempts included.", _REFRESH_BOUNDS, ("status",)
        )
        self.discovery = Meter()
        self._steps = self.discovery.histogram(
            "discovery_duration_seconds",
            "Time to list an origin, to parse its documents and to validate them.",
            _STEP_BOUNDS,
            ("operation",),
        )
        self._errors = self.discovery.counter(
            "discovery_errors_total",
            "Attempts to list an origin that failed, and documents that give no target.",
            ("error_type",),
        )
        self._documents = self.discovery.counter(
            "secrets_total", "Documents looked at, Secrets and those of every other origin.", ("status",)
        )
        for status in ("success", "failed"):
            self._refreshes.labels(status)
        for status in ("valid", "invalid", "skipped"):
            self._documents.labels(status)
        for reason in _REASONS:
            self._refresh_errors.labels(reason)
            self._errors.labels(reason)
        for flaw in Flaw:
            self._errors.labels(flaw)

    def refreshed(self, seconds: float, failures: Iterable[Failure]) -> None:
        """A refresh has ended, with these origins not listed."""
        status = "success"
        for failure in failures:
            status = "failed"
            self._refresh_errors.labels(failure.reason).inc()
        self._refreshes.labels(status).inc()
        self._refresh_duration.labels(status).observe(seconds)

    def failed(self, failure: Failure) -> None:
        """One attempt to list an origin has failed."""
        self._errors.labels(failure.reason).inc()

    def listed(self, listing: Listing, seconds: float) -> None:
        """An origin was listed as a whole."""
        self._steps.labels("list").observe(seconds)
        for step, spent in listing.seconds.items():
            self._steps.labels(step).observe(spent)
        self._count(listing)

    def watched(self, before: Listing, after: Listing) -> None:
        """A watch told what has changed: only that was looked at."""
        known, faults = set(map(id, before.targets)), set(before.invalid)
        self._count(
            Listing(
                origin=after.origin,
                targets=tuple(target for target in after.targets if id(target) not in known),
                invalid=tuple(invalid for invalid in after.invalid if invalid not in faults),
                skipped=max(0, after.skipped - before.skipped),
            )
        )

    def duplicates(self, number: int) -> None:
        """So many targets turned out to have a name that another has already."""
        self._errors.labels(Flaw.DUPLICATE).inc(number)

    def _count(self, listing: Listing) -> None:
        self._documents.labels("valid").inc(len(listing.targets))
        self._documents.labels("invalid").inc(len(listing.invalid))
        self._documents.labels("skipped").inc(listing.skipped)
        for flaw, number in Counter(invalid.flaw for invalid in listing.invalid).items():
            self._errors.labels(flaw).inc(number)
