"""The publishing service of the demo at work: its receivers, and a shift's worth of alerts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress

from exporter.demo.breaker import Breaker
from exporter.demo.configuration import Ports
from exporter.demo.delivery import Courier, Publisher, Send
from exporter.demo.destination import Destination, Pace
from exporter.demo.limiter import Limiter
from exporter.demo.page import MetricsPage
from exporter.demo.publishers.pagerduty import PagerDuty
from exporter.demo.publishers.rootly import Rootly
from exporter.demo.publishers.slack import Slack
from exporter.demo.publishers.webhook import Webhook
from exporter.demo.receivers import CA_FILE
from exporter.demo.service import Service
from exporter.demo.traffic import Alert, Event, Traffic

SEED = 20
ROUND = 1.0  # seconds
TIMEOUT = 3.0  # seconds; the slow receiver is slow, and not yet that slow

_PER_SECOND = {"rootly": 4.0, "slack": 2.0, "pagerduty": 2.0, "webhook": 20.0}


class Publishing:
    """Service, traffic and page; `send` takes requests to receivers."""

    def __init__(self, ports: Ports, send: Send, now: Callable[[], float], seed: int = SEED) -> None:
        rootly, slack, pagerduty, webhook = Rootly(), Slack(), PagerDuty(), Webhook()

        def destination(name: str, publisher: Publisher, url: str, wants: Callable[[Alert], bool]) -> Destination:
            limiter = Limiter(now, 1.0 / _PER_SECOND[name.split("-")[0]])
            return Destination(
                name=name, publisher=publisher, url=url, wants=wants, breaker=Breaker(now), limiter=limiter
            )

        here = "http://127.0.0.1"
        destinations = (
            destination("rootly-incidents", rootly, f"{here}:{ports.rootly}/v1/incidents", _is_incident),
            destination("slack-oncall", slack, f"{here}:{ports.slack}/services/T0DEMO/B0DEMO/demo-oncall", _is_urgent),
            destination(
                "slack-old-team", slack, f"{here}:{ports.revoked}/services/T0DEMO/B0DEMO/demo-removed", _is_info
            ),
            destination("pagerduty-primary", pagerduty, f"{here}:{ports.pagerduty}", _wakes_somebody),
            destination("webhook-audit", webhook, f"https://127.0.0.1:{ports.webhook}/alerts", _is_anything),
            destination("webhook-partner", webhook, f"{here}:{ports.partner}/alerts", _is_urgent),
        )
        self.service = Service(destinations, send, now, seed, Pace())
        self.meters = (self.service.figures.meter, rootly.meter, slack.meter, pagerduty.meter, webhook.meter)
        self.page = MetricsPage(self.meters, self.service.refresh)
        self._traffic = Traffic(seed)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins the shift."""
        self._tasks = [asyncio.create_task(self.service.run()), asyncio.create_task(self._shift())]

    async def stop(self) -> None:
        """Ends it; a job under way is lost with all that wait. Raises what the work ended with, if it did."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _shift(self) -> None:
        while True:
            for alert in self._traffic.round():
                self.service.accept(alert)
            await asyncio.sleep(ROUND)


def courier(now: Callable[[], float]) -> Courier:
    """Who takes the service's requests to the receivers."""
    return Courier(TIMEOUT, now, ssl.create_default_context(cafile=str(CA_FILE)))


def _is_anything(alert: Alert) -> bool:
    return True


def _is_info(alert: Alert) -> bool:
    return alert.severity == "info"


def _is_urgent(alert: Alert) -> bool:
    return alert.severity != "info" and alert.event is not Event.DEPLOY


def _is_incident(alert: Alert) -> bool:
    return _is_urgent(alert) and alert.event is not Event.ACKNOWLEDGE


def _wakes_somebody(alert: Alert) -> bool:
    return alert.severity == "critical" or alert.event is Event.DEPLOY
