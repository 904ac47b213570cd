"""What a publisher has counted, in short."""

from exporter.demo.delivery import Answer, Publisher, Request
from exporter.demo.traffic import Alert
from exporter.instruments.meter import Meter


def numbers(meter: Meter) -> dict[tuple[str, ...], float]:
    """By name and labels; of histograms the count."""
    found = {}
    for column in meter.capture():
        for key, values in column.rows():
            found[(column.family.name, *key)] = values[0] if len(values) == 1 else sum(values[:-1])
    return found


def deliver(publisher: Publisher, alert: Alert, *statuses: int, target: str = "t") -> Request | None:
    """One alert through all its attempts, the last of which counts."""
    request = publisher.request(target, "http://receiver", alert)
    if request is None:
        return None
    for attempt, status in enumerate(statuses):
        if attempt:
            publisher.retried(request, attempt)
        publisher.attempted(request, Answer(status, 0.1))
    publisher.settled(request, Answer(statuses[-1], 0.1), 0.5)
    return request
