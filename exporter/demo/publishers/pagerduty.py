"""PagerDuty: an alert is an event with a key to count it by, which happens to be the credential."""

from __future__ import annotations

import json

from exporter.demo.delivery import Answer, Request
from exporter.demo.publishers.bounds import DEFAULT
from exporter.demo.traffic import Alert, Event
from exporter.instruments.meter import Meter

# The service it imitates puts the real one on its page; this one opens nothing.
ROUTING_KEY = "d3m0d3m0d3m0d3m0d3m0d3m0d3m0d3m0"
EVENTS = "/v2/events"
CHANGES = "/v2/change/enqueue"

_ERRORS = {0: "network_error", 400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found"}
_ACTIONS = {
    Event.FIRE: "trigger",
    Event.CHANGE: "trigger",
    Event.ACKNOWLEDGE: "acknowledge",
    Event.RESOLVE: "resolve",
    Event.DEPLOY: "change",
}


class PagerDuty:
    """Sends events, and changes to an address of their own."""

    def __init__(self) -> None:
        meter = self.meter = Meter("pagerduty_")
        self._triggered = meter.counter("events_triggered_total", "Events that triggered.", ["routing_key", "severity"])
        self._acknowledged = meter.counter("events_acknowledged_total", "Events that acknowledged.", ["routing_key"])
        self._resolved = meter.counter("events_resolved_total", "Events that resolved.", ["routing_key"])
        self._changes = meter.counter("change_events_total", "Changes reported.", ["routing_key"])
        self._requests = meter.counter(
            "api_requests_total", "Calls of the API, repeated ones included.", ["endpoint", "status"]
        )
        self._errors = meter.counter("api_errors_total", "Alerts that could not be delivered.", ["error_type"])
        self._duration = meter.histogram("api_duration_seconds", "Duration of a call.", DEFAULT, ["endpoint"])
        self._limited = meter.counter("rate_limit_hits_total", "Calls that had to wait for the rate limit.")

    def request(self, target: str, url: str, alert: Alert) -> Request | None:
        action = _ACTIONS[alert.event]
        event = {
            "routing_key": ROUTING_KEY,
            "event_action": action,
            "dedup_key": alert.fingerprint,
            "payload": {"summary": alert.name, "source": alert.service, "severity": alert.severity},
        }
        return Request(
            target=target, alert=alert, action=action, url=url + _endpoint(action), body=json.dumps(event).encode()
        )

    def attempted(self, request: Request, answer: Answer) -> None:
        endpoint = _endpoint(request.action)
        self._requests.labels(endpoint, str(answer.status)).inc()
        self._duration.labels(endpoint).observe(answer.seconds)

    def retried(self, request: Request, attempt: int) -> None:
        """Its client does not count them apart."""

    def settled(self, request: Request, answer: Answer, seconds: float) -> None:
        if not answer.accepted:
            self._errors.labels(_error(answer.status)).inc()
        elif request.action == "trigger":
            self._triggered.labels(ROUTING_KEY, request.alert.severity).inc()
        else:
            counters = {"acknowledge": self._acknowledged, "resolve": self._resolved, "change": self._changes}
            counters[request.action].labels(ROUTING_KEY).inc()

    def limited(self) -> None:
        self._limited.labels().inc()


def _endpoint(action: str) -> str:
    return CHANGES if action == "change" else EVENTS


def _error(status: int) -> str:
    if status == 429:
        return "rate_limit"
    return "server_error" if status >= 500 else _ERRORS.get(status, "unknown")
