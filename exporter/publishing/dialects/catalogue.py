"""Our side of the translation: every family a service may fill, without the prefix, `upstream` and `replica`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from exporter.model.metric import Family, Kind

ORIGIN = ("upstream", "replica")


def _family(kind: Kind, name: str, help: str, *labels: str) -> Family:
    base = name.removesuffix("_total")
    unit = next((unit for unit in ("seconds", "bytes") if base.endswith(f"_{unit}")), "")
    compound = kind in (Kind.HISTOGRAM, Kind.SUMMARY)
    return Family(name, help, kind, labels, unit, open_bounds=compound)


def _counter(name: str, help: str, *labels: str) -> Family:
    return _family(Kind.COUNTER, name, help, *labels)


def _gauge(name: str, help: str, *labels: str) -> Family:
    return _family(Kind.GAUGE, name, help, *labels)


def _histogram(name: str, help: str, *labels: str) -> Family:
    return _family(Kind.HISTOGRAM, name, help, *labels)


def _by_name(*families: Family) -> Mapping[str, Family]:
    return {family.name: family for family in families}


QUEUE = _by_name(
    _gauge("queue_size", "Jobs that wait in the queue.", "priority"),
    _gauge("queue_capacity_utilization", "Share of the queue's capacity that is taken, from 0 to 1.", "priority"),
    _counter("queue_submissions_total", "Jobs offered to the queue, by whether it took them.", "priority", "result"),
    _counter("jobs_processed_total", "Jobs that ended, by how.", "target", "state"),
    _histogram("job_duration_seconds", "How long publishing took, retries included.", "target", "priority"),
    _histogram("job_wait_time_seconds", "How long jobs waited in the queue.", "priority"),
    _counter(
        "retry_attempts_total", "Repeated attempts, by the kind of error that caused them.", "target", "error_type"
    ),
    _histogram("retry_success_rate", "Retries that succeeded, as 0 or 1.", "target", "attempt"),
    _gauge("circuit_breaker_state", "State of the circuit breaker: 0 closed, 1 half-open, 2 open.", "target"),
    _counter("circuit_breaker_trips_total", "How often the circuit breaker opened.", "target"),
    _counter("circuit_breaker_recoveries_total", "How often the circuit breaker closed again.", "target"),
    _gauge("workers_active", "Workers that publish at the moment."),
    _gauge("workers_idle", "Workers that wait for a job."),
    _histogram("worker_processing_duration_seconds", "How long a worker was busy with one job.", "worker_id"),
    _gauge("dlq_size", "Jobs among the dead letters.", "target"),
    _counter("dlq_writes_total", "Jobs that became dead letters, by the kind of error.", "target", "error_type"),
    _counter("dlq_replays_total", "Dead letters that were sent again, by how that ended.", "target", "result"),
)

GENERIC = _by_name(
    _counter(
        "publisher_requests_total",
        "Messages of which the final outcome is known: delivered, or given up.",
        "publisher",
        "receiver",
        "status",
    ),
    _counter("publisher_errors_total", "Messages that were given up, by error.", "publisher", "receiver", "error_type"),
    _counter(
        "publisher_attempts_total", "Attempts to deliver a message, repeated ones included.", "publisher", "receiver"
    ),
    _histogram("publisher_duration_seconds", "How long the publisher took.", "publisher", "receiver"),
)

SPECIFIC = _by_name(
    _counter("rootly_incidents_created_total", "Incidents opened at Rootly.", "severity"),
    _counter("rootly_incidents_updated_total", "Incidents changed at Rootly.", "reason"),
    _counter("rootly_incidents_resolved_total", "Incidents resolved at Rootly."),
    _counter("rootly_api_requests_total", "Requests to Rootly's API.", "api_endpoint", "method", "status"),
    _histogram("rootly_api_duration_seconds", "How long requests to Rootly's API took.", "api_endpoint", "method"),
    _counter("rootly_api_errors_total", "Requests to Rootly's API that failed.", "api_endpoint", "error_type"),
    _counter("rootly_rate_limit_hits_total", "How often the limit on requests to Rootly was met."),
    _gauge("rootly_active_incidents", "Incidents at Rootly that are open, as the service counts them."),
    _counter("pagerduty_events_triggered_total", "Events that opened an incident.", "routing_key", "severity"),
    _counter("pagerduty_events_acknowledged_total", "Events that acknowledged an incident.", "routing_key"),
    _counter("pagerduty_events_resolved_total", "Events that resolved an incident.", "routing_key"),
    _counter("pagerduty_change_events_total", "Change events.", "routing_key"),
    _counter("pagerduty_api_requests_total", "Requests to PagerDuty's API.", "api_endpoint", "status"),
    _counter("pagerduty_api_errors_total", "Requests to PagerDuty's API that failed.", "error_type"),
    _histogram("pagerduty_api_duration_seconds", "How long requests to PagerDuty's API took.", "api_endpoint"),
    _counter("pagerduty_rate_limit_hits_total", "How often the limit on requests to PagerDuty was met."),
    _counter("slack_messages_posted_total", "Messages posted to Slack.", "status"),
    _counter("slack_thread_replies_total", "Replies posted to a thread."),
    _counter("slack_message_errors_total", "Messages to Slack that failed.", "error_type"),
    _histogram("slack_api_request_duration_seconds", "How long posting to Slack took.", "method", "status"),
    _counter("slack_cache_hits_total", "Messages whose thread was known."),
    _counter("slack_cache_misses_total", "Messages whose thread was not known."),
    _gauge("slack_cache_size", "Threads that are remembered."),
    _counter("slack_rate_limit_hits_total", "How often the limit on messages to Slack was met."),
    _counter("webhook_requests_total", "Requests to webhooks.", "target", "status", "method"),
    _histogram("webhook_request_duration_seconds", "How long requests to webhooks took.", "target", "status"),
    _counter("webhook_errors_total", "Requests to webhooks that failed.", "target", "error_type"),
    _counter("webhook_retries_total", "Repeated requests to webhooks.", "target", "attempt"),
    _histogram("webhook_payload_size_bytes", "How large what is sent to webhooks is.", "target"),
    _counter("webhook_auth_failures_total", "Requests a webhook did not authorize.", "target", "auth_type"),
    _counter("webhook_validation_errors_total", "Messages that must not be sent.", "target", "validation_type"),
    _counter("webhook_timeout_errors_total", "Requests to webhooks that took too long.", "target"),
    _gauge("alertmanager_alerts", "Alerts the Alertmanager has, by state.", "state"),
    _counter("alertmanager_alerts_received_total", "Alerts the Alertmanager was sent.", "status"),
    _counter("alertmanager_alerts_invalid_total", "Alerts the Alertmanager refused."),
    _counter("alertmanager_notifications_suppressed_total", "Notifications held back, by reason.", "reason"),
    _gauge("alertmanager_cluster_members", "Members of the cluster, as this one sees it."),
    _gauge("alertmanager_cluster_failed_peers", "Members of the cluster this one cannot reach."),
    _gauge("alertmanager_cluster_health_score", "How badly this member is doing in the cluster; 0 is well."),
    _gauge("alertmanager_config_last_reload_successful", "Whether its configuration was fine when last read."),
    _gauge(
        "prometheus_notifications_alertmanagers_discovered", "Alertmanagers the server knows; 0: alerts go nowhere."
    ),
    _family(
        Kind.SUMMARY,
        "prometheus_notifications_latency_seconds",
        "How long sending alerts to an Alertmanager took.",
        "alertmanager",
    ),
)

PUBLISHERS = {**GENERIC, **SPECIFIC}
FAMILIES = {**QUEUE, **PUBLISHERS}


def declared(family: Family, prefix: str) -> Family:
    """A family of the catalogue as it stands on our page."""
    return replace(family, name=f"{prefix}_{family.name}", labels=(*family.labels, *ORIGIN))
