"""Parts of the service, with as little said as a test needs."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

from exporter.demo.breaker import Breaker
from exporter.demo.delivery import Answer, Cause, Request
from exporter.demo.destination import Destination, Pace
from exporter.demo.limiter import Limiter
from exporter.demo.publishers.webhook import Webhook
from exporter.demo.queue import Job, Priority
from exporter.demo.service import Service
from exporter.demo.traffic import Alert, Event

OK = Answer(200, 0.01)
BROKEN = Answer(503, 0.01)
REFUSED = Answer(404, 0.01)

_ids = count(1)


def alert(fingerprint: str = "a", severity: str = "critical", event: Event = Event.FIRE, details: str = "") -> Alert:
    return Alert(fingerprint, "HighErrorRate", "checkout", severity, event, details)


def job(target: str = "t", priority: Priority = Priority.MEDIUM, submitted: float = 0.0) -> Job:
    return Job(next(_ids), target, alert(), priority, submitted)


class Receivers:
    """Answers by target, after as long as each takes; remembers who was asked when."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.hanging: set[str] = set()
        self.asked: list[tuple[str, float]] = []

    async def __call__(self, request: Request) -> Answer:
        now = asyncio.get_running_loop().time()
        self.asked.append((request.target, now))
        if request.target in self.hanging:
            await asyncio.sleep(3.0)
            return Answer(0, 3.0, Cause.TIMEOUT)
        answer = self.answers.get(request.target, OK)
        await asyncio.sleep(answer.seconds)
        return answer

    def calls(self, target: str) -> list[float]:
        return [when for name, when in self.asked if name == target]


def service(
    send: Callable[[Request], Awaitable[Answer]],
    *targets: str,
    pace: Pace | None = None,
    limit: tuple[float, int] = (0.001, 1000),
) -> Service:
    """A service with webhooks that want everything, and nearly no limit on them."""
    now = asyncio.get_running_loop().time
    publisher = Webhook()
    destinations = [
        Destination(
            name=name,
            url=f"http://{name}",
            publisher=publisher,
            wants=lambda alert: True,
            breaker=Breaker(now),
            limiter=Limiter(now, *limit),
        )
        for name in targets
    ]
    return Service(destinations, send, now, 1, pace or Pace(jitter=0.0))


def figures(of: Service) -> dict[tuple[str, ...], float]:
    """Every number that is a counter or a gauge, by the end of its name and its labels; of histograms their count."""
    of.refresh()
    found = {}
    for column in of.figures.meter.capture():
        name = column.family.name.removeprefix("alert_history_publishing_")
        for key, values in column.rows():
            found[(name, *key)] = values[0] if len(values) == 1 else sum(values[:-1])
    return found
