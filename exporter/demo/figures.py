"""What the queue counts, under the names and with the buckets of the service it imitates."""

from __future__ import annotations

from exporter.instruments.meter import Meter

PREFIX = "alert_history_publishing_"
_JOB = tuple(0.001 * 2**step for step in range(10))
_SHARE = tuple(step / 10 for step in range(11))


class QueueFigures:
    """The seventeen families."""

    def __init__(self) -> None:
        meter = self.meter = Meter(PREFIX)
        self.size = meter.gauge("queue_size", "Jobs waiting.", ["priority"])
        self.utilization = meter.gauge("queue_capacity_utilization", "How full the queue is, 0 to 1.", ["priority"])
        self.submissions = meter.counter(
            "queue_submissions_total", "Jobs submitted, by result.", ["priority", "result"]
        )
        self.processed = meter.counter("jobs_processed_total", "Jobs that have ended, by state.", ["target", "state"])
        self.duration = meter.histogram(
            "job_duration_seconds", "Time from the first attempt to success.", _JOB, ["target", "priority"]
        )
        self.wait = meter.histogram("job_wait_time_seconds", "Time in the queue before work began.", _JOB, ["priority"])
        self.retries = meter.counter(
            "retry_attempts_total", "Further attempts, by why they were needed.", ["target", "error_type"]
        )
        self.retry_success = meter.histogram(
            "retry_success_rate", "Success of a further attempt: 0 or 1.", _SHARE, ["target", "attempt"]
        )
        self.breaker = meter.gauge(
            "circuit_breaker_state", "State of the breaker: 0 closed, 1 open, 2 half-open.", ["target"]
        )
        self.trips = meter.counter("circuit_breaker_trips_total", "Times the breaker opened.", ["target"])
        self.recoveries = meter.counter("circuit_breaker_recoveries_total", "Times the breaker closed.", ["target"])
        self.active = meter.gauge("workers_active", "Workers at work.")
        self.idle = meter.gauge("workers_idle", "Workers waiting for work.")
        self.processing = meter.histogram(
            "worker_processing_duration_seconds", "Time a worker spent on a job.", _JOB, ["worker_id"]
        )
        self.letters = meter.gauge("dlq_size", "Dead letters.", ["target"])
        self.letters_written = meter.counter(
            "dlq_writes_total", "Dead letters written, by why.", ["target", "error_type"]
        )
        self.replays = meter.counter("dlq_replays_total", "Dead letters tried again, by result.", ["target", "result"])

    def begin(self, target: str) -> None:
        """Counters of a target start at 0: without that the first thing that happens is no increase."""
        for state in ("succeeded", "failed", "dlq"):
            self.processed.labels(target, state)
        self.trips.labels(target)
        self.recoveries.labels(target)
