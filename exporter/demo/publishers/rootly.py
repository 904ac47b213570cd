"""Rootly: an alert is an incident, which is created, changed and resolved."""

from __future__ import annotations

import json

from exporter.demo.delivery import Answer, Request
from exporter.demo.publishers.bounds import DEFAULT
from exporter.demo.traffic import Alert, Event
from exporter.instruments.meter import Meter

_ERRORS = {
    400: "validation",
    401: "auth",
    403: "auth",
    404: "not_found",
    409: "conflict",
    422: "validation",
    429: "rate_limit",
}


class Rootly:
    """Remembers which incidents are open."""

    def __init__(self) -> None:
        meter = self.meter = Meter("rootly_")
        self._created = meter.counter("incidents_created_total", "Incidents created.", ["severity"])
        self._updated = meter.counter("incidents_updated_total", "Incidents updated.", ["reason"])
        self._resolved = meter.counter("incidents_resolved_total", "Incidents resolved.")
        self._requests = meter.counter(
            "api_requests_total", "Calls of the API, repeated ones included.", ["endpoint", "method", "status"]
        )
        self._duration = meter.histogram(
            "api_duration_seconds", "Duration of a call of the API.", DEFAULT, ["endpoint", "method"]
        )
        self._errors = meter.counter(
            "api_errors_total", "Alerts that could not be delivered.", ["endpoint", "error_type"]
        )
        self._limited = meter.counter("rate_limit_hits_total", "Calls that had to wait for the rate limit.")
        self._active = meter.gauge("active_incidents_gauge", "Incidents open.")
        self._open: set[tuple[str, str]] = set()

    def request(self, target: str, url: str, alert: Alert) -> Request | None:
        """What is over and was never reported needs no call."""
        known = (target, alert.fingerprint) in self._open
        incident = f"{url}/{alert.fingerprint}"
        if alert.event is Event.RESOLVE:
            action, method, address = "resolve", "POST", f"{incident}/resolve"
        elif known:
            action, method, address = "update", "PATCH", incident
        else:
            action, method, address = "create", "POST", url
        if action == "resolve" and not known:
            return None
        body = json.dumps({"title": f"{alert.name} on {alert.service}", "severity": alert.severity}).encode()
        return Request(target=target, alert=alert, action=action, method=method, url=address, body=body)

    def attempted(self, request: Request, answer: Answer) -> None:
        self._requests.labels(request.action, request.method, str(answer.status)).inc()
        self._duration.labels(request.action, request.method).observe(answer.seconds)

    def retried(self, request: Request, attempt: int) -> None:
        """Its client does not count them apart."""

    def settled(self, request: Request, answer: Answer, seconds: float) -> None:
        incident = (request.target, request.alert.fingerprint)
        if not answer.accepted:
            self._errors.labels(request.action, _error(answer.status)).inc()
        elif request.action == "resolve":
            self._resolved.labels().inc()
            self._open.discard(incident)
        elif request.action == "update":
            self._updated.labels("annotation_change").inc()
        else:
            self._created.labels(request.alert.severity).inc()
            self._open.add(incident)
        self._active.labels().set(len(self._open))

    def limited(self) -> None:
        self._limited.labels().inc()


def _error(status: int) -> str:
    if status in _ERRORS:
        return _ERRORS[status]
    if status >= 500:
        return "server_error"
    return "client_error" if status >= 400 else "unknown"
