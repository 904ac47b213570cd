"""Anybody's own receiver: the whole alert, within limits, with a token."""

from __future__ import annotations

import json
from dataclasses import asdict

from exporter.demo.delivery import Answer, Cause, Invalid, Request
from exporter.demo.publishers.bounds import DEFAULT
from exporter.demo.traffic import Alert
from exporter.instruments.meter import Meter

MAX_PAYLOAD = 65_536
_HEADERS = {"Authorization": "Bearer demo", "Content-Type": "application/json"}
_SIZES = tuple(1024.0 * 2**step for step in range(12))


class Webhook:
    """Counts by target: there may be many of its kind."""

    def __init__(self) -> None:
        meter = self.meter = Meter("webhook_")
        self._requests = meter.counter("requests_total", "Alerts sent.", ["target", "status", "method"])
        self._duration = meter.histogram(
            "request_duration_seconds",
            "Time to deliver an alert, waiting and repeated calls included.",
            (0.001, *DEFAULT),
            ["target", "status"],
        )
        self._errors = meter.counter("errors_total", "Alerts that could not be delivered.", ["target", "error_type"])
        self._retries = meter.counter("retries_total", "Repeated calls.", ["target", "attempt"])
        self._payload = meter.histogram("payload_size_bytes", "Size of what is sent.", _SIZES, ["target"])
        self._auth = meter.counter("auth_failures_total", "Calls refused for who calls.", ["target", "auth_type"])
        self._invalid = meter.counter(
            "validation_errors_total", "Alerts that may not be sent.", ["target", "validation_type"]
        )
        self._timeouts = meter.counter("timeout_errors_total", "Calls that took too long.", ["target"])

    def request(self, target: str, url: str, alert: Alert) -> Request | None:
        body = json.dumps(asdict(alert)).encode()
        self._payload.labels(target).observe(len(body))
        if len(body) > MAX_PAYLOAD:
            self._invalid.labels(target, "payload_size").inc()
            self._failed(target, "validation")
            raise Invalid
        return Request(target=target, alert=alert, action="post", url=url, headers=_HEADERS, body=body)

    def attempted(self, request: Request, answer: Answer) -> None:
        if answer.status in (401, 403):
            self._auth.labels(request.target, "bearer").inc()
        if answer.status == 408 or answer.cause is Cause.TIMEOUT:
            self._timeouts.labels(request.target).inc()

    def retried(self, request: Request, attempt: int) -> None:
        self._retries.labels(request.target, str(attempt)).inc()

    def settled(self, request: Request, answer: Answer, seconds: float) -> None:
        self._duration.labels(request.target, "success" if answer.accepted else "error").observe(seconds)
        if answer.accepted:
            self._requests.labels(request.target, "success", "POST").inc()
        else:
            self._failed(request.target, _error(answer))

    def limited(self) -> None:
        """Nobody limits it."""

    def _failed(self, target: str, error: str) -> None:
        self._requests.labels(target, "error", "POST").inc()
        self._errors.labels(target, error).inc()


def _error(answer: Answer) -> str:
    if answer.status == 408 or answer.cause is Cause.TIMEOUT:
        return "timeout"
    if answer.cause is Cause.NETWORK:
        return "network"
    if answer.status in (401, 403):
        return "auth"
    if answer.status in (400, 413, 422):
        return "validation"
    if answer.status == 429:
        return "rate_limit"
    return "server" if answer.status >= 500 else "unknown"
