"""Slack: the first word on an alert is a message, all later ones go into its thread."""

from __future__ import annotations

import json

from exporter.demo.delivery import Answer, Request
from exporter.demo.figures import PREFIX
from exporter.demo.publishers.bounds import DEFAULT
from exporter.demo.traffic import Alert, Event
from exporter.instruments.meter import Meter

_ERRORS = {400: "bad_request", 403: "auth_error", 404: "auth_error", 429: "rate_limit", 503: "server_error"}


class Slack:
    """Remembers the threads."""

    def __init__(self) -> None:
        meter = self.meter = Meter(PREFIX + "slack_")
        self._posted = meter.counter("messages_posted_total", "Messages posted.", ["status"])
        self._replies = meter.counter("thread_replies_total", "Replies posted into a thread.")
        self._errors = meter.counter("message_errors_total", "Messages that could not be posted.", ["error_type"])
        self._duration = meter.histogram(
            "api_request_duration_seconds",
            "Time to deliver a message, waiting and repeated calls included.",
            DEFAULT,
            ["method", "status"],
        )
        self._hits = meter.counter("cache_hits_total", "Threads that were known.")
        self._misses = meter.counter("cache_misses_total", "Threads that were not known.")
        self._size = meter.gauge("cache_size", "Threads known.")
        self._limited = meter.counter("rate_limit_hits_total", "Messages that had to wait for the rate limit.")
        self._threads: set[tuple[str, str]] = set()  # of one target: another one's message is in another place

    def request(self, target: str, url: str, alert: Alert) -> Request | None:
        known = (target, alert.fingerprint) in self._threads
        (self._hits if known else self._misses).labels().inc()
        text = json.dumps({"text": f"{alert.event}: {alert.name} on {alert.service} ({alert.severity})"})
        action = "thread_reply" if known else "post_message"
        return Request(target=target, alert=alert, action=action, url=url, body=text.encode())

    def attempted(self, request: Request, answer: Answer) -> None:
        """Its client counts messages, not calls."""

    def retried(self, request: Request, attempt: int) -> None:
        """Its client does not count them apart."""

    def settled(self, request: Request, answer: Answer, seconds: float) -> None:
        self._duration.labels(request.action, "success" if answer.accepted else "error").observe(seconds)
        if not answer.accepted:
            self._errors.labels(_ERRORS.get(answer.status, "network_error")).inc()
            return
        if request.action == "thread_reply":
            self._replies.labels().inc()
        else:
            self._posted.labels("success").inc()
        thread = (request.target, request.alert.fingerprint)
        if request.alert.event is Event.RESOLVE:
            self._threads.discard(thread)
        else:
            self._threads.add(thread)
        self._size.labels().set(len(self._threads))

    def limited(self) -> None:
        self._limited.labels().inc()
